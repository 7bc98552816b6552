import { escapes } from './escapes.ts';
import { folders } from './folders.ts';
import { lies } from './lies.ts';
import { reach } from './reach.ts';
import { attackWith } from './rounds.ts';

attackWith([...lies, ...escapes, ...reach, ...folders]);
