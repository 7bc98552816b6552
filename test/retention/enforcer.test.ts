import test, { type ExecutionContext } from 'ava';
import { streamId } from '../../domain/event.ts';
import { redisForTest } from '../support/redis-server.ts';
import { maintain, openWorld, trimsOf, type World } from './world.ts';

const numbers = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, n) => from + n);

const publishAll = async (
  { publish }: World,
  topic: string,
  from: number,
  to: number,
  pad = '',
): Promise<void> => {
  for (const n of numbers(from, to)) await publish(topic, pad === '' ? n : { n, pad });
};

/** One claim on each kind of log that a hub can free by itself. */
const both = (claim: string, check: (t: ExecutionContext, world: World) => Promise<void>): void => {
  test(`embedded › ${claim}`, async (t) => check(t, await openWorld(t)));
  test(`Redis › ${claim}`, async (t) => {
    const server = await redisForTest(t);
    if (server !== undefined) await check(t, await openWorld(t, { url: server.url }));
  });
};

both(
  'count › the newest of each topic stay, the rest is gone, and what no pattern matches is left alone',
  async (t, world) => {
    for (const topic of ['orders.eu', 'orders.us', 'other']) await publishAll(world, topic, 0, 30);
    await world.run('SetRetention', { topic: 'orders.>', maxMessages: 10 });
    await maintain(world);
    t.deepEqual(await world.left('orders.eu'), numbers(20, 30));
    t.deepEqual(await world.left('orders.us'), numbers(20, 30));
    t.deepEqual(await world.left('other'), numbers(0, 30));
    await publishAll(world, 'orders.eu', 30, 35);
    await maintain(world);
    t.deepEqual(await world.left('orders.eu'), numbers(25, 35));
    t.is(world.core.parts.maintenance.facts().truncatedEvents, 45);
    t.is((await trimsOf(world, 'orders.eu')).length, 1, 'of the records only the newest is kept');
  },
);

both(
  'age › what is too old goes when its time has come, and the newest stays whatever its age',
  async (t, world) => {
    await publishAll(world, 'a', 0, 20);
    await world.run('SetRetention', { topic: '*', maxAgeSec: 3_600 });
    await maintain(world);
    t.deepEqual(await world.left('a'), numbers(0, 20));
    world.aheadMs = 3_590_000;
    await maintain(world);
    t.deepEqual(await world.left('a'), numbers(0, 20));
    world.aheadMs = 2 * 3_600_000;
    await maintain(world);
    t.deepEqual(await world.left('a'), [19]);
  },
);

both(
  'bytes › the newest messages stay within the limit, and more messages do not make it read what it has counted',
  async (t, world) => {
    await publishAll(world, 'big', 0, 40, 'x'.repeat(1_000));
    await world.run('SetRetention', { topic: 'big', maxBytes: 20_000 });
    await maintain(world);
    const left = await world.left('big');
    t.true(left.length >= 12 && left.length <= 19, `${left.length} messages`);
    t.deepEqual(left.at(-1), { n: 39, pad: 'x'.repeat(1_000) });
    await publishAll(world, 'big', 40, 45, 'x'.repeat(1_000));
    await maintain(world);
    t.is((await world.left('big')).length, left.length);
  },
);

both(
  'the strictest limit of each kind holds, and without a policy nothing is removed any more',
  async (t, world) => {
    await publishAll(world, 'a.b', 0, 30);
    await world.run('SetRetention', { topic: 'a.>', maxMessages: 20, maxAgeSec: 3_600 });
    await world.run('SetRetention', { topic: 'a.*', maxMessages: 25 });
    await maintain(world);
    t.deepEqual(await world.left('a.b'), numbers(10, 30));
    await world.run('RemoveRetention', { topic: 'a.>' });
    world.aheadMs = 7_200_000;
    await publishAll(world, 'a.b', 30, 40);
    await maintain(world);
    t.deepEqual(await world.left('a.b'), numbers(15, 40));
    await world.run('RemoveRetention', { topic: 'a.*' });
    await publishAll(world, 'a.b', 40, 50);
    await maintain(world);
    t.deepEqual(await world.left('a.b'), numbers(15, 50));
  },
);

both('space › what was removed is freed, and the records of earlier removals with it', async (t, world) => {
  await publishAll(world, 'a', 0, 50, 'x'.repeat(2_000));
  await world.run('SetRetention', { topic: 'a', maxMessages: 5 });
  await maintain(world);
  t.is(world.core.parts.maintenance.facts().lastScavenge, null, 'not at once for so little');
  await publishAll(world, 'a', 50, 60, 'x'.repeat(2_000));
  await maintain(world);
  world.aheadMs = 2 * 3_600_000;
  await maintain(world);
  const { freedEvents, freedBytes, lastScavenge } = world.core.parts.maintenance.facts();
  t.is(freedEvents, 56, '55 messages, and the first of two records');
  t.true(freedBytes > 55 * 2_000);
  t.is(lastScavenge?.events, 56);
  t.is((await world.left('a')).length, 5);
});

