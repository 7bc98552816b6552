import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asRevision, type LogEvent, type NewMetadata, type StreamId, streamId } from '../../domain/event.ts';
import { stateDecider } from '../../domain/state/decider.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from '../../domain/state/state.ts';
import { createHandler, type Handler } from '../../src/command/handle.ts';
import type { Handled } from '../../src/command/stream-states.ts';
import type { DecidedTransaction, Transaction } from '../../src/command/transact.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { type EventLog, LogError } from '../../src/log/event-log.ts';
import { openRedisLog } from '../../src/log/redis.ts';
import { openRedisServer, redisInstalled } from '../support/redis-server.ts';
import { skipped } from '../support/skip.ts';

const metadata: NewMetadata = { actor: 'me', correlationId: 'c', causationId: null, node: 'n', schema: 1 };

type Money = Transaction<StateState, StateEvent, string>;
type Decided = DecidedTransaction<StateEvent, string>;

const decode = (event: LogEvent): StateEvent | undefined =>
  event.type === 'StateSet' || event.type === 'StateDeleted' ? (event as LogEvent & StateEvent) : undefined;
const handled: Handled<StateState, StateCommand, StateEvent, StateRejection> = {
  decider: stateDecider,
  decode,
  restore: () => undefined,
};

const account = (n: number): StreamId => streamId('state', `account/${n}`);
const amountOf = ({ value }: StateState): number => (typeof value === 'number' ? value : 0);
const setTo = (value: number): StateEvent => ({ type: 'StateSet', data: { value } });

const begin = (handler: Handler, transaction: Omit<Money, 'metadata'>) => {
  if (handler.transact === undefined) throw new Error('no transactions');
  return handler.transact<StateState, StateEvent, string>(handled, { ...transaction, metadata });
};

/** Moves `amount` when there is so much; else refuses. */
const transfer = (handler: Handler, from: StreamId, to: StreamId, amount: number) =>
  begin(handler, {
    streams: [from, to],
    decide: (stateOf): Decided => {
      const [has, gets] = [amountOf(stateOf(from)), amountOf(stateOf(to))];
      if (has < amount) return { ok: false, rejection: 'too little' };
      const events = [
        { stream: from, event: setTo(has - amount) },
        { stream: to, event: setTo(gets + amount) },
      ];
      return { ok: true, succeeded: true, events };
    },
  });

const sumOf = async (handler: Handler, streams: readonly StreamId[]): Promise<number> => {
  let sum = 0;
  const outcome = await begin(handler, {
    streams,
    decide: (stateOf): Decided => {
      sum = 0;
      for (const stream of streams) sum += amountOf(stateOf(stream));
      return { ok: true, succeeded: true, events: [] };
    },
  });
  if (outcome.outcome !== 'done') throw new Error(outcome.outcome);
  return sum;
};

const withLog = test.macro(async (t, body: (t: ExecutionContext, log: EventLog) => Promise<void>) => {
  const directory = await mkdtemp(join(tmpdir(), 'nexus-transact-'));
  const log = await openEmbeddedLog({ directory, watchdogMs: 60_000 });
  try {
    await body(t, log);
  } finally {
    await log.close();
    await rm(directory, { recursive: true });
  }
});

const accounts = Array.from({ length: 5 }, (_, n) => account(n));
const each = 100;

