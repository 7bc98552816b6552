import { createInterface } from 'node:readline';
import { text } from '../support/events.ts';
import { load, loadOf } from '../support/measure.ts';
import { openHttpStore } from './http-store.ts';
import { openEtcdStore, openRedisStore } from './references.ts';
import { type ClientJob, type ClientLoad, type ClientTarget, keyOf, prefixOf, type Store } from './store.ts';

/**
 * A client of a store, in a process of its own. Argument: a JSON `ClientTarget`. Prints a line when it is connected, then
 * for each line with a `ClientJob` a `ClientLoad`.
 */
const openers: Readonly<Record<ClientTarget['kind'], (target: ClientTarget) => Promise<Store>>> = {
  nexus: openHttpStore,
  bare: openHttpStore,
  etcd: openEtcdStore,
  redis: openRedisStore,
};

const filler = text(172);
/** 200 bytes of JSON, another one for each `turn`. */
const textOf = (turn: number): string => `{"n":"${String(turn).padStart(10, '0')}","text":"${filler}"}`;

const target: ClientTarget = JSON.parse(process.argv[2] ?? '{}');
const store = await openers[target.kind](target);
let turns = 0;

/** Each of those in flight has keys of its own as long as there are as many: no `cas` meets another. */
const timed = async ({ call, first, count, inFlight, seconds = 1 }: ClientJob): Promise<ClientLoad> => {
  const operations: Readonly<Record<string, ((index: number) => Promise<unknown> | undefined) | undefined>> =
    {
      put: (index) => store.put(keyOf(index), textOf(++turns)),
      cas: (index) => store.cas(keyOf(index), textOf(++turns)),
      get: (index) => store.get(keyOf(index)),
      list: (index) => store.list(prefixOf(index)),
      post: (index) => store.post?.(`bench.${index % 100}`, textOf(++turns)),
      query: (index) => store.query?.(keyOf(index)),
    };
  const operation = operations[call];
  if (operation === undefined) throw new Error(`no such call: ${call}`);
  const latencies: number[] = [];
  const began = performance.now();
  const end = began + seconds * 1_000;
  const work = async (worker: number): Promise<void> => {
    for (let next = worker; ; next = next + inFlight < count ? next + inFlight : worker) {
      const started = performance.now();
      if (started >= end) return;
      await operation(first + (next % count));
      latencies.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
  const took = (performance.now() - began) / 1_000;
  return { n: latencies.length, ...loadOf(Float64Array.from(latencies), took) };
};

const perFill = 100;

/** Writes `n` values over the keys in turn, `inFlight` writes of 100 keys at a time. */
const fill = async ({ first, count, inFlight, n = 0 }: ClientJob): Promise<ClientLoad> => {
  const batches = await load(Math.ceil(n / perFill), inFlight, (batch) => {
    const size = Math.min(perFill, n - batch * perFill);
    return store.fill(
      Array.from({ length: size }, (_, index) => {
        const turn = batch * perFill + index;
        return [keyOf(first + (turn % count)), textOf(turn)] as const;
      }),
    );
  });
  return { ...batches, n, perSec: batches.perSec * perFill };
};

/** From a put to its value at a watcher over another connection, one at a time. */
const watch = async ({ first, n = 0 }: ClientJob): Promise<ClientLoad> => {
  let arrived = Promise.withResolvers<void>();
  let wanted = '';
  await store.watch?.(keyOf(first), (value) => {
    if (value === wanted) arrived.resolve();
  });
  const puts = await load(n, 1, async () => {
    arrived = Promise.withResolvers();
    wanted = textOf(++turns);
    await Promise.all([store.put(keyOf(first), wanted), arrived.promise]);
  });
  return { n, ...puts };
};

const learn = async ({ first, count, inFlight }: ClientJob): Promise<ClientLoad> => ({
  n: count,
  ...(await load(count, inFlight, (index) => store.learn(keyOf(first + index)))),
});

const run = (job: ClientJob): Promise<ClientLoad> => {
  switch (job.call) {
    case 'fill':
      return fill(job);
    case 'learn':
      return learn(job);
    case 'watch':
      return watch(job);
    default:
      return timed(job);
  }
};

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
}
await store.close();
process.exit(0);