both('what others truncated is freed too, without any policy', async (t, world) => {
  for (let n = 0; n < 5; n++) await world.run('SetState', { key: 'k', value: n });
  const stream = streamId('state', 'k');
  const head = await world.log.head(stream);
  if (head === undefined) throw new Error('no state');
  await world.log.truncate(stream, head.revision);
  await maintain(world);
  t.is(world.core.parts.maintenance.facts().freedEvents, 0);
  world.core.parts.maintenance.truncated(10_000);
  await maintain(world);
  t.is(world.core.parts.maintenance.facts().freedEvents, 4);
});

test('control › without a round nothing goes, whatever the policy says', async (t) => {
  const world = await openWorld(t);
  await world.run('SetRetention', { topic: 'a', maxMessages: 5 });
  // The round that the policy began is over.
  await maintain(world);
  await publishAll(world, 'a', 0, 30);
  t.is((await world.left('a')).length, 30);
  await maintain(world);
  t.is((await world.left('a')).length, 5);
});

test('a policy is enforced at once when it is set', async (t) => {
  const world = await openWorld(t);
  await publishAll(world, 'a', 0, 30);
  const watch = await world.core.watchEvents(
    { category: 'trim' },
    { signal: new AbortController().signal },
    {
      subject: { id: 'local', scopes: ['admin'] },
      correlationId: 'c',
    },
  );
  if (!watch.ok) throw new Error(watch.problem.detail);
  await world.run('SetRetention', { topic: 'a', maxMessages: 5 });
  for await (const part of watch.value.items) {
    if (part.type !== 'items') continue;
    t.like(part.items[0], { type: 'TopicTrimmed', data: { topic: 'a', before: 25 } });
    break;
  }
});

test('many topics › each is brought to its limit in one round', async (t) => {
  const world = await openWorld(t);
  const topics = numbers(0, 600).map((n) => `many.t${n}`);
  for (let round = 0; round < 3; round++)
    await Promise.all(topics.map((topic) => world.publish(topic, round)));
  await world.run('SetRetention', { topic: 'many.*', maxMessages: 1 });
  await maintain(world);
  t.deepEqual(
    (await world.left('many.*')).filter((payload) => payload !== 2),
    [],
  );
  t.is((await world.left('many.*')).length, 600);
  await maintain(world);
  t.is(world.core.parts.maintenance.facts().lastRun?.topics, 0, 'a round looks only at what has changed');
});

test('a log that fails in the middle › is told once, and the work is done when it is back', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const told: string[] = [];
  const logger = {
    debug: () => {},
    info: () => {},
    warn: (_facts: unknown, message?: string) => void told.push(String(message)),
    error: () => {},
  };
  const world = await openWorld(t, { url: server.url, logger });
  await publishAll(world, 'a', 0, 30);
  await world.run('SetRetention', { topic: 'b', maxMessages: 5 });
  await maintain(world);
  await world.run('SetRetention', { topic: 'a', maxMessages: 20 });
  await maintain(world);
  await world.run('SetRetention', { topic: 'a', maxMessages: 5 });
  server.pause();
  // Whatever place of its work the round of the new policy is at.
  await world.core.parts.maintenance.run();
  await world.core.parts.maintenance.run();
  t.true(told.filter((message) => /maintenance of the log/.test(message)).length <= 1);
  server.resume();
  while (!world.log.reachable) await new Promise((resolve) => setTimeout(resolve, 20));
  await maintain(world);
  t.deepEqual(await world.left('a'), numbers(25, 30));
  t.is(world.core.parts.maintenance.facts().trouble, null);
});

test('two nodes on one log › both enforce, and each message is removed once', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const [one, two] = [await openWorld(t, { url: server.url }), await openWorld(t, { url: server.url })];
  for (let n = 0; n < 40; n++) await (n % 2 === 0 ? one : two).publish(`t${n % 4}`, n);
  await one.run('SetRetention', { topic: '*', maxMessages: 3 });
  await two.core.parts.runner.reached(await one.log.position(), 10_000);
  await Promise.all([maintain(one), maintain(two)]);
  await Promise.all([maintain(one), maintain(two)]);
  for (let topic = 0; topic < 4; topic++) {
    t.deepEqual(await two.left(`t${topic}`), [28 + topic, 32 + topic, 36 + topic]);
    t.is((await trimsOf(one, `t${topic}`)).length, 1);
  }
  const counts = [one, two].map((world) => world.core.parts.maintenance.facts().truncatedEvents);
  t.is((counts[0] ?? 0) + (counts[1] ?? 0), 28);
});
