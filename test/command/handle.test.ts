import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { asRevision, type Json, type LogEvent, type NewMetadata, streamId } from '../../domain/event.ts';
import { stateDecider } from '../../domain/state/decider.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from '../../domain/state/state.ts';
import { createHandler } from '../../src/command/handle.ts';
import type { Handled } from '../../src/command/stream-states.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { type EventLog, LogError } from '../../src/log/event-log.ts';

const metadata: NewMetadata = { actor: 'me', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
const stream = streamId('state', 'k');

type State = Handled<StateState, StateCommand, StateEvent, StateRejection>;

const decode = (event: LogEvent): StateEvent | undefined =>
  event.type === 'StateSet' || event.type === 'StateDeleted' ? (event as LogEvent & StateEvent) : undefined;

const unknown: State = { decider: stateDecider, decode, restore: () => undefined };
const put = (value: Json, expectedVersion?: number): StateCommand => ({
  type: 'SetState',
  value,
  ...(expectedVersion === undefined ? {} : { expectedVersion }),
});

const withLog = test.macro(
  async (t, body: (t: import('ava').ExecutionContext, log: EventLog) => Promise<void>) => {
    const directory = await mkdtemp(join(tmpdir(), 'nexus-handle-'));
    const log = await openEmbeddedLog({ directory, watchdogMs: 60_000 });
    try {
      await body(t, log);
    } finally {
      await log.close();
      await rm(directory, { recursive: true });
    }
  },
);

test(
  'handle › of 500 conditional writes at once one wins, and each other is told the version that there is',
  withLog,
  async (t, log) => {
    const { handle } = createHandler(log);
    await handle(unknown, stream, put('first'), { metadata });
    const outcomes = await Promise.all(
      Array.from({ length: 500 }, (_, index) => handle(unknown, stream, put(index, 1), { metadata })),
    );
    const won = outcomes.filter(({ outcome }) => outcome === 'done');
    t.is(won.length, 1);
    for (const outcome of outcomes) {
      if (outcome.outcome === 'done') continue;
      t.is(outcome.outcome, 'rejected');
      if (outcome.outcome !== 'rejected' || outcome.rejection.code !== 'version_conflict') return t.fail();
      t.is(outcome.rejection.currentVersion, 2);
    }
    t.is((await log.readStream(stream, { limit: 1_000 })).length, 2);
  },
);

test(
  'handle › unconditional writes of one key go through in the order in which they were given',
  withLog,
  async (t, log) => {
    const { handle } = createHandler(log);
    const outcomes = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => handle(unknown, stream, put(index), { metadata })),
    );
    t.true(outcomes.every(({ outcome }) => outcome === 'done'));
    const events = await log.readStream(stream, { limit: 1_000 });
    t.deepEqual(
      events.map(({ data }) => data),
      Array.from({ length: 1_000 }, (_, value) => ({ value })),
    );
  },
);

test('handle › two nodes on one log never refuse on a state that is out of date', withLog, async (t, log) => {
  const here = createHandler(log);
  const there = createHandler(log);
  for (let version = 0; version < 20; version += 2) {
    const first = await here.handle(unknown, stream, put('here', version), { metadata });
    const second = await there.handle(unknown, stream, put('there', version + 1), { metadata });
    t.is(first.outcome, 'done', `version ${version} here`);
    t.is(second.outcome, 'done', `version ${version + 1} there`);
  }
});

test(
  'handle › an accepted decision on a state that is out of date is made again on the newest',
  withLog,
  async (t, log) => {
    const here = createHandler(log);
    const there = createHandler(log);
    await here.handle(unknown, stream, put(1), { metadata });
    await there.handle(unknown, stream, put(2), { metadata });
    const deleted = await here.handle(
      unknown,
      stream,
      { type: 'DeleteState', expectedVersion: 2 },
      { metadata },
    );
    t.is(deleted.outcome, 'done');
    if (deleted.outcome === 'done') t.is(deleted.appended.events[0]?.revision, asRevision(2));
  },
);

test('handle › a read model that lags costs a second look, never a wrong answer', withLog, async (t, log) => {
  const writer = createHandler(log);
  for (let value = 0; value < 5; value++) await writer.handle(unknown, stream, put(value), { metadata });
  const lagging: State = {
    ...unknown,
    restore: () => ({ state: { exists: true, version: 3, value: 2 }, revision: 2 }),
  };
  const { handle } = createHandler(log);
  const stale = await handle(lagging, stream, put('x', 3), { metadata });
  if (stale.outcome !== 'rejected' || stale.rejection.code !== 'version_conflict') return t.fail();
  t.is(stale.rejection.currentVersion, 5);
  t.is((await handle(lagging, stream, put('x', 5), { metadata })).outcome, 'done');
});

