import test from 'ava';
import { type EventLog, LogError } from '../../../src/log/event-log.ts';
import {
  newFolder,
  okOf,
  openBus,
  payloadsOf,
  reopenSubscriptions,
  takeFrom,
  tokensOf,
  turns,
} from './support.ts';

/** The log, whose checkpoints are read and written only when the test lets them. */
const holding = (log: EventLog) => {
  let gate = { appends: Promise.resolve(), reads: Promise.resolve() };
  const held = { appends: 0, reads: 0, failedReads: 0, fails: false };
  const isCheckpoint = (stream: string): boolean => stream.startsWith('checkpoint-');
  return {
    log: {
      ...log,
      start: log.start,
      async append(...given: Parameters<EventLog['append']>) {
        if (isCheckpoint(given[0])) {
          held.appends++;
          await gate.appends;
        }
        return log.append(...given);
      },
      async readStream(...given: Parameters<EventLog['readStream']>) {
        if (isCheckpoint(given[0])) {
          held.reads++;
          await gate.reads;
          if (held.fails) {
            held.failedReads++;
            throw new LogError('log_unavailable', 'away', {});
          }
        }
        return log.readStream(...given);
      },
    },
    held,
    /** Holds them up until what this returns is called. */
    hold(what: 'appends' | 'reads'): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = { ...gate, [what]: promise };
      return resolve;
    },
  };
};

test('update of the topics › what was settled stays settled, though a checkpoint is being written', async (t) => {
  const bus = await openBus(await newFolder(t));
  t.teardown(bus.close);
  const gate = holding(bus.core.parts.log);
  const own = await reopenSubscriptions(bus.core, { log: gate.log });
  t.teardown(own.close);
  await bus.create('s');
  for (const payload of [1, 2, 3, 4]) await bus.publish(payload);
  const server = okOf(await own.server('s'));
  const first = await takeFrom(server, 2);
  t.deepEqual(payloadsOf(first), [1, 2]);
  const open = gate.hold('appends');
  await server.settle('ack', tokensOf(first).slice(0, 1), { durable: false });
  const durable = server.settle('ack', tokensOf(first).slice(1), { durable: true });
  while (gate.held.appends === 0) await turns();
  const third = await takeFrom(server, 1);
  await server.settle('ack', tokensOf(third), { durable: false });
  await bus.execute('CreateSubscription', { name: 's', topic: 'orders.*' });
  await turns();
  open();
  await durable;
  const next = okOf(await own.server('s'));
  const last = await takeFrom(next, 1);
  t.deepEqual(payloadsOf(last), [4]);
  t.like(await next.settle('ack', tokensOf(last), { durable: true }), { ok: true, value: { done: 1 } });
});

test('update while the log is away › goes on from what was settled, not from the older checkpoint', async (t) => {
  const bus = await openBus(await newFolder(t));
  t.teardown(bus.close);
  const gate = holding(bus.core.parts.log);
  const own = await reopenSubscriptions(bus.core, { log: gate.log });
  t.teardown(own.close);
  await bus.create('s');
  for (const payload of [1, 2]) await bus.publish(payload);
  const server = okOf(await own.server('s'));
  const first = await takeFrom(server, 1);
  await server.settle('ack', tokensOf(first), { durable: false });
  gate.held.fails = true;
  const updated = bus.execute('CreateSubscription', { name: 's', topic: 'orders.*' });
  while (gate.held.failedReads === 0) await turns();
  gate.held.fails = false;
  await updated;
  const next = okOf(await own.server('s'));
  t.deepEqual(payloadsOf(await takeFrom(next, 1)), [2]);
});

test('close while a subscription is being opened › leaves nothing behind', async (t) => {
  const folder = await newFolder(t);
  const bus = await openBus(folder);
  t.teardown(bus.close);
  await bus.create('s');
  await bus.publish(1, { deliverAt: '2100-01-01T00:00:00Z' });
  const gate = holding(bus.core.parts.log);
  await bus.core.parts.subscriptions.close();
  const { watchers } = bus.core.parts.hub.stats();
  const open = gate.hold('reads');
  const own = await reopenSubscriptions(bus.core, { log: gate.log });
  while (gate.held.reads === 0) await turns();
  const closed = own.close();
  await turns();
  open();
  await closed;
  await turns();
  t.is(bus.core.parts.hub.stats().watchers, watchers);
});
