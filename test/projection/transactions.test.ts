import test from 'ava';
import { asPosition, asRevision, asStreamId, type LogEvent, type StreamId } from '../../domain/event.ts';
import type { StateDocument } from '../../projections/documents.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { wholeTransactions } from '../../src/projection/whole-transactions.ts';
import { temporaryFolder } from './folder.ts';
import { append, openLog, run, settled, stateSet } from './world.ts';

const event = (number: number, transaction?: readonly [index: number, count: number]): LogEvent => ({
  id: `id-${number}`,
  stream: asStreamId('state-k'),
  revision: asRevision(number),
  position: asPosition(number.toString(16).padStart(16, '0')),
  type: 'StateSet',
  data: { value: number },
  metadata: {
    recordedAt: '2026-01-01T00:00:00.000Z',
    actor: 'a',
    correlationId: 'c',
    causationId: null,
    node: 'n',
    schema: 1,
    ...(transaction === undefined
      ? {}
      : { transaction: { index: transaction[0], count: transaction[1], succeeded: true } }),
  },
});

test('wholeTransactions › parts events before the transaction that is not complete', (t) => {
  const partsOf = (events: readonly LogEvent[]) => {
    const { whole, rest } = wholeTransactions(events);
    t.deepEqual([...whole, ...rest], events);
    return [whole.length, rest.length];
  };
  t.deepEqual(partsOf([]), [0, 0]);
  t.deepEqual(partsOf([event(0), event(1)]), [2, 0]);
  t.deepEqual(partsOf([event(0), event(1, [0, 1])]), [2, 0]);
  t.deepEqual(partsOf([event(0), event(1, [0, 2]), event(2, [1, 2])]), [3, 0]);
  t.deepEqual(partsOf([event(0), event(1, [0, 3])]), [1, 1]);
  t.deepEqual(partsOf([event(0, [0, 2]), event(1, [1, 2]), event(2, [0, 3]), event(3, [1, 3])]), [2, 2]);
  t.deepEqual(partsOf([event(0, [0, 3]), event(1, [1, 3])]), [0, 2]);
  // What was truncated of it is missing in front.
  t.deepEqual(partsOf([event(0, [5, 9])]), [0, 1]);
});

test('read models › never show half of a transaction, however the log hands it out', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  const keys = Array.from({ length: 7 }, (_, n) => `state-key${n}` as StreamId);
  const revisions = new Map<StreamId, number>();
  const write = async (value: number): Promise<void> => {
    const parts = keys.map((stream, index) => {
      const set = stateSet(value);
      const transaction = { index, count: keys.length, succeeded: true };
      const revision = revisions.get(stream);
      revisions.set(stream, (revision ?? -1) + 1);
      return {
        stream,
        events: [{ ...set, metadata: { ...set.metadata, transaction } }],
        expected: revision === undefined ? ('none' as const) : asRevision(revision),
      };
    });
    const result = await log.appendAll?.(parts);
    t.true(result?.ok);
  };
  /** One event at a time, so that each batch but a few ends within a transaction. */
  const drip: EventLog = {
    ...log,
    async *watch(options) {
      for await (const batch of log.watch(options)) for (const one of batch) yield [one];
    },
  };
  const folded: (readonly unknown[])[] = [];
  const running = await run(drip, directory);
  running.runner.onFolded(() => {
    folded.push(
      keys.map((stream) => running.runner.store.read<StateDocument>('state', stream.slice(6))?.value ?? null),
    );
  });
  for (let value = 1; value <= 20; value++) {
    await write(value);
    if (value % 5 === 0) await append(log, 'state-other', stateSet(value));
  }
  await settled(running, log);
  for (const values of folded) t.is(new Set(values).size, 1, JSON.stringify(values));
  t.is(running.runner.store.read<StateDocument>('state', 'key6')?.value, 20);
  t.is(running.runner.position, await log.position());
  const hash = await running.runner.contentHash();
  await running.close();

  const anew = await run(log, temporaryFolder(t));
  await settled(anew, log);
  t.is(await anew.runner.contentHash(), hash);
  await anew.close();
});
