import { openLog } from '../../src/log/open.ts';
import { createLogger } from '../../src/logger.ts';
import { fails, someEvent, stream, watchThing } from './open-world.ts';

/** Uses the log of the URL in its first argument, closes it, and prints what then still keeps the process alive. */
const { stdout } = process;
const before = process.getActiveResourcesInfo();
const { signal } = new AbortController();
const { log } = await openLog({
  urls: [process.argv[2] ?? ''],
  memory: null,
  acceptLog: null,
  node: 'node-1',
  logger: createLogger('silent'),
  onFailure: fails,
  signal,
});
const [seen] = await Promise.all([
  watchThing(log, signal),
  log.append(stream, [someEvent()], 'none'),
  log.readAll({ limit: 10 }),
]);
if (seen === undefined) throw new Error('the watch saw nothing');
const watch = log.watch({ after: seen.position, signal })[Symbol.asyncIterator]();
await Promise.all([watch.next(), log.append(stream, [someEvent()], 'any')]);
// The watch is connected, and waits for what does not come.
const waiting = watch.next();
await log.position();
await log.close();
await waiting;

const left = (): readonly string[] => {
  const resources = [...process.getActiveResourcesInfo()];
  for (const known of before) {
    const index = resources.indexOf(known);
    if (index >= 0) resources.splice(index, 1);
  }
  return resources;
};
// A handle goes some turns of the event loop after it was closed.
const look = (turns: number): void => {
  if (left().length > 0 && turns > 0) setImmediate(look, turns - 1);
  else stdout.write(JSON.stringify(left()));
};
look(10_000);
