import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asRevision, asStreamId, categoryOf, type NewEvent, type StreamId } from '../../domain/event.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { AppendResult, EventLog, Expected } from '../../src/log/event-log.ts';
import { LogError } from '../../src/log/event-log.ts';
import { isLong } from '../support/skip.ts';
import { newEvent, readPages } from './contract/fixture.ts';
import { temporaryFolder } from './embedded-fixture.ts';

/** Numbers from 0 up to `below`, the same for the same seed (Lehmer, 48271). */
const createRandom = (seed: number): ((below: number) => number) => {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
};

type Stored = {
  readonly id: string;
  readonly stream: StreamId;
  readonly revision: number;
  readonly type: string;
};

/** What the log should be: as slow and as plain as it gets. */
type Model = { readonly log: Stored[]; readonly before: Map<StreamId, number> };

const inStream = (model: Model, stream: StreamId): Stored[] =>
  model.log.filter((event) => event.stream === stream);

const isVisible = (model: Model, event: Stored): boolean =>
  event.revision >= (model.before.get(event.stream) ?? 0);

type Verdict =
  | { readonly type: 'new' | 'conflict' | 'invalid' }
  | { readonly type: 'known'; readonly at: number[] };

const judge = (model: Model, stream: StreamId, events: readonly NewEvent[], expected: Expected): Verdict => {
  const stored = inStream(model, stream);
  const places = events.map(({ id }) => stored.findIndex((event) => event.id === id));
  if (expected === 'any' || expected === 'exists') {
    if (places.every((place) => place >= 0)) return { type: 'known', at: places };
    if (places.some((place) => place >= 0)) return { type: 'invalid' };
    return { type: expected === 'any' || stored.length > 0 ? 'new' : 'conflict' };
  }
  const first = expected === 'none' ? 0 : expected + 1;
  if (first === stored.length) return { type: 'new' };
  const standing = places.filter((place, index) => place === first + index);
  if (standing.length === 0) return { type: 'conflict' };
  return standing.length === events.length ? { type: 'known', at: places } : { type: 'invalid' };
};

const assertSame = async (
  t: ExecutionContext,
  log: EventLog,
  model: Model,
  streams: StreamId[],
): Promise<void> => {
  const visible = model.log.filter((event) => isVisible(model, event));
  const ids = (events: readonly { id: string }[]): string[] => events.map((event) => event.id);
  t.deepEqual(ids(await readPages(t, log, { limit: 17 })), ids(visible));
  t.deepEqual(ids(await readPages(t, log, { limit: 1_000, direction: 'backwards' })), ids(visible).reverse());
  for (const filter of [{ category: 'a' }, { category: 'b', types: ['X'] }, { types: ['X', 'Y'] }]) {
    const expected = visible.filter(
      ({ stream, type }) =>
        (filter.category === undefined || categoryOf(stream) === filter.category) &&
        (filter.types?.includes(type) ?? true),
    );
    t.deepEqual(ids(await readPages(t, log, { ...filter, limit: 13 })), ids(expected));
    const backwards = await readPages(t, log, { ...filter, limit: 29, direction: 'backwards' });
    t.deepEqual(ids(backwards), ids(expected).reverse());
  }
  for (const stream of streams) {
    const expected = inStream(model, stream);
    const head = await log.head(stream);
    t.is(head?.revision, expected.length === 0 ? undefined : asRevision(expected.length - 1));
    t.is(head?.truncatedBefore ?? 0, model.before.get(stream) ?? 0);
    const read = await log.readStream(stream, { limit: 10_000 });
    t.deepEqual(ids(read), ids(expected.filter((event) => isVisible(model, event))));
    t.true(read.every((event) => event.revision === expected.findIndex(({ id }) => id === event.id)));
  }
};

