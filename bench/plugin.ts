import { benchMemory } from './plugin/memory.ts';
import { benchPublish } from './plugin/publish.ts';
import { benchReload } from './plugin/reload.ts';
import { runParts } from './support/parts.ts';

/**
 * What plugins cost: their memory, a publish that one is asked about, and reloading under load.
 *
 * `npm run bench:plugin -- [--only memory|publish|reload] [--rounds N] [--scale S]`
 */
await runParts('plugin', { memory: benchMemory, publish: benchPublish, reload: benchReload });
