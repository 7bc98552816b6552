import test from 'ava';
import type { Clock } from '../../../src/clock.ts';
import { createTestClock } from '../../registry/support.ts';
import { dispatcherWith, entriesTo, newFolder, openBus, tokensOf, turns } from './support.ts';

/** AVA's own timeout ends what stays. */
const few = 3;

test.serial(
  'create and delete, a thousand times › leave no watcher, nothing that is served and no timer that keeps the process',
  async (t) => {
    const bus = await openBus(await newFolder(t));
    t.teardown(bus.close);
    const { hub, subscriptions } = bus.core.parts;
    await bus.publish(1);
    await turns(20);
    const before = hub.stats().watchers;
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const timersBefore = timers();
    for (let round = 0; round < 50; round++) {
      const names = Array.from({ length: 20 }, (_, index) => `s${index}`);
      await Promise.all(names.map((name) => bus.create(name, { ackWaitMs: 86_400_000 })));
      const pulled = await bus.pull('s0');
      if (round % 2 === 0) await bus.settle('nak', 's0', pulled, { delayMs: 86_400_000 });
      if (round % 5 === 0) t.is((await bus.show('s1')).lagEvents, 1);
      await Promise.all(names.map((name) => bus.execute('DeleteSubscription', { name })));
    }
    // What the hub itself begins a little later is none of theirs; one of each of theirs would be a thousand.
    while (hub.stats().watchers > before + few || timers() > timersBefore + few) await turns();
    t.true(hub.stats().watchers <= before + few);
    t.false((await subscriptions.server('s0')).ok);
  },
);

test('close and drain › of a dispatcher leave no alarm set, whatever waits', async (t) => {
  for (const end of ['close', 'drain'] as const) {
    const clock = createTestClock();
    let alarms = 0;
    const counting: Clock = {
      now: clock.now,
      after(delayMs, run) {
        let isSet = true;
        alarms++;
        const unset = (): void => {
          if (isSet) alarms--;
          isSet = false;
        };
        const cancel = clock.after(delayMs, () => {
          unset();
          run();
        });
        return () => {
          unset();
          cancel();
        };
      },
    };
    const { dispatcher } = dispatcherWith({}, { clock: counting });
    dispatcher.sink.accept(entriesTo(4));
    const { signal } = new AbortController();
    const first = tokensOf(await dispatcher.pull(4, 0, signal));
    dispatcher.settle('ack', first.slice(0, 1), {});
    dispatcher.settle('nak', first.slice(1, 2), { delayMs: 60_000 });
    const waiting = dispatcher.pull(1, 60_000, signal);
    t.true(alarms > 0);
    await dispatcher[end]();
    t.deepEqual(await waiting, []);
    t.is(alarms, 0, end);
  }
});
