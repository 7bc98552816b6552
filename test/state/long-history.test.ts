import test from 'ava';
import { asStreamId } from '../../domain/event.ts';
import { createHandler } from '../../src/command/handle.ts';
import { createDeciders } from '../../src/core/deciders.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import type { ReadStore } from '../../src/projection/read-store.ts';
import { stateAtPosition, stateOfVersion } from '../../src/state/past.ts';
import { temporaryFolder } from '../projection/folder.ts';
import { append, openLog, run, stateSet } from '../projection/world.ts';
import { isLong } from '../support/skip.ts';

const metadata = { actor: 'ann', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
const long = isLong ? 100_000 : 10_000;

/** What was asked for and how much came of it, by the name of the question. */
type Counts = Record<string, number>;

const countedLog = (log: EventLog, counts: Counts): EventLog => ({
  ...log,
  readStream: async (stream, options) => {
    const events = await log.readStream(stream, options);
    counts.logReads = (counts.logReads ?? 0) + 1;
    counts.logEvents = (counts.logEvents ?? 0) + events.length;
    return events;
  },
  append: (stream, events, expected) => {
    counts.appends = (counts.appends ?? 0) + 1;
    return log.append(stream, events, expected);
  },
});

const countedStore = (store: ReadStore, counts: Counts): ReadStore => {
  const count = (name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  return {
    ...store,
    read: (model, key) => {
      count('read');
      return store.read(model, key);
    },
    at: (model, key, position) => {
      count('at');
      return store.at(model, key, position);
    },
    oldest: (model, key, after) => {
      count('oldest');
      return store.oldest(model, key, after);
    },
    *history(model, key, before) {
      for (const past of store.history(model, key, before)) {
        count('history');
        yield past;
      }
    },
  } as ReadStore;
};

test(`reading the newest version and writing the next one ask for as much after ${long} versions as after 10`, async (t) => {
  const folder = temporaryFolder(t);
  const log = await openLog(t, folder);
  const { runner, close } = await run(log, `${folder}/read-models`);
  t.teardown(close);
  const sizes = { short: 10, long };
  for (const [key, versions] of Object.entries(sizes)) {
    for (let at = 0; at < versions; at += 1_000) {
      const count = Math.min(1_000, versions - at);
      await append(log, `state-${key}`, ...Array.from({ length: count }, (_, n) => stateSet(at + n + 1)));
    }
  }
  t.true(await runner.reached(await log.position(), 120_000));

  const costOf = async (key: string, versions: number) => {
    const counts: Counts = {};
    const store = countedStore(runner.store, counts);
    const handler = createHandler(countedLog(log, counts));
    const deciders = createDeciders({ ...runner, store });
    const costs: Counts[] = [];
    const took = (): void => {
      costs.push({ ...counts });
      for (const name of Object.keys(counts)) delete counts[name];
    };
    t.like(store.read('state', key), { version: versions, value: versions });
    took();
    // With a process that knows nothing of the stream yet, and then with one that does.
    for (const value of ['first', 'second']) {
      const expectedVersion = versions + costs.length - 1;
      const command = { type: 'SetState', value, expectedVersion } as const;
      const outcome = await handler.handle(deciders.state, asStreamId(`state-${key}`), command, { metadata });
      t.is(outcome.outcome, 'done');
      await runner.reached(await log.position(), 60_000);
      took();
    }
    return costs;
  };
  const short = await costOf('short', sizes.short);
  t.deepEqual(await costOf('long', sizes.long), short);
  t.is(short[0]?.read, 1, 'one document');
  t.is(short[1]?.logEvents ?? 0, 0, 'no event is read to write another one');

  // The past costs steps, not its length: those of the width of a position.
  const counts: Counts = {};
  const store = countedStore(runner.store, counts);
  t.is(stateOfVersion(store, 'long', long / 2).type, 'found');
  t.true((counts.at ?? 0) <= 64);
  t.is(stateAtPosition(store, 'long', await log.position()).type, 'found');
  t.is(counts.history ?? 0, 0);
});
