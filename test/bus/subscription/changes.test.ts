import test, { type ExecutionContext } from 'ava';
import { context, newFolder, okOf, openBus, payloadsOf, tokensOf, turns } from './support.ts';

const open = async (t: ExecutionContext) => {
  const folder = await newFolder(t);
  const bus = await openBus(folder);
  t.teardown(bus.close);
  return { bus, folder };
};

test('reset › to the start, a position, a time or now begins there, and refuses what was delivered before', async (t) => {
  const { bus, folder } = await open(t);
  await bus.create('s');
  const first = await bus.publish(1);
  const second = await bus.publish(2);
  const [event] = okOf(await bus.core.log({ type: 'MessagePublished', limit: 1 }, context)).events;
  await bus.settle('ack', 's', await bus.take('s', 2), { durable: true });
  const reset = (to: string) => bus.execute('ResetSubscription', { name: 's', to });

  await reset('start');
  const again = await bus.take('s', 2);
  t.deepEqual(payloadsOf(again), [1, 2]);
  t.is((await bus.show('s')).lagEvents, 2);
  await reset(first.position);
  t.like(await bus.settle('ack', 's', again), { done: 0, refused: tokensOf(again) });
  t.deepEqual(payloadsOf(await bus.pull('s')), [2]);
  await reset(event?.metadata.recordedAt ?? '');
  t.deepEqual(payloadsOf(await bus.take('s', 2)), [1, 2]);
  await reset(second.position);
  t.is((await bus.show('s')).lagEvents, 0);
  await reset('now');
  await bus.publish(3);
  t.deepEqual(payloadsOf(await bus.pull('s')), [3]);
  await bus.close();
  const next = await openBus(folder);
  t.teardown(next.close);
  t.deepEqual(payloadsOf(await next.pull('s')), [3], 'a restart begins at the reset, not before it');
});

test('reset › leads a consumer on, also one that has not asked for anything yet', async (t) => {
  const { bus } = await open(t);
  await bus.create('s');
  await bus.publish(1);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const consume = async () => {
    const { deliveries } = okOf(await bus.core.consume('s', { signal: stop.signal, max: 10 }, context));
    return deliveries[Symbol.asyncIterator]();
  };
  const asking = await consume();
  t.deepEqual(payloadsOf((await asking.next()).value ?? []), [1]);
  const late = await consume();
  const next = asking.next();
  await turns();
  await bus.execute('ResetSubscription', { name: 's', to: 'start' });
  t.deepEqual(payloadsOf((await next).value ?? []), [1]);
  const lateNext = late.next();
  await bus.publish(2);
  t.deepEqual(payloadsOf((await Promise.race([lateNext, asking.next()])).value ?? []), [2]);
  await bus.publish(3);
  t.deepEqual(payloadsOf((await lateNext).value ?? []).length, 1);
});

test('update of the topics › goes on from where it was, with what matches from then on', async (t) => {
  const { bus } = await open(t);
  await bus.create('s', { topic: 'orders.created' });
  await bus.publish('before');
  await bus.publish('other', { topic: 'orders.paid' });
  await bus.settle('ack', 's', await bus.take('s', 1));
  await bus.create('s', { topic: 'orders.paid' });
  await bus.publish('created');
  await bus.publish('paid', { topic: 'orders.paid' });
  const came: unknown[] = [];
  while (came.at(-1) !== 'paid') came.push(...payloadsOf(await bus.pull('s')));
  t.false(came.includes('created') || came.includes('before'));
});

test('update to order by key › what is unsettled of a key comes one at a time from then on, all of it', async (t) => {
  const { bus } = await open(t);
  await bus.create('s', { backoffMs: [0] });
  for (const payload of [1, 2, 3, 4]) await bus.publish(payload, { key: 'k' });
  const all = await bus.take('s', 4);
  await bus.settle('nak', 's', all.slice(0, 1), { delayMs: 86_400_000 });
  await bus.settle('nak', 's', all.slice(2, 3), { delayMs: 0 });
  await bus.create('s', { order: 'key', backoffMs: [0] });
  t.deepEqual(await bus.pull('s', 10, 0), [], 'the first of the key waits for its attempt');
  t.is((await bus.show('s')).inFlight, 1);
  await bus.create('s', { order: 'none', backoffMs: [0] });
  t.deepEqual(payloadsOf(await bus.take('s', 3)).toSorted(), [2, 3, 4]);
});

test('update of other settings › lets deliveries stay what they are', async (t) => {
  const { bus } = await open(t);
  await bus.create('s');
  await bus.publish(1);
  const first = await bus.pull('s');
  await bus.create('s', { ackWaitMs: 60_000, maxInFlight: 7 });
  t.like(await bus.settle('ack', 's', first), { done: 1, refused: [] });
});

test('lagEvents › counts what is not met, ready, in flight and scheduled, each once', async (t) => {
  const { bus } = await open(t);
  await bus.create('s', { maxInFlight: 10 });
  const later = new Date(Date.now() + 3_600_000).toISOString();
  for (let number = 0; number < 30; number++) {
    await bus.publish(
      number,
      number % 3 === 0 ? { deliverAt: later, priority: 'HIGH' } : { priority: 'LOW' },
    );
  }
  await bus.publish('elsewhere', { topic: 'other' });
  t.like(await bus.show('s'), { lagEvents: 30, inFlight: 0 });
  const first = await bus.take('s', 10);
  t.like(await bus.show('s'), { lagEvents: 30, inFlight: 10 });
  await bus.settle('ack', 's', first.slice(0, 4));
  t.like(await bus.show('s'), { lagEvents: 26, inFlight: 6 });
  await bus.settle('nak', 's', first.slice(4, 5), { delayMs: 60_000 });
  t.like(await bus.show('s'), { lagEvents: 26, inFlight: 6 });
  await bus.publish('more');
  t.like(await bus.show('s'), { lagEvents: 27 });
});

test('lagEvents › counts a backlog that is longer than a lane holds', async (t) => {
  const { bus } = await open(t);
  const total = 3_000;
  for (let from = 0; from < total; from += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, index) => bus.publish(from + index)));
  }
  await bus.create('s');
  t.is((await bus.show('s')).lagEvents, total);
  await bus.settle('ack', 's', await bus.take('s', 700));
  t.is((await bus.show('s')).lagEvents, total - 700);
});
