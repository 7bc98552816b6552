import test, { type ExecutionContext } from 'ava';
import { asPosition, type LogEvent } from '../../../domain/event.ts';
import type { Entry } from '../../../src/bus/subscription/entry.ts';
import {
  createLaneSource,
  type LaneSourceOptions,
  laneEntries,
} from '../../../src/bus/subscription/lane-source.ts';
import { messageFrom } from '../../../src/core/logs.ts';
import type { Watched } from '../../../src/nexus-core.ts';
import type { WatchIterator } from '../../../src/watch/hub.ts';
import { by } from '../../support/given.ts';
import { positionAt, record } from '../../support/recorded.ts';
import { turns } from './support.ts';

const start = positionAt(0);

/** The n-th message of a topic: at position n. */
const messages = (count: number, more: (place: number) => object = () => ({})): readonly LogEvent[] =>
  record(
    'topic-orders',
    Array.from({ length: count }, (_, index) =>
      by('ann', {
        type: 'MessagePublished' as const,
        data: {
          messageId: `m${index + 1}`,
          topic: 'orders',
          payload: index + 1,
          priority: 'NORMAL' as const,
          ...more(index + 1),
        },
      }),
    ),
  );

/** A lane on a watch whose steps the test hands out. */
const open = (t: ExecutionContext, changes: Partial<LaneSourceOptions> = {}) => {
  const steps: Watched<LogEvent>[] = [];
  let wake = Promise.withResolvers<void>();
  let head = start;
  const watches = { opened: 0, ended: 0, pulls: 0, after: [] as string[] };
  const accepted: Entry[] = [];
  const restored: Entry[] = [];
  const troubles: unknown[] = [];
  const hub: LaneSourceOptions['hub'] = {
    watch: ({ after, signal }) => ({
      [Symbol.asyncIterator](): WatchIterator {
        watches.opened++;
        watches.after.push(after);
        signal.addEventListener('abort', () => wake.resolve());
        return {
          get position() {
            return head;
          },
          async next() {
            watches.pulls++;
            for (;;) {
              if (signal.aborted) return { done: true, value: undefined };
              const value = steps.shift();
              if (value !== undefined) return { done: false, value };
              wake = Promise.withResolvers();
              await wake.promise;
            }
          },
          return() {
            watches.ended++;
            return Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    }),
  };
  const alive = setInterval(() => {}, 60_000);
  const lane = createLaneSource({
    hub,
    log: { readStream: () => Promise.resolve([]), start },
    topic: 'orders',
    priority: 'NORMAL',
    saved: { cursor: start, pending: [] },
    sink: {
      accept: (entries) => accepted.push(...entries),
      restored: (entries) => restored.push(...entries),
      nowMs: () => 0,
      moved: () => {},
      troubled: (error) => troubles.push(error),
    },
    messageFrom,
    isLater: () => false,
    listed: () => Promise.resolve(true),
    isSettled: () => false,
    onGap: () => {},
    ...changes,
  });
  t.teardown(() => {
    lane.stop();
    clearInterval(alive);
  });
  const give = async (events: readonly LogEvent[]) => {
    const position = events.at(-1)?.position ?? start;
    head = position;
    steps.push({ type: 'items', items: events, position });
    wake.resolve();
    await turns();
  };
  const deliver = (...entries: readonly (Entry | undefined)[]) => {
    for (const entry of entries) if (entry !== undefined) entry.origin.delivered(entry);
  };
  const settle = (...entries: readonly (Entry | undefined)[]) => {
    for (const entry of entries) if (entry !== undefined) entry.origin.settled(entry);
  };
  return { lane, accepted, restored, troubles, watches, give, deliver, settle };
};

const revisionsIn = (lane: { save(): { readonly pending: readonly { readonly revision: number }[] } }) =>
  lane.save().pending.map(({ revision }) => revision);

test('save › the cursor is what was delivered, and what is unsettled before it is pending', async (t) => {
  const { lane, accepted, give, deliver, settle } = open(t);
  lane.start();
  await give(messages(5));
  t.is(accepted.length, 5);
  t.like(lane.save(), { cursor: start, pending: [] });
  deliver(...accepted.slice(0, 3));
  settle(accepted[1]);
  t.is(lane.save().cursor, positionAt(3));
  t.deepEqual(revisionsIn(lane), [0, 2]);
  t.is(lane.floor, start);
  settle(accepted[0]);
  t.is(lane.floor, positionAt(2), 'the one that was settled before counts now');
  deliver(...accepted.slice(3));
  settle(...accepted.slice(2));
  t.like(lane.save(), { cursor: positionAt(5), pending: [] });
  t.is(lane.floor, positionAt(5));
});

test('save › what a scheduled message has passed is not read again: what is before it is pending', async (t) => {
  const { lane, accepted, give, deliver } = open(t, { isLater: (event) => event.position === positionAt(3) });
  lane.start();
  await give(messages(5, (place) => (place === 3 ? { deliverAt: '2030-01-01T00:00:00.000Z' } : {})));
  t.is(accepted.length, 4);
  deliver(accepted[0]);
  lane.pass(positionAt(3));
  t.is(lane.save().cursor, positionAt(3));
  t.deepEqual(revisionsIn(lane), [0, 1]);
  lane.pass(positionAt(2));
  t.is(lane.save().cursor, positionAt(3), 'it never goes back');
});

test('a scheduled message is looked at only once it is listed, and the lane says no sooner that it has met it', async (t) => {
  const list = Promise.withResolvers<boolean>();
  const asked: string[] = [];
  const looked: string[] = [];
  const { lane, accepted, give } = open(t, {
    listed: (position) => {
      asked.push(position);
      return list.promise;
    },
    isLater: (event) => {
      looked.push(event.position);
      return true;
    },
  });
  lane.start();
  await give(messages(2, (place) => (place === 2 ? { deliverAt: '2030-01-01T00:00:00.000Z' } : {})));
  t.deepEqual([asked, looked, accepted.length], [[positionAt(2)], [], 0]);
  t.is(lane.accepted, start);
  list.resolve(true);
  await turns();
  t.deepEqual([looked, accepted.length], [[positionAt(2)], 1]);
  t.is(lane.accepted, positionAt(2));
});

test('a batch that cannot be looked at now is read again as a whole, by one watch', async (t) => {
  let isDamaged = true;
  const { lane, accepted, watches, troubles, give, deliver, settle } = open(t, {
    isSettled: (position) => {
      if (isDamaged && position === positionAt(3)) throw new Error('the read models are damaged');
      return false;
    },
  });
  lane.start();
  await give(messages(4));
  t.deepEqual([accepted.length, lane.met, troubles.length], [0, 0, 1]);
  isDamaged = false;
  while (watches.opened < 2) await turns();
  t.deepEqual([watches.ended, watches.after], [1, [start, start]]);
  await give(messages(4));
  t.deepEqual([accepted.length, lane.met], [4, 4]);
  deliver(...accepted);
  settle(...accepted);
  t.like(lane.save(), { cursor: positionAt(4), pending: [] });
});

test('a full lane pulls no more until half of it was delivered', async (t) => {
  const { lane, accepted, watches, give, deliver } = open(t);
  lane.start();
  const events = messages(laneEntries);
  await give(events);
  t.is(accepted.length, laneEntries);
  const { pulls } = watches;
  deliver(...accepted.slice(0, laneEntries / 2 - 1));
  await turns();
  t.is(watches.pulls, pulls);
  deliver(accepted[laneEntries / 2]);
  await turns();
  t.is(watches.pulls, pulls + 1);
});

test('restore › brings back what is pending with its attempts, without what was removed or settled since', async (t) => {
  const events = messages(4);
  const { lane, restored } = open(t, {
    log: {
      start,
      readStream: (_stream, { from = 0, limit }) => {
        const left = events.filter(({ revision }) => revision !== 1 && revision >= from);
        return Promise.resolve(left.slice(0, limit));
      },
    },
    saved: {
      cursor: asPosition(positionAt(4)),
      floor: positionAt(0),
      pending: [0, 1, 2, 3].map((revision) => ({
        stream: 'topic-orders',
        revision,
        attempts: revision,
        dueAtMs: revision * 10,
        failures: [],
      })),
    },
    isSettled: (position) => position === positionAt(4),
  });
  await lane.restore();
  t.deepEqual(
    restored.map(({ place, attempts, dueAtMs }) => [place.revision, attempts, dueAtMs]),
    [
      [0, 0, 0],
      [2, 2, 20],
    ],
  );
  t.deepEqual(revisionsIn(lane), [0, 2]);
  t.is(lane.floor, start);
});

test('stop › ends the watch, also while the lane is full', async (t) => {
  const { lane, watches, give } = open(t);
  lane.start();
  await give(messages(laneEntries));
  lane.stop();
  await turns();
  t.is(watches.ended, watches.opened);
});
