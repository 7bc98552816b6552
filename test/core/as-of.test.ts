import test from 'ava';
import { asPosition, asRevision, asStreamId, type LogEvent, type Position } from '../../domain/event.ts';
import { outsideTransaction } from '../../src/core/as-of.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { type EventLog, LogError } from '../../src/log/event-log.ts';
import { temporaryFolder } from '../projection/folder.ts';
import { append, stateSet } from '../projection/world.ts';

const place = (event: LogEvent | undefined): Position => event?.position ?? asPosition('');

test('outsideTransaction › a place within a transaction is that before it, any other stays', async (t) => {
  const log = await openEmbeddedLog({ directory: temporaryFolder(t), watchdogMs: 60_000 });
  t.teardown(() => log.close());
  const transact = async (round: number, count: number): Promise<void> => {
    const parts = Array.from({ length: count }, (_, index) => {
      const set = stateSet(index);
      const transaction = { index, count, succeeded: true };
      return {
        stream: asStreamId(`state-${index}`),
        events: [{ ...set, metadata: { ...set.metadata, transaction } }],
        expected: round === 0 ? ('none' as const) : asRevision(round - 1),
      };
    });
    t.true((await log.appendAll?.(parts))?.ok);
  };
  await transact(0, 3);
  await transact(1, 3);
  await append(log, 'state-other', stateSet(1));
  await transact(2, 3);
  const { events } = await log.readAll({ limit: 100 });
  const at = (index: number) => outsideTransaction(log, place(events[index]));
  const expected = [-1, -1, 2, 2, 2, 5, 6, 6, 6, 9];
  for (const [index, wanted] of expected.entries()) {
    t.is(await at(index), wanted < 0 ? log.start : place(events[wanted]), `event ${index}`);
  }
  t.is(await outsideTransaction(log, log.start), log.start);

  const within = place(events[4]);
  const away = (reachable: boolean): EventLog => ({
    ...log,
    reachable,
    readAll: () => Promise.reject(new LogError('log_unavailable', 'away')),
  });
  t.is(await outsideTransaction(away(false), within), within);
  t.is(await outsideTransaction(away(true), within), within);
});
