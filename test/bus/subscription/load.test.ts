import test from 'ava';
import fc from 'fast-check';
import { asRevision, type LogEvent } from '../../../domain/event.ts';
import { loadEvents } from '../../../src/bus/subscription/load.ts';
import { seeded } from '../../support/arbitraries.ts';
import { by } from '../../support/given.ts';
import { record } from '../../support/recorded.ts';

const deleted = by('ann', { type: 'StateDeleted' as const, data: {} });
const streams = new Map(
  ['state-a', 'state-b'].map((name) => [
    name,
    record(
      name,
      Array.from({ length: 60 }, () => deleted),
    ),
  ]),
);

/** A log from which the first ten events of each stream were truncated, and how often it was read. */
const open = () => {
  let reads = 0;
  const readStream = (
    name: string,
    { from = asRevision(0), limit }: { readonly from?: number; readonly limit: number },
  ) => {
    reads++;
    const events: readonly LogEvent[] =
      streams.get(name)?.filter(({ revision }) => revision >= Math.max(10, from)) ?? [];
    return Promise.resolve(events.slice(0, limit));
  };
  return { log: { readStream }, reads: () => reads };
};

test('events come in the order of their places, and what is gone is undefined, wherever it stands', async (t) => {
  const place = fc.record({
    stream: fc.constantFrom('state-a', 'state-b', 'state-c'),
    revision: fc.nat({ max: 70 }),
  });
  const run = fc
    .tuple(place, fc.nat({ max: 50 }))
    .map(([{ stream, revision }, length]) =>
      Array.from({ length }, (_, index) => ({ stream, revision: revision + index })),
    );
  await fc.assert(
    fc.asyncProperty(fc.array(run, { maxLength: 4 }), async (runs) => {
      const places = runs.flat();
      const events = await loadEvents(open().log, places);
      t.deepEqual(
        events.map((event) => event && `${event.stream} ${event.revision}`),
        places.map(({ stream, revision }) =>
          streams.has(stream) && revision >= 10 && revision < 60 ? `${stream} ${revision}` : undefined,
        ),
      );
    }),
    { ...seeded, numRuns: 100 },
  );
});

test('places beside each other are read together, 32 at most', async (t) => {
  const { log, reads } = open();
  await loadEvents(
    log,
    Array.from({ length: 40 }, (_, index) => ({ stream: 'state-a', revision: 15 + index })),
  );
  t.is(reads(), 2);
});
