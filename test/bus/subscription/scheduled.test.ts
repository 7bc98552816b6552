import test, { type ExecutionContext } from 'ava';
import { type Bus, newFolder, openBus, payloadsOf } from './support.ts';

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
  return { folder, time, bus: await openBus(folder, time.wallMs) };
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
