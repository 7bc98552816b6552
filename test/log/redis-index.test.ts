import test from 'ava';
import { Redis } from 'ioredis';
import { asRevision, asStreamId, type LogEvent, type StreamId } from '../../domain/event.ts';
import { openRedisLog } from '../../src/log/redis.ts';
import { redisForTest } from '../support/redis-server.ts';
import { accepted, ids, newEvent, readPages } from './contract/fixture.ts';

/** Pseudo-random numbers from 0 to below `limit`, the same for the same seed. */
const createPick = (seed: number) => {
  let state = seed;
  return (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state % limit;
  };
};

test('redis › 9,000 events in long and short streams are found by revision, category and type, scavenged or not', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const log = await openRedisLog({ url: server.url });
  t.teardown(() => log.close());
  const redis = new Redis(server.url);
  t.teardown(() => redis.disconnect());
  const pick = createPick(20_260_702);

  const streams = ['long-a', 'long-b', ...Array.from({ length: 30 }, (_, index) => `short-${index}`)].map(
    asStreamId,
  );
  const model = new Map<StreamId, string[]>(streams.map((stream) => [stream, []]));
  const types = new Map<string, string>();
  while (types.size < 9_000) {
    const wide = pick(3) > 0;
    const stream = streams[wide ? pick(2) : pick(streams.length)] ?? asStreamId('long-a');
    const events = Array.from({ length: 1 + pick(wide ? 60 : 3) }, () =>
      newEvent({}, pick(50) === 0 ? 'Rare' : 'Common'),
    );
    accepted(await log.append(stream, events, 'any'));
    model.get(stream)?.push(...ids(events));
    for (const event of events) types.set(event.id, event.type);
  }

  const before = new Map<StreamId, number>();
  const compare = async (): Promise<void> => {
    for (const [stream, all] of model) {
      const first = before.get(stream) ?? 0;
      t.deepEqual(ids(await log.readStream(stream, { limit: 10_000 })), all.slice(first));
      for (let round = 0; round < 8; round++) {
        const from = pick(all.length + 3);
        const limit = 1 + pick(40);
        const forwards = await log.readStream(stream, { from: asRevision(from), limit });
        const start = Math.max(from, first);
        t.deepEqual(ids(forwards), all.slice(start, start + limit));
        const backwards = await log.readStream(stream, {
          from: asRevision(from),
          limit,
          direction: 'backwards',
        });
        t.deepEqual(
          ids(backwards),
          all
            .slice(first, from + 1)
            .slice(-limit)
            .reverse(),
        );
      }
    }
    const everything = await readPages(t, log, { limit: 1_000 });
    const select = (match: (event: LogEvent) => boolean) => ids(everything.filter(match));
    const visible = [...model].flatMap(([stream, all]) => all.slice(before.get(stream) ?? 0));
    t.deepEqual(ids(everything).toSorted(), visible.toSorted());
    const rare = { types: ['Rare'], limit: 100 };
    t.deepEqual(
      ids(await readPages(t, log, rare)),
      select((event) => event.type === 'Rare'),
    );
    const short = { category: 'short', limit: 70 };
    const expected = select((event) => event.stream.startsWith('short-'));
    t.deepEqual(ids(await readPages(t, log, short)), expected);
    t.deepEqual(ids(await readPages(t, log, { ...short, direction: 'backwards' })), expected.toReversed());
    const middle = everything[4_000]?.position ?? log.start;
    t.deepEqual(
      ids(await readPages(t, log, { ...rare, category: 'long', after: middle, direction: 'backwards' })),
      select(
        (event) => event.type === 'Rare' && event.stream.startsWith('long-') && event.position < middle,
      ).toReversed(),
    );
  };

  await compare();
  for (let round = 0; round < 3; round++) {
    for (const [stream, all] of model) {
      const old = before.get(stream) ?? 0;
      const mark = Math.min(Math.max(0, all.length - 1), old + pick(round === 2 ? 3_000 : 20));
      await log.truncate(stream, asRevision(mark));
      before.set(stream, Math.max(old, mark));
    }
    await compare();
    await log.scavenge();
    await compare();
    const [stream] = streams;
    if (stream === undefined) return t.fail();
    const event = newEvent();
    const head = (model.get(stream)?.length ?? 0) - 1;
    accepted(await log.append(stream, [event], asRevision(head)));
    t.true(accepted(await log.append(stream, [event], asRevision(head))).duplicate);
    model.get(stream)?.push(event.id);
  }

  const left = await redis.xlen('nexus:log');
  t.is(
    left,
    [...model].reduce((sum, [stream, all]) => sum + all.length - (before.get(stream) ?? 0), 0),
  );
  const lists = await redis.keys('nexus:k:*');
  const lengths = await Promise.all(lists.map((key) => redis.llen(key)));
  t.is(
    lengths.reduce((sum, length) => sum + length, 0),
    left,
    'the indexes hold what the log holds',
  );
});