const runAgainstModel = async (t: ExecutionContext, seed: number, steps: number): Promise<void> => {
  const random = createRandom(seed);
  const directory = temporaryFolder(t);
  const options = { directory, mapSizeBytes: 2 ** 28, flushEvents: [1, 7, 60, 16_384][random(4)] ?? 1 };
  let log = await openEmbeddedLog(options);
  const streams = ['a-1', 'a-2', 'b-1', 'b-2', 'c'].map(asStreamId);
  const model: Model = { log: [], before: new Map() };
  const streamOf = (): StreamId => streams[random(streams.length)] ?? asStreamId('c');

  const makeEvents = (stream: StreamId): NewEvent[] => {
    const known = inStream(model, stream).filter((event) => isVisible(model, event));
    const from = random(known.length + 1);
    const repeated = random(4) === 0 ? known.slice(from, from + 1 + random(3)) : [];
    const fresh = repeated.length > 0 && random(3) > 0 ? 0 : 1 + random(3);
    const one = (id: string): NewEvent =>
      newEvent({ pad: 'é'.repeat(random(300)) }, random(2) ? 'X' : 'Y', id);
    const made = Array.from({ length: fresh }, () => one(random(2) ? newId() : randomUUID()));
    return [...repeated.map(({ id }) => one(id)), ...made];
  };

  const append = async (): Promise<void> => {
    const burst: { stream: StreamId; events: NewEvent[]; verdict: Verdict; result: Promise<unknown> }[] = [];
    for (let count = 1 + random(6); count > 0; count--) {
      const stream = streamOf();
      const events = makeEvents(stream);
      const length = inStream(model, stream).length;
      const revision = asRevision(Math.max(0, length - 1 - random(2)));
      const expected = (['any', 'exists', 'none', revision] as const)[random(4)] ?? 'any';
      const verdict = judge(model, stream, events, expected);
      // The log promises nothing for old ids behind the revision that the writer has read.
      if (
        verdict.type === 'new' &&
        inStream(model, stream).some(({ id }) => events.some((event) => event.id === id))
      ) {
        continue;
      }
      if (verdict.type === 'new') {
        for (const [index, { id, type }] of events.entries()) {
          model.log.push({ id, stream, revision: length + index, type });
        }
      }
      const result = log.append(stream, events, expected).catch((error: unknown) => error);
      burst.push({ stream, events, verdict, result });
    }
    for (const { verdict, result } of burst) assertVerdict(t, verdict, await result);
  };

  const truncate = async (): Promise<void> => {
    const stream = streamOf();
    const before = random(inStream(model, stream).length + 2);
    await log.truncate(stream, asRevision(before));
    const clamped = Math.min(before, inStream(model, stream).length - 1);
    if (clamped > 0) model.before.set(stream, Math.max(clamped, model.before.get(stream) ?? 0));
  };

  for (let step = 0; step < steps; step++) {
    const dice = random(40);
    if (dice < 30) await append();
    else if (dice < 34) await truncate();
    else if (dice < 36) await log.scavenge();
    else if (dice < 39) {
      await log.close();
      if (dice === 38) rmSync(join(directory, 'index'), { recursive: true });
      log = await openEmbeddedLog(options);
    } else await assertSame(t, log, model, streams);
  }
  await assertSame(t, log, model, streams);
  await log.close();
};

const assertVerdict = (t: ExecutionContext, verdict: Verdict, result: unknown): void => {
  if (verdict.type === 'invalid') {
    t.true(result instanceof LogError && result.code === 'invalid', `${result}`);
    return;
  }
  if (result instanceof Error || result === null || typeof result !== 'object' || !('ok' in result)) {
    t.fail(`${result} instead of ${verdict.type}`);
    return;
  }
  const answer = result as AppendResult;
  t.is(answer.ok, verdict.type !== 'conflict');
  if (!answer.ok) return;
  t.is(answer.duplicate, verdict.type === 'known');
  if (verdict.type === 'known')
    t.deepEqual(
      answer.events.map((event) => event.revision),
      verdict.at.map(asRevision),
    );
};

const seeds = Array.from({ length: isLong ? 200 : 8 }, (_, index) => 1_000 + index * 37);

for (const seed of seeds) {
  test(`the log does what a plain list would do, seed ${seed}`, async (t) => {
    await runAgainstModel(t, seed, 150);
  });
}
