import test from 'ava';
import { dispatcherWith, entriesTo, entryAt, idsOf, tokensOf, turns } from './support.ts';

const second = 1_000;

test('ack › settles: nothing comes again, and the room is free', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({ maxInFlight: 2 });
  dispatcher.sink.accept(entriesTo(3));
  const first = await pull();
  t.deepEqual(idsOf(first), ['m1', 'm2']);
  t.deepEqual(dispatcher.settle('ack', tokensOf(first), {}), []);
  t.deepEqual([dispatcher.inFlight, dispatcher.unsettled], [0, 1]);
  clock.advance(3_600 * second);
  t.deepEqual(idsOf(await pull()), ['m3']);
});

test('time-out › is a failed attempt after ackWaitMs, no moment before, and waits the backoff of its number', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({
    ackWaitMs: 10 * second,
    backoffMs: [second, 5 * second],
  });
  dispatcher.sink.accept([entryAt(1)]);
  for (const [attempt, backoff] of [
    [1, second],
    [2, 5 * second],
    [3, 5 * second],
  ] as const) {
    const [delivery] = await pull();
    t.is(delivery?.attempt, attempt);
    clock.advance(10 * second - 1);
    t.deepEqual(dispatcher.settle('extend', tokensOf([]), {}), []);
    t.is(dispatcher.inFlight, 1);
    clock.advance(1);
    t.deepEqual(dispatcher.settle('ack', [delivery?.delivery ?? ''], {}), [delivery?.delivery]);
    clock.advance(backoff - 1);
    t.deepEqual(await pull(), []);
    clock.advance(1);
  }
  t.is((await pull())[0]?.attempt, 4);
});

test('nak › waits the backoff of the attempt, or what it says, or not at all', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({ backoffMs: [2 * second], maxDeliver: 9 });
  dispatcher.sink.accept([entryAt(1)]);
  const again = async (afterMs: number, options: { readonly delayMs?: number }) => {
    dispatcher.settle('nak', tokensOf(await pull()), options);
    if (afterMs === 0) return;
    clock.advance(afterMs - 1);
    t.deepEqual(await pull(), []);
    clock.advance(1);
  };
  await again(2 * second, {});
  await again(7 * second, { delayMs: 7 * second });
  await again(0, { delayMs: 0 });
  t.is((await pull())[0]?.attempt, 4);
});

test('backoff › is longer by up to a fifth, as chance has it', async (t) => {
  for (const [drawn, waitMs] of [
    [0, 1_000],
    [0.5, 1_100],
    [1, 1_200],
  ] as const) {
    const { dispatcher, clock, pull } = dispatcherWith({ backoffMs: [second] }, { random: () => drawn });
    dispatcher.sink.accept([entryAt(1)]);
    dispatcher.settle('nak', tokensOf(await pull()), {});
    clock.advance(waitMs - 1);
    t.deepEqual(await pull(), [], `drawn ${drawn}`);
    clock.advance(1);
    t.is((await pull()).length, 1, `drawn ${drawn}`);
  }
});

test('extend › counts ackWaitMs anew: a handler twice as slow has no redelivery', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({ ackWaitMs: 10 * second });
  dispatcher.sink.accept(entriesTo(100));
  const deliveries = await pull();
  for (let atMs = 0; atMs < 20 * second; atMs += 4 * second) {
    t.deepEqual(dispatcher.settle('extend', tokensOf(deliveries), {}), []);
    clock.advance(4 * second);
  }
  t.deepEqual(dispatcher.settle('ack', tokensOf(deliveries), {}), []);
  clock.advance(100 * second);
  t.deepEqual([await pull(), dispatcher.unsettled], [[], 0]);
});

test('extend › of some lets the others fail in their time', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({ ackWaitMs: 10 * second, backoffMs: [0] });
  dispatcher.sink.accept(entriesTo(2));
  const [slow = '', silent = ''] = tokensOf(await pull());
  clock.advance(5 * second);
  dispatcher.settle('extend', [slow], {});
  clock.advance(5 * second);
  t.deepEqual(dispatcher.settle('ack', [slow, silent], {}), [silent]);
  t.deepEqual(idsOf(await pull()), ['m2']);
});

