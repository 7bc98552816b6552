import test from 'ava';
import { dispatcherWith, entriesTo, entryAt, idsOf, tokensOf, turns } from './support.ts';

const second = 1_000;

test('pull › answers at once with all that is ready, up to max', async (t) => {
  const { dispatcher, pull } = dispatcherWith();
  dispatcher.sink.accept(entriesTo(700));
  t.is((await pull(300, 60 * second)).length, 300);
  t.is((await pull(1_000, 60 * second)).length, 400);
});

test('pull › waits for the first and is answered with it; with none after waitMs', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith();
  const asked = pull(10, 5 * second);
  clock.advance(5 * second - 1);
  dispatcher.sink.accept(entriesTo(2));
  t.deepEqual(idsOf(await asked), ['m1', 'm2']);
  const late = pull(10, 5 * second);
  clock.advance(5 * second);
  t.deepEqual(await late, []);
  dispatcher.sink.accept([entryAt(3)]);
  t.is(dispatcher.inFlight, 2, 'one that was answered takes nothing more');
  t.deepEqual(idsOf(await pull()), ['m3']);
});

test('pull › whose asker is gone gets nothing: what it would have got stays', async (t) => {
  const { dispatcher, pull } = dispatcherWith();
  const gone = new AbortController();
  const waiting = dispatcher.pull(10, 60 * second, gone.signal);
  gone.abort();
  t.deepEqual(await waiting, []);
  dispatcher.sink.accept([entryAt(1)]);
  t.deepEqual(await dispatcher.pull(10, 0, gone.signal), []);
  t.is(dispatcher.inFlight, 0);

  const late = new AbortController();
  const answered = dispatcher.pull(10, 60 * second, late.signal);
  t.is(dispatcher.inFlight, 1);
  late.abort();
  t.deepEqual(await answered, [], 'nor when it went in the very turn of the answer');
  const [again] = await pull();
  t.deepEqual([again?.message.messageId, again?.attempt], ['m1', 1]);
});

test('a consumer › holds at most its max, and gets as many more as it settles', async (t) => {
  const { dispatcher } = dispatcherWith();
  dispatcher.sink.accept(entriesTo(10));
  const consumer = dispatcher.join(3);
  const first = await dispatcher.next(consumer);
  t.deepEqual(idsOf(first), ['m1', 'm2', 'm3']);
  const next = dispatcher.next(consumer);
  await turns();
  t.is(dispatcher.inFlight, 3);
  dispatcher.settle('ack', tokensOf(first).slice(0, 2), {});
  const second_ = await next;
  t.true([1, 2].includes(second_?.length ?? 0));
  t.is(idsOf(second_)[0], 'm4');
});

test('maxInFlight › bounds the group, with what waits for its next attempt', async (t) => {
  const { dispatcher, clock, pull } = dispatcherWith({ maxInFlight: 4, backoffMs: [10 * second] });
  dispatcher.sink.accept(entriesTo(10));
  const one = dispatcher.join(3);
  const other = dispatcher.join(3);
  const first = await dispatcher.next(one);
  t.is(first?.length, 3);
  t.is((await dispatcher.next(other))?.length, 1);
  dispatcher.settle('nak', tokensOf(first), {});
  t.is(dispatcher.inFlight, 4);
  t.deepEqual(await pull(), []);
  clock.advance(10 * second);
  t.deepEqual(idsOf(await pull()), ['m1', 'm2', 'm3'], 'what failed comes before what is new');
});

test('bytes › of what is in flight are bounded, and a single large message still comes', async (t) => {
  const { dispatcher, pull } = dispatcherWith({ maxInFlight: 5_000 });
  const payload = 'x'.repeat(500_000);
  dispatcher.sink.accept(entriesTo(200, { payload }));
  const first = await pull();
  t.is(first.length, Math.ceil((64 * 1_048_576) / entryAt(1, { payload }).bytes));
  t.deepEqual(await pull(), []);
  dispatcher.settle('nak', tokensOf(first), { delayMs: 60 * second });
  t.deepEqual(await pull(), [], 'also while they wait for their next attempt');
  dispatcher.giveBack(tokensOf(first));
  dispatcher.close();

  const own = dispatcherWith({ backoffMs: [0] });
  own.dispatcher.sink.accept(entriesTo(200, { payload }));
  for (let round = 0; round < 4; round++) {
    const taken = await own.pull();
    t.is(taken.length, first.length, `round ${round}: no byte is counted twice, or forgotten`);
    own.dispatcher.settle(round % 2 === 0 ? 'nak' : 'ack', tokensOf(taken), {});
  }
});

test('several consumers › share what is ready', async (t) => {
  const { dispatcher } = dispatcherWith();
  const consumers = [1, 2, 3].map(() => dispatcher.join(100));
  const asked = consumers.map((consumer) => dispatcher.next(consumer));
  dispatcher.sink.accept(entriesTo(30));
  const got = await Promise.all(asked);
  t.deepEqual(
    got.map((batch) => batch?.length),
    [10, 10, 10],
  );
  t.is(new Set(got.flatMap(idsOf)).size, 30);
});

