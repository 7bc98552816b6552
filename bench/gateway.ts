import { benchGatewayCalls } from './gateway/calls.ts';
import { benchIdle } from './gateway/idle.ts';
import { runParts } from './support/parts.ts';

/**
 * The gateway beside bare Koa and bare node:http in the same run, and what idle WebSockets cost.
 *
 * `npm run bench:gateway -- [--only calls|idle] [--ways NAME,…] [--rounds N] [--scale S] [--profile DIR]`
 */
await runParts('gateway', { calls: benchGatewayCalls, idle: benchIdle });
