import { escapes } from './escapes.ts';
import { floods } from './floods.ts';
import { folders } from './folders.ts';
import type { HostilePlugin } from './hostile-plugin.ts';
import { lies } from './lies.ts';
import { loops } from './loops.ts';
import { memory } from './memory.ts';
import { reach } from './reach.ts';

/** All of them, by kind. */
export const kinds: Readonly<Record<string, readonly HostilePlugin[]>> = {
  loops,
  memory,
  floods,
  lies,
  escapes,
  reach,
  folders,
};

export const hostilePlugins: readonly HostilePlugin[] = Object.values(kinds).flat();