test('several consumers › that ask again and again take turns, one message at a time', async (t) => {
  const { dispatcher } = dispatcherWith();
  const counts = [0, 0, 0, 0];
  const run = async (index: number) => {
    const consumer = dispatcher.join(10);
    for (
      let batch = await dispatcher.next(consumer);
      batch !== undefined;
      batch = await dispatcher.next(consumer)
    ) {
      counts[index] = (counts[index] ?? 0) + batch.length;
      dispatcher.settle('ack', tokensOf(batch), {});
    }
  };
  const running = counts.map((_, index) => run(index));
  for (let place = 1; place <= 400; place++) {
    dispatcher.sink.accept([entryAt(place)]);
    await turns(1);
  }
  dispatcher.close();
  await Promise.all(running);
  t.deepEqual(counts, [100, 100, 100, 100]);
});

test('a consumer that goes away › its deliveries come again at once, each as a failed attempt', async (t) => {
  const { dispatcher, pull, buried } = dispatcherWith({ maxDeliver: 2, backoffMs: [60 * second] });
  dispatcher.sink.accept(entriesTo(3));
  const consumer = dispatcher.join(2);
  const held = tokensOf(await dispatcher.next(consumer));
  dispatcher.leave(consumer, false);
  const again = await pull();
  t.deepEqual(
    again.map(({ message, attempt }) => [message.messageId, attempt]),
    [
      ['m1', 2],
      ['m2', 2],
      ['m3', 1],
    ],
  );
  t.deepEqual(dispatcher.settle('ack', held, {}), held);
  t.is(await dispatcher.next(consumer), undefined);
  dispatcher.settle('nak', tokensOf(again).slice(0, 1), {});
  await turns();
  t.deepEqual(
    buried[0]?.errors.map(({ reason }) => reason),
    ['the consumer went away', 'refused by the consumer'],
  );
});

test('a consumer that goes away › with the last attempt makes a dead letter', async (t) => {
  const { dispatcher, buried } = dispatcherWith({ maxDeliver: 1 });
  dispatcher.sink.accept([entryAt(1)]);
  const consumer = dispatcher.join(2);
  await dispatcher.next(consumer);
  dispatcher.leave(consumer, false);
  await turns();
  t.like(buried[0], { messageId: 'm1', error: 'the consumer went away' });
});

test('a consumer that goes away while it waits is told so', async (t) => {
  const { dispatcher } = dispatcherWith();
  const consumer = dispatcher.join(2);
  const next = dispatcher.next(consumer);
  dispatcher.leave(consumer, false);
  t.is(await next, undefined);
});

test('what the hub is to blame for is no failed attempt: it comes again at once, with the same number', async (t) => {
  const { dispatcher, pull } = dispatcherWith();
  dispatcher.sink.accept(entriesTo(3));
  const consumer = dispatcher.join(1);
  const kept = tokensOf(await dispatcher.next(consumer));
  dispatcher.leave(consumer, true);
  const given = await pull(2);
  dispatcher.giveBack([...tokensOf(given), ...kept, 'x']);
  t.is(dispatcher.inFlight, 0);
  t.deepEqual(
    (await pull()).map(({ message, attempt }) => [message.messageId, attempt]),
    [
      ['m1', 1],
      ['m2', 1],
      ['m3', 1],
    ],
  );
});

test('not the owner › nothing is delivered until it is again, and wake says that it may be', async (t) => {
  let isOwner = false;
  const { dispatcher, pull } = dispatcherWith({}, { isOwner: () => isOwner });
  dispatcher.sink.accept([entryAt(1)]);
  t.deepEqual(await pull(), []);
  const next = dispatcher.next(dispatcher.join(1));
  await turns();
  isOwner = true;
  dispatcher.wake();
  t.deepEqual(idsOf(await next), ['m1']);
});

test('close › ends who waits, and who comes later; nothing is delivered, settled or saved any more', async (t) => {
  const { dispatcher, clock, pull, counts, buried } = dispatcherWith({ maxDeliver: 1 });
  dispatcher.sink.accept(entriesTo(2));
  const held = tokensOf(await pull(1));
  dispatcher.settle('ack', tokensOf(await pull(1)), {});
  const consumer = dispatcher.join(1);
  const next = dispatcher.next(consumer);
  const pulled = dispatcher.pull(1, 60 * second, new AbortController().signal);
  dispatcher.close();
  dispatcher.close();
  t.is(await next, undefined);
  t.deepEqual(await pulled, []);
  t.is(await dispatcher.next(consumer), undefined);
  t.is(await dispatcher.next(dispatcher.join(1)), undefined);
  t.deepEqual(await pull(), []);
  dispatcher.sink.accept([entryAt(3)]);
  t.deepEqual(dispatcher.settle('ack', held, {}), held);
  clock.advance(3_600 * second);
  await turns();
  t.deepEqual([counts.saves, buried], [0, []]);
});

test('drain › ends the consumers, refuses what they settle from then on, and saves what was settled', async (t) => {
  const saving = Promise.withResolvers<'done'>();
  let saves = 0;
  const { dispatcher } = dispatcherWith(
    {},
    {
      save: () => {
        saves++;
        return saving.promise;
      },
    },
  );
  dispatcher.sink.accept(entriesTo(2));
  const consumer = dispatcher.join(2);
  const held = tokensOf(await dispatcher.next(consumer));
  dispatcher.settle('ack', held.slice(0, 1), {});
  const next = dispatcher.next(consumer);
  const drained = dispatcher.drain();
  t.is(await Promise.race([next, turns().then(() => 'still waits')]), undefined);
  t.is(await dispatcher.next(dispatcher.join(1)), undefined);
  t.deepEqual(dispatcher.settle('ack', held.slice(1), {}), held.slice(1));
  await turns();
  t.is(saves, 1);
  saving.resolve('done');
  await drained;
  t.is(saves, 1);
});