test(
  'handle › what was decided on an append that failed is decided again from the log',
  withLog,
  async (t, log) => {
    let failNext = false;
    const flaky: EventLog = {
      ...log,
      append: async (...append) => {
        if (failNext) {
          failNext = false;
          throw new LogError('log_unavailable', 'the connection broke');
        }
        return log.append(...append);
      },
    };
    const { handle } = createHandler(flaky);
    await handle(unknown, stream, put('kept'), { metadata });
    failNext = true;
    const lost = handle(unknown, stream, put('lost'), { metadata });
    // Decided while the append above is under way: on version 2, which never comes to be.
    const dependent = handle(unknown, stream, put('next', 2), { metadata });
    const blind = handle(unknown, stream, put('blind'), { metadata });
    await t.throwsAsync(lost, { instanceOf: LogError });
    const refused = await dependent;
    t.is((await blind).outcome, 'done');
    const values = (await log.readStream(stream, { limit: 10 })).map(({ data }) => data);
    t.deepEqual(values[0], { value: 'kept' });
    t.false(JSON.stringify(values).includes('lost'));
    // Version 2 is either the blind write, which may have come first, or does not exist: never the lost one.
    t.true(
      refused.outcome === 'done'
        ? values.length === 3
        : refused.outcome === 'rejected' && values.length === 2,
    );
  },
);

test(
  'handle › where another node writes too, nothing is decided on an append that gives way to its event',
  withLog,
  async (t, log) => {
    const there = createHandler(log);
    await there.handle(unknown, stream, put('kept'), { metadata });
    let overtake = true;
    let order: Promise<unknown> = Promise.resolve();
    const shared: EventLog = {
      ...log,
      kind: 'redis',
      append: (...append) => {
        const turn = order.then(async () => {
          if (overtake) {
            overtake = false;
            await there.handle(unknown, stream, { type: 'DeleteState' }, { metadata });
          }
          return log.append(...append);
        });
        order = turn.catch(() => undefined);
        return turn;
      },
    };
    const { handle } = createHandler(shared);
    const replaced = handle(unknown, stream, put('new'), { metadata });
    // There is a key to delete only once the write above has come to be, behind the other node's deletion.
    const deleted = handle(unknown, stream, { type: 'DeleteState' }, { metadata });
    t.is((await replaced).outcome, 'done');
    t.is((await deleted).outcome, 'done');
    const types = (await log.readStream(stream, { limit: 10 })).map(({ type }) => type);
    t.deepEqual(types, ['StateSet', 'StateDeleted', 'StateSet', 'StateDeleted']);
  },
);

for (const kind of ['embedded', 'redis'] as const) {
  test(
    `handle › 100 commands at once on one stream of ${kind}, each with an id of its own, are all done once`,
    withLog,
    async (t, log) => {
      const { handle } = createHandler({ ...log, kind });
      const commandIds = Array.from({ length: 100 }, () => newId());
      const twice = [...commandIds, ...commandIds];
      const outcomes = await Promise.all(
        twice.map((id, value) => handle(unknown, stream, put(value), { metadata, eventId: () => id })),
      );
      t.is(outcomes.filter(({ outcome }) => outcome === 'done').length, 100);
      t.is(outcomes.filter(({ outcome }) => outcome === 'repeated').length, 100);
      const ids = (await log.readStream(stream, { limit: 1_000 })).map(({ id }) => id);
      t.deepEqual(ids.toSorted(), commandIds.toSorted());
    },
  );
}

test('handle › the caller’s own expected revision is compared with the log’s', withLog, async (t, log) => {
  const { handle } = createHandler(log);
  const first = await handle(unknown, stream, put(1), { metadata, expectedRevision: -1 });
  t.is(first.outcome, 'done');
  const again = await handle(unknown, stream, put(1), { metadata, expectedRevision: -1 });
  t.deepEqual(again, { outcome: 'conflict', expected: -1, actual: 0 });
  t.is((await handle(unknown, stream, put(2), { metadata, expectedRevision: 0 })).outcome, 'done');
});

test('handle › the same command under the same event ids is written once', withLog, async (t, log) => {
  const eventId = () => '0192f0c1-2345-7000-8000-000000000001';
  const append = async () =>
    createHandler(log).appendAny(stream, { id: eventId(), type: 'StateSet', data: { value: 1 } }, metadata);
  const first = await append();
  const second = await append();
  t.true(first.ok && second.ok && second.duplicate);
  t.is((await log.readStream(stream, { limit: 10 })).length, 1);
});
