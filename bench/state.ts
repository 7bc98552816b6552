import { benchCalls, benchWatch } from './state/calls.ts';
import { benchHistory } from './state/history.ts';
import { benchMillion } from './state/million.ts';
import { runParts } from './support/parts.ts';

/**
 * The state store beside etcd and Redis in the same run.
 *
 * `npm run bench:state -- [--only calls|watch|history|million] [--ways NAME,…] [--rounds N] [--scale S] [--profile DIR]`
 */
await runParts('state', {
  calls: benchCalls,
  watch: benchWatch,
  history: benchHistory,
  million: benchMillion,
});
