import test from 'ava';
import fc from 'fast-check';
import { asPosition, asRevision, asStreamId, type LogEvent, type Position } from '../../domain/event.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import type { Hub } from '../../src/watch/hub.ts';
import { createOffers } from '../../src/watch/offers.ts';
import { eventFor, openWorld, positionsOf, readLog, watchUntil } from './world.ts';

const lastOf = (events: readonly LogEvent[]): Position => events.at(-1)?.position ?? asPosition('');
const forever = () => new AbortController().signal;

/** A log whose watch hands out nothing before `heal`. */
const cutOff = () => {
  const healed = Promise.withResolvers<void>();
  return {
    heal: healed.resolve,
    around: (log: EventLog): EventLog => ({
      ...log,
      get reachable() {
        return log.reachable;
      },
      async *watch(options) {
        options.signal.addEventListener('abort', () => healed.resolve(), { once: true });
        await healed.promise;
        yield* log.watch(options);
      },
    }),
  };
};

const follow = async (hub: Hub, log: EventLog, last: Position): Promise<readonly Position[]> => {
  const watch = hub.watch({ filter: { all: true }, after: log.start, signal: forever() });
  return positionsOf((await watchUntil(watch, last)).events);
};

test('what another node offers › is handed out at once while the log brings nothing, and not again when it does', async (t) => {
  const cut = cutOff();
  const { hub, log, append } = await openWorld(t, {}, cut.around);
  await append('topic-a', 'topic-b', 'topic-a');
  const events = await readLog(log);
  const watching = follow(hub, log, lastOf(events));
  hub.offer({ previous: log.start, events });
  t.deepEqual(await watching, positionsOf(events));
  t.is(hub.position, lastOf(events));
  t.like(hub.stats(), { dispatchedEvents: 3, offeredEvents: 3, heldEvents: 0 });

  cut.heal();
  await append('topic-c');
  const all = await readLog(log);
  t.deepEqual(await follow(hub, log, lastOf(all)), positionsOf(all));
  t.is(hub.stats().dispatchedEvents, 4);
});

test('an offer that comes too early › waits for what stands before it, whichever way that comes', async (t) => {
  const cut = cutOff();
  const { hub, log, append } = await openWorld(t, {}, cut.around);
  await append('topic-a', 'topic-b', 'topic-c', 'topic-d');
  const events = await readLog(log);
  const [first, second, third, fourth] = events;
  if (!first || !second || !third || !fourth) return t.fail();
  hub.offer({ previous: third.position, events: [fourth] });
  hub.offer({ previous: first.position, events: [second, third] });
  t.is(hub.position, log.start);
  t.is(hub.stats().heldEvents, 3);
  hub.offer({ previous: log.start, events: [first] });
  t.is(hub.position, fourth.position);
  t.is(hub.stats().heldEvents, 0);

  await append('topic-e', 'topic-f');
  const [fifth, sixth] = (await readLog(log)).slice(4);
  if (!fifth || !sixth) return t.fail();
  hub.offer({ previous: fifth.position, events: [sixth] });
  t.is(hub.stats().heldEvents, 1);
  const watching = follow(hub, log, sixth.position);
  cut.heal();
  t.is((await watching).length, 6);
  t.is(hub.stats().heldEvents, 0);
});

test('a watcher in the past › is not moved past what its own reads of the log do not have yet', async (t) => {
  // A log whose reads end behind what another node has read from it already.
  let hidden: Position | undefined;
  const cut = cutOff();
  const { hub, log, append } = await openWorld(t, { ringEvents: 1 }, (real) => ({
    ...cut.around(real),
    readAll: async (options) => {
      const page = await real.readAll(options);
      if (hidden === undefined) return page;
      const end = hidden;
      hidden = undefined;
      const events = page.events.filter(({ position }) => position < end);
      const last = events.at(-1)?.position ?? options.after ?? real.start;
      return { events, position: last, more: false };
    },
    position: async () => {
      const head = await real.position();
      return hidden === undefined || head < hidden ? head : real.start;
    },
  }));
  await append('topic-a', 'topic-b', 'topic-c');
  const events = await readLog(log);
  hidden = events[1]?.position;
  const watch = hub.watch({ filter: { all: true }, after: log.start, signal: forever() });
  const watching = watchUntil(watch, lastOf(events));
  hub.offer({ previous: log.start, events });
  t.is(hub.position, lastOf(events));
  t.deepEqual(positionsOf((await watching).events), positionsOf(events));
});

test('whatever is offered in whatever order, cut and doubled › each event is dispatched once and in order', async (t) => {
  const { log, append } = await openWorld(t);
  await append(...Array.from({ length: 40 }, (_, index) => `topic-${index % 7}`));
  const events = await readLog(log);
  const at = (index: number): Position => (index < 0 ? log.start : (events[index]?.position ?? log.start));
  const range = fc.tuple(fc.nat(39), fc.integer({ min: 1, max: 12 }));
  await fc.assert(
    fc.asyncProperty(fc.array(range, { maxLength: 40 }), async (ranges) => {
      const offers = createOffers({ maxEvents: 60, maxBytes: 10_000 }, () => 100);
      const seen: Position[] = [];
      let position = log.start;
      const rest = Array.from({ length: 40 }, (_, index): [number, number] => [index, 1]);
      for (const [from, length] of [...ranges, ...rest]) {
        const batch: readonly LogEvent[] = events.slice(from, from + length);
        offers.hold({ previous: at(from - 1), events: batch });
        for (let taken = offers.take(position); taken !== undefined; taken = offers.take(position)) {
          for (const event of taken) {
            if (event.position <= position) continue;
            seen.push(event.position);
            position = event.position;
          }
        }
        if (offers.events > 60 || offers.bytes > 10_000) return false;
      }
      return seen.join() === positionsOf(events).join() && offers.events === 0 && offers.bytes === 0;
    }),
    { numRuns: 200, seed: 17 },
  );
  t.pass();
});

test('offers that wait › are bounded: the oldest goes first, and the log brings what it held', (t) => {
  const at = (n: number): Position => asPosition(String(n).padStart(16, '0'));
  const event = (n: number): LogEvent => ({
    id: '',
    stream: asStreamId('topic-a'),
    revision: asRevision(n),
    position: at(n),
    type: 'Happened',
    data: {},
    metadata: { ...eventFor('topic-a').metadata, recordedAt: '' },
  });
  const offers = createOffers({ maxEvents: 3, maxBytes: 1_000 }, () => 300);
  const offer = (from: number, ...positions: number[]) =>
    offers.hold({ previous: at(from), events: positions.map(event) });
  offer(10, 11);
  offer(20, 21, 22);
  offer(30, 31);
  t.is(offers.events, 3);
  t.is(offers.take(at(10)), undefined);
  offer(40, 41, 42, 43, 44);
  t.is(offers.events, 3);
  t.is(offers.take(at(25)), undefined);
  t.is(offers.take(at(30))?.length, 1);
  t.is(offers.events, 0);
  t.is(offers.bytes, 0);
});