test('maxDeliver › failures make a dead letter with each failure in it', async (t) => {
  const { dispatcher, clock, pull, buried } = dispatcherWith({
    maxDeliver: 3,
    backoffMs: [second],
    ackWaitMs: second,
  });
  dispatcher.sink.accept([entryAt(1, { payload: { a: 1 } })]);
  dispatcher.settle('nak', tokensOf(await pull()), { reason: 'first' });
  clock.advance(second);
  await pull();
  clock.advance(2 * second);
  dispatcher.settle('nak', tokensOf(await pull()), {});
  await turns();
  t.is(dispatcher.unsettled, 0);
  t.is(dispatcher.inFlight, 0);
  t.like(buried, { length: 1 });
  t.like(buried[0], { messageId: 'm1', attempts: 3, error: 'refused by the consumer', redrives: 0 });
  t.deepEqual(
    buried[0]?.errors.map(({ reason }) => reason),
    ['first', 'not acknowledged within 1000 ms', 'refused by the consumer'],
  );
  t.deepEqual(buried[0]?.message.payload, { a: 1 });
});

test('term › is a dead letter at once', async (t) => {
  const { dispatcher, pull, buried } = dispatcherWith();
  dispatcher.sink.accept([entryAt(1)]);
  dispatcher.settle('term', tokensOf(await pull()), { reason: 'never' });
  await turns();
  t.like(buried[0], { messageId: 'm1', attempts: 1, error: 'never' });
  t.is(dispatcher.unsettled, 0);
});

test('a letter frees the room that its message took: the next one comes although nothing else happens', async (t) => {
  const { dispatcher } = dispatcherWith({ maxDeliver: 1, maxInFlight: 1 });
  const consumer = dispatcher.join(10);
  dispatcher.sink.accept(entriesTo(2));
  const first = await dispatcher.next(consumer);
  t.deepEqual(idsOf(first), ['m1']);
  const next = dispatcher.next(consumer);
  dispatcher.settle('nak', tokensOf(first), {});
  await turns();
  t.is(dispatcher.inFlight, 1);
  t.deepEqual(idsOf(await next), ['m2']);
});

test('token › of a delivery that was settled, timed out, given to another, or of another dispatcher is refused', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({ ackWaitMs: second, backoffMs: [0] });
  const other = dispatcherWith();
  other.dispatcher.sink.accept([entryAt(9)]);
  const foreign = tokensOf(await other.pull());
  t.is(foreign.length, 1);
  dispatcher.sink.accept([entryAt(1)]);
  const timedOut = tokensOf(await pull());
  clock.advance(second);
  const current = tokensOf(await pull());
  const refused = [...timedOut, ...foreign, '', 'x', '__proto__'];
  for (const how of ['ack', 'nak', 'term', 'extend'] as const) {
    t.deepEqual(dispatcher.settle(how, refused, {}), refused);
  }
  t.deepEqual(dispatcher.settle('ack', [...current, ...current], {}), current, 'twice in one call is once');
  t.deepEqual(dispatcher.settle('ack', current, {}), current);
  t.is(dispatcher.unsettled, 0);
});

test('ttl › a message that is out of date is not delivered, the first time or again, and counts as settled', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({ ackWaitMs: 10 * second, backoffMs: [30 * second] });
  const expiresAt = new Date(clock.now() + 20 * second).toISOString();
  dispatcher.sink.accept([entryAt(1, { expiresAt }), entryAt(2)]);
  t.is((await pull(1))[0]?.attempt, 1);
  dispatcher.sink.accept([entryAt(3, { expiresAt })]);
  clock.advance(40 * second);
  t.deepEqual(idsOf(await pull()), ['m2']);
  t.is(dispatcher.unsettled, 1);
});

test('a shorter ackWaitMs holds for what is under way too', async (t) => {
  const { dispatcher, clock, pull, settings } = dispatcherWith({ ackWaitMs: 60 * second, backoffMs: [0] });
  dispatcher.sink.accept(entriesTo(2));
  const first = tokensOf(await pull(1));
  clock.advance(second);
  dispatcher.update({ ...settings, ackWaitMs: 5 * second }, false);
  await pull(1);
  clock.advance(5 * second - 1);
  t.deepEqual(dispatcher.settle('extend', first, {}), []);
  clock.advance(1);
  t.deepEqual(idsOf(await pull()), ['m2'], 'the one that was extended is still under way');
  clock.advance(5 * second - 1);
  t.deepEqual(idsOf(await pull()), ['m1']);
});

test('a longer ackWaitMs holds for what is delivered from then on', async (t) => {
  const { dispatcher, clock, pull, settings } = dispatcherWith({ ackWaitMs: 5 * second, backoffMs: [0] });
  dispatcher.sink.accept(entriesTo(2));
  await pull(1);
  dispatcher.update({ ...settings, ackWaitMs: 60 * second }, false);
  const later = tokensOf(await pull(1));
  clock.advance(5 * second);
  t.deepEqual(idsOf(await pull()), ['m1']);
  t.deepEqual(dispatcher.settle('ack', later, {}), []);
});