/** Transfers and single writes at once by all `handlers`, while others add up: the sum is always the same. */
const bank = async (t: ExecutionContext, log: EventLog, handlers: readonly Handler[], rounds: number) => {
  const [first] = handlers;
  if (first === undefined) throw new Error('no handler');
  for (const stream of accounts) {
    await first.handle(handled, stream, { type: 'SetState', value: each }, { metadata });
  }
  const outcomes = new Map<string, number>();
  const sums: number[] = [];
  const client = async (handler: Handler, seed: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const from = accounts[(seed + round) % accounts.length] ?? account(0);
      const to = accounts[(seed * 3 + round * 2 + 1) % accounts.length] ?? account(0);
      if (from === to) {
        sums.push(await sumOf(handler, accounts));
        continue;
      }
      const { outcome } = await transfer(handler, from, to, 1 + ((seed + round) % 60));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      // Of the same stream, and beside the transactions: it must neither be lost nor lose one.
      await handler.handle(handled, from, { type: 'IncrementState', by: 0 }, { metadata });
    }
  };
  await Promise.all(handlers.flatMap((handler) => [1, 2, 3, 4].map((seed) => client(handler, seed))));

  t.deepEqual([...new Set(sums)], [accounts.length * each], 'each sum that anyone has seen');
  t.true(sums.length > 0 && (outcomes.get('done') ?? 0) > 0);
  t.is(await sumOf(first, accounts), accounts.length * each);

  // The log itself: folded transaction by transaction, no account is ever below nothing, and the sum stays.
  const amounts = new Map<StreamId, number>();
  let after = log.start;
  let open = 0;
  for (;;) {
    const page = await log.readAll({ after, limit: 1_000 });
    for (const event of page.events) {
      const { value } = event.data as { readonly value: number };
      amounts.set(event.stream, value);
      const { transaction } = event.metadata;
      t.is(transaction?.index ?? 0, open, 'events of a transaction stand side by side');
      open = transaction === undefined || transaction.index + 1 === transaction.count ? 0 : open + 1;
      const isComplete = open === 0 && amounts.size === accounts.length;
      const sum = [...amounts.values()].reduce((one, two) => one + two, 0);
      if (isComplete) t.is(sum, accounts.length * each);
      t.true(value >= 0);
    }
    if (!page.more) break;
    after = page.position;
  }
};

test('transact › transfers at once keep the sum, and nobody sees another one', withLog, async (t, log) => {
  await bank(t, log, [createHandler(log)], 60);
});

test('transact › of two nodes on one log keep the sum too', withLog, async (t, log) => {
  const shared: EventLog = { ...log, kind: 'redis' };
  await bank(t, log, [createHandler(shared), createHandler(shared)], 30);
});

test('transact › of two nodes on one Redis keep the sum too', async (t) => {
  if (!redisInstalled) return skipped(t, t.title, 'redis-server is not installed');
  const server = await openRedisServer();
  const logs = await Promise.all(
    [1, 2].map(() => openRedisLog({ url: server.url, limits: { replyMs: 30_000, callMs: 60_000 } })),
  );
  try {
    const [log] = logs;
    if (log !== undefined) await bank(t, log, logs.map(createHandler), 15);
  } finally {
    for (const log of logs) await log.close();
    await server.close();
  }
});

test('transact › on one hot key are pipelined and none is lost', withLog, async (t, log) => {
  const handler = createHandler(log);
  const count = (n: number) =>
    begin(handler, {
      streams: [account(0), account(n)],
      decide: (stateOf): Decided => ({
        ok: true,
        succeeded: true,
        events: [
          { stream: account(0), event: setTo(amountOf(stateOf(account(0))) + 1) },
          { stream: account(n), event: setTo(n) },
        ],
      }),
    });
  const outcomes = await Promise.all(Array.from({ length: 300 }, (_, n) => count(n + 1)));
  t.true(outcomes.every(({ outcome }) => outcome === 'done'));
  const events = await log.readStream(account(0), { limit: 1_000 });
  t.deepEqual(
    events.map(({ data }) => data),
    Array.from({ length: 300 }, (_, n) => ({ value: n + 1 })),
  );
});

