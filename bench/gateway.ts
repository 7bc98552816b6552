import { benchGatewayCalls } from './gateway/calls.ts';
import { benchIdle } from './gateway/idle.ts';
import { benchOverload } from './gateway/overload.ts';
import { benchSlowClients } from './gateway/slow-clients.ts';
import { runParts } from './support/parts.ts';

/**
 * The gateway beside bare Koa and bare node:http in the same run, what idle WebSockets cost, and what becomes of others when
 * the hub is asked too much, or by clients that are slow.
 *
 * `npm run bench:gateway -- [--only calls|idle|overload|slow] [--ways NAME,…] [--rounds N] [--scale S] [--profile DIR]`
 */
await runParts('gateway', {
  calls: benchGatewayCalls,
  idle: benchIdle,
  overload: benchOverload,
  slow: benchSlowClients,
});
