import { floods } from './floods.ts';
import { loops } from './loops.ts';
import { memory } from './memory.ts';
import { attackWith } from './rounds.ts';

attackWith([...loops, ...memory, ...floods], 3);