for (const kind of ['embedded', 'redis'] as const) {
  test(
    `transact › what was only read is held to too, and a refusal is true of the newest (${kind})`,
    withLog,
    async (t, log) => {
      const there = createHandler(log);
      const here = createHandler({ ...log, kind });
      const put = (handler: Handler, stream: StreamId, value: number) =>
        handler.handle(handled, stream, { type: 'SetState', value }, { metadata });
      await put(here, account(0), 1);
      await put(here, account(1), 1);
      // Known here, and changed there: neither a write that rests on it nor a refusal may be told.
      await put(there, account(0), 2);
      const seen: number[] = [];
      const outcome = await begin(here, {
        streams: [account(0), account(1)],
        decide: (stateOf): Decided => {
          const value = amountOf(stateOf(account(0)));
          seen.push(value);
          return value === 1
            ? { ok: false, rejection: 'out of date' }
            : { ok: true, succeeded: true, events: [{ stream: account(1), event: setTo(value) }] };
        },
      });
      t.is(outcome.outcome, 'done');
      t.deepEqual(seen, [1, 2]);

      await put(there, account(0), 3);
      const again = await begin(here, {
        streams: [account(0), account(1)],
        decide: (stateOf): Decided => ({
          ok: true,
          succeeded: true,
          events: [{ stream: account(1), event: setTo(amountOf(stateOf(account(0)))) }],
        }),
      });
      if (again.outcome !== 'done') return t.fail(again.outcome);
      t.is(amountOf(again.stateOf(account(1))), 3);
      t.is(again.events[0]?.revision, asRevision(2));
    },
  );

  test(`transact › the same command is done once, and found whole (${kind})`, withLog, async (t, log) => {
    const ids = new Map<StreamId, string>();
    const eventId = (stream: StreamId): string => {
      const id = ids.get(stream) ?? newId();
      ids.set(stream, id);
      return id;
    };
    const streams = [account(3), account(1), account(2)];
    const run = (handler: Handler) =>
      begin(handler, {
        streams,
        decide: (): Decided => ({
          ok: true,
          succeeded: false,
          events: streams.map((stream, index) => ({ stream, event: setTo(index) })),
        }),
        // Found by the one in the middle.
        repeats: { eventId, streams: [account(9), account(1)] },
      });
    const handler = createHandler({ ...log, kind });
    const outcomes = await Promise.all([
      run(handler),
      run(handler),
      run(createHandler({ ...log, kind: 'redis' })),
    ]);
    t.is(outcomes.filter(({ outcome }) => outcome === 'done').length, 1);
    for (const outcome of [...outcomes, await run(createHandler(log))]) {
      if (outcome.outcome === 'done') continue;
      if (outcome.outcome !== 'repeated') return t.fail(outcome.outcome);
      t.deepEqual(
        outcome.recorded.map(({ stream }) => stream),
        streams,
      );
      t.is(outcome.recorded[0]?.metadata.transaction?.succeeded, false);
    }
    for (const stream of streams) t.is((await log.readStream(stream, { limit: 10 })).length, 1);
  });

  test(
    `transact › what a failed append left behind is forgotten, and waiting commands go on (${kind})`,
    withLog,
    async (t, log) => {
      let fails = true;
      const flaky: EventLog = {
        ...log,
        kind,
        appendAll: async (parts) => {
          if (!fails) return log.appendAll?.(parts) ?? Promise.reject(new Error('none'));
          fails = false;
          throw new LogError('log_unavailable', 'the log is away');
        },
      };
      const handler = createHandler(flaky);
      await handler.handle(handled, account(0), { type: 'SetState', value: 10 }, { metadata });
      const failed = transfer(handler, account(0), account(1), 10);
      const behind = handler.handle(handled, account(0), { type: 'IncrementState', by: 1 }, { metadata });
      await t.throwsAsync(failed, { instanceOf: LogError });
      t.is((await behind).outcome, 'done');
      t.is((await transfer(handler, account(0), account(1), 11)).outcome, 'done');
      t.is((await transfer(handler, account(0), account(1), 1)).outcome, 'rejected');
    },
  );
}

test('transact › gives up after a bounded number of tries', withLog, async (t, log) => {
  const busy: EventLog = {
    ...log,
    appendAll: async (parts) => ({
      ok: false,
      stream: parts[0]?.stream ?? account(0),
      expected: 'none',
      actual: asRevision(7),
    }),
  };
  t.deepEqual(await transfer(createHandler(busy), account(0), account(1), 0), {
    outcome: 'busy',
    attempts: 32,
  });
});

test('transact › is not there on a log that appends to one stream only', withLog, async (t, log) => {
  const { appendAll: _appendAll, ...single } = log;
  t.is(createHandler(single).transact, undefined);
});
