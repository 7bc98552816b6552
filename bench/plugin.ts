import { benchCalls } from './plugin/calls.ts';
import { benchMemory } from './plugin/memory.ts';
import { benchPublish } from './plugin/publish.ts';
import { benchReload } from './plugin/reload.ts';
import { runParts } from './support/parts.ts';

/**
 * What plugins cost: a call of a hook, their memory, a publish that one is asked about, and reloading under load.
 *
 * `npm run bench:plugin -- [--only calls|memory|publish|reload] [--rounds N] [--scale S]`
 */
await runParts('plugin', {
  calls: benchCalls,
  memory: benchMemory,
  publish: benchPublish,
  reload: benchReload,
});
