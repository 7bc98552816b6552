import test from 'ava';
import { streamId } from '../../../domain/event.ts';
import { type Ownership, soleOwnership } from '../../../src/bus/ownership.ts';
import type { EventLog } from '../../../src/log/event-log.ts';
import { newFolder, okOf, openBus, reopenSubscriptions, turns } from './support.ts';

/** The ownership of a node that holds one lease, which is valid when the test says so. */
const leased = () => {
  const listeners: (() => void)[] = [];
  let valid = true;
  const ownership: Ownership = {
    ...soleOwnership,
    self: { node: 'n', epoch: 'e' },
    get valid() {
      return valid;
    },
    onChange: (listener) => void listeners.push(listener),
  };
  return {
    ownership,
    become(now: boolean): void {
      valid = now;
      for (const listener of listeners) listener();
    },
  };
};

/** The log, which counts checkpoints that are to be appended, and whose reads of them wait for `gate`. */
const watched = (log: EventLog, gate: Promise<void> = Promise.resolve()) => {
  const reading = Promise.withResolvers<void>();
  const counts = { appends: 0 };
  const isCheckpoint = (stream: string): boolean => stream === streamId('checkpoint', 's');
  return {
    counts,
    reading: reading.promise,
    log: {
      ...log,
      async append(...given: Parameters<EventLog['append']>) {
        if (isCheckpoint(given[0])) counts.appends++;
        return log.append(...given);
      },
      async readStream(...given: Parameters<EventLog['readStream']>) {
        const events = await log.readStream(...given);
        if (!isCheckpoint(given[0])) return events;
        reading.resolve();
        await gate;
        return events;
      },
    },
  };
};

test('a node whose lease may be over › writes no checkpoint, and serves when it is renewed', async (t) => {
  const bus = await openBus(await newFolder(t));
  t.teardown(bus.close);
  await bus.create('s');
  const before = await reopenSubscriptions(bus.core, { ownership: leased().ownership });
  okOf(await before.server('s'));
  await before.close();

  const { ownership, become } = leased();
  const { log, counts } = watched(bus.core.parts.log);
  become(false);
  const own = await reopenSubscriptions(bus.core, { ownership, log });
  t.teardown(own.close);
  let served = 0;
  const serving = own.server('s').finally(() => served++);
  await turns(100);
  t.deepEqual([counts.appends, served], [0, 0]);
  become(true);
  okOf(await serving);
  t.is(counts.appends, 1);
});

test('a lease that ends while the checkpoint is read › lets nothing be written behind another owner', async (t) => {
  const bus = await openBus(await newFolder(t));
  t.teardown(bus.close);
  await bus.create('s');
  const gate = Promise.withResolvers<void>();
  const { log, counts, reading } = watched(bus.core.parts.log, gate.promise);
  const { ownership, become } = leased();
  const own = await reopenSubscriptions(bus.core, { ownership, log });
  t.teardown(own.close);
  await reading;
  become(false);
  gate.resolve();
  await turns(100);
  t.is(counts.appends, 0);
  become(true);
  okOf(await own.server('s'));
  t.is(counts.appends, 1);
});