test('pause › delivers nothing and still settles; resume goes on, also with what came meanwhile', async (t) => {
  const { dispatcher, pull, settings } = dispatcherWith({ maxInFlight: 1 });
  dispatcher.sink.accept(entriesTo(2));
  const first = await pull();
  dispatcher.update({ ...settings, maxInFlight: 1 }, true);
  t.deepEqual(dispatcher.settle('ack', tokensOf(first), {}), []);
  dispatcher.sink.accept([entryAt(3)]);
  const consumer = dispatcher.join(10);
  const next = dispatcher.next(consumer);
  t.deepEqual(await pull(), []);
  dispatcher.update({ ...settings, maxInFlight: 10 }, false);
  t.deepEqual(idsOf(await next), ['m2', 'm3']);
});

test('restored › what waits for its next attempt goes on waiting, the rest is ready, each with its attempts', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith();
  const waits = entryAt(1, { attempts: 2 });
  waits.dueAtMs = clock.now() + 5 * second;
  const isReady = entryAt(2, { attempts: 1 });
  dispatcher.sink.restored([waits, isReady]);
  t.is(dispatcher.inFlight, 1);
  const [first] = await pull();
  t.deepEqual([first?.message.messageId, first?.attempt], ['m2', 2]);
  clock.advance(5 * second);
  const [second_] = await pull();
  t.deepEqual([second_?.message.messageId, second_?.attempt], ['m1', 3]);
});

test('restored › what has failed as often as it may is a dead letter, and not delivered once more', async (t) => {
  const { dispatcher, pull, buried } = dispatcherWith({ maxDeliver: 3, order: 'key' });
  dispatcher.sink.restored([entryAt(1, { attempts: 3, key: 'k' }), entryAt(2, { key: 'k' })]);
  t.deepEqual(await pull(), []);
  await turns();
  t.deepEqual(
    buried.map(({ messageId, attempts }) => [messageId, attempts]),
    [['m1', 3]],
  );
  t.deepEqual(idsOf(await pull()), ['m2']);
});

test('a failed attempt is saved as what is settled is: within a second, and when the dispatcher drains', async (t) => {
  const { dispatcher, clock, pull, counts } = dispatcherWith({ backoffMs: [second] });
  dispatcher.sink.accept(entriesTo(2));
  const [first = '', other = ''] = tokensOf(await pull());
  dispatcher.settle('nak', [first], {});
  clock.advance(second);
  await turns();
  t.is(counts.saves, 1);
  dispatcher.settle('nak', [other], {});
  await dispatcher.drain();
  t.is(counts.saves, 2);
});

test('flushed › waits for the letter of what was terminated', async (t) => {
  const recording = Promise.withResolvers<'done'>();
  const { dispatcher, pull } = dispatcherWith({}, { bury: () => recording.promise });
  dispatcher.sink.accept([entryAt(1)]);
  dispatcher.settle('term', tokensOf(await pull()), {});
  let flushed: boolean | undefined;
  const flushing = dispatcher.flushed().then((done) => {
    flushed = done;
  });
  await turns();
  t.is(flushed, undefined);
  recording.resolve('done');
  await flushing;
  t.true(flushed);
});

test('flushed › is false when the letter never will be recorded here', async (t) => {
  const { dispatcher, pull } = dispatcherWith({}, { bury: () => new Promise(() => {}) });
  dispatcher.sink.accept([entryAt(1)]);
  dispatcher.settle('term', tokensOf(await pull()), {});
  const flushed = dispatcher.flushed();
  await turns();
  dispatcher.close();
  t.false(await flushed);
  t.false(await dispatcher.flushed());
});

test('restored › of two that wait with the same key none is forgotten, and they come one at a time', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({ order: 'key' });
  const waiting = [1, 3].map((place) =>
    Object.assign(entryAt(place, { attempts: 1, key: 'k' }), { dueAtMs: clock.now() + place * second }),
  );
  dispatcher.sink.restored([...waiting.slice(0, 1), entryAt(2, { key: 'k' }), ...waiting.slice(1)]);
  clock.advance(10 * second);
  const came: string[] = [];
  for (let batch = await pull(); batch.length > 0; batch = await pull()) {
    t.is(batch.length, 1);
    came.push(...idsOf(batch));
    dispatcher.settle('ack', tokensOf(batch), {});
  }
  t.deepEqual(came, ['m1', 'm2', 'm3']);
  t.is(dispatcher.unsettled, 0);
});
