import test, { type ExecutionContext } from 'ava';
import { type Bus, newFolder, openBus, payloadsOf, turns } from './support.ts';

const hourMs = 3_600_000;

/** A time of day that a test moves; the log's own stands still beside it. */
const movedTime = () => {
  let offsetMs = 0;
  return {
    wallMs: () => Date.now() + offsetMs,
    inHours: (hours: number) => new Date(Date.now() + hours * hourMs).toISOString(),
    /** To a minute behind `hours` from the start, which is told to `bus` by a scheduled message of nobody's. */
    async moveTo(hours: number, bus?: Bus) {
      offsetMs = hours * hourMs + 60_000;
      await bus?.publish('poke', {
        topic: 'poke',
        deliverAt: new Date(Date.now() + 1e6 * hourMs).toISOString(),
      });
    },
  };
};

const open = async (t: ExecutionContext) => {
  const folder = await newFolder(t);
  const time = movedTime();
  const bus = await openBus(folder, time.wallMs);
  t.teardown(bus.close);
  return { folder, time, bus };
};

test('scheduled › comes at its time and not before, once, also when others are unsettled behind a restart', async (t) => {
  const { folder, time, bus } = await open(t);
  await bus.create('s');
  await bus.publish('plain');
  await bus.publish('later', { deliverAt: time.inHours(1) });
  await bus.publish('last', { deliverAt: time.inHours(9) });
  t.deepEqual(payloadsOf(await bus.pull('s')), ['plain']);
  t.deepEqual(await bus.pull('s', 10, 0), []);
  t.is((await bus.show('s')).lagEvents, 3);
  await time.moveTo(1, bus);
  const later = await bus.pull('s');
  t.deepEqual(payloadsOf(later), ['later']);
  t.like(await bus.settle('ack', 's', later, { durable: true }), { done: 1, durable: true });
  await bus.close();

  const again = await openBus(folder, time.wallMs);
  t.teardown(again.close);
  t.deepEqual(payloadsOf(await again.pull('s')), ['plain']);
  await again.publish('end');
  t.deepEqual(payloadsOf(await again.pull('s')), ['end'], 'what was acknowledged does not come again');
  t.is((await again.show('s')).lagEvents, 3);
});

test('scheduled › thousands come in the order of their times, each once, with all that was plain', async (t) => {
  const { time, bus } = await open(t);
  await bus.create('s', { maxInFlight: 5_000 });
  const total = 3_000;
  const base = Date.now() + hourMs;
  for (let from = 0; from < total; from += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, index) => {
        const number = from + index;
        const dueMs = base + ((number * 7_919) % total) * 1_000;
        return bus.publish((number * 7_919) % total, { deliverAt: new Date(dueMs).toISOString() });
      }),
    );
  }
  t.is((await bus.show('s')).lagEvents, total);
  await time.moveTo(3, bus);
  const came: unknown[] = [];
  while (came.length < total) {
    const batch = await bus.pull('s');
    came.push(...payloadsOf(batch));
    await bus.settle('ack', 's', batch);
  }
  t.deepEqual(
    came,
    Array.from({ length: total }, (_, index) => index),
  );
  t.is((await bus.show('s')).lagEvents, 0);
});

test('scheduled › due while no hub runs, or in the middle of a restart, comes once', async (t) => {
  const { folder, time, bus } = await open(t);
  await bus.create('s');
  for (const hours of [1, 2, 3, 4]) await bus.publish(hours, { deliverAt: time.inHours(hours) });
  await time.moveTo(1, bus);
  const first = await bus.take('s', 1);
  await bus.settle('ack', 's', first, { durable: true });
  await bus.close();
  await time.moveTo(2);
  const second = await openBus(folder, time.wallMs);
  t.deepEqual(payloadsOf(await second.take('s', 1)), [2]);
  await time.moveTo(3);
  await second.close();
  const third = await openBus(folder, time.wallMs);
  t.deepEqual(payloadsOf(await third.take('s', 2)).toSorted(), [2, 3]);
  t.deepEqual(await third.pull('s', 10, 0), []);
  await third.close();
  await time.moveTo(4);
  const last = await openBus(folder, time.wallMs);
  t.teardown(last.close);
  const all = await last.take('s', 3);
  t.deepEqual(payloadsOf(all).toSorted(), [2, 3, 4]);
  t.like(await last.settle('ack', 's', all), { done: 3 });
  t.is((await last.show('s')).lagEvents, 0);
});

test('scheduled › a lane that is behind delivers what fell due before it came there, once', async (t) => {
  const { folder, time, bus } = await open(t);
  await bus.create('s', { maxInFlight: 1 });
  // More than a lane holds stands before the scheduled one, so nobody has met that when it falls due.
  for (let from = 0; from < 2_500; from += 500) {
    await Promise.all(Array.from({ length: 500 }, () => bus.publish('plain')));
  }
  await bus.publish('scheduled', { deliverAt: time.inHours(1) });
  await time.moveTo(1, bus);
  await turns(20);
  await bus.close();
  const again = await openBus(folder, time.wallMs);
  t.teardown(again.close);
  await again.create('s', { maxInFlight: 5_000 });
  const came = payloadsOf(await again.take('s', 2_501));
  t.is(came.filter((payload) => payload === 'scheduled').length, 1);
  t.is((await again.show('s')).lagEvents, 2_501);
});

test('scheduled › a publisher of short delays loses none and doubles none, whatever falls due while it is read', async (t) => {
  const { bus } = await open(t);
  await bus.create('s', { maxInFlight: 5_000 });
  const total = 1_500;
  const publishing = (async () => {
    for (let from = 0; from < total; from += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, index) => {
          const deliverAt = new Date(Date.now() + (index % 5) * 3).toISOString();
          return bus.publish(from + index, { deliverAt, priority: index % 2 === 0 ? 'HIGH' : 'LOW' });
        }),
      );
    }
  })();
  const came: unknown[] = [];
  while (came.length < total) {
    const batch = await bus.pull('s');
    if (batch.length === 0) break;
    came.push(...payloadsOf(batch));
    await bus.settle('ack', 's', batch);
  }
  await publishing;
  t.is(came.length, total);
  t.is(new Set(came).size, total);
  t.is((await bus.show('s')).lagEvents, 0);
});
