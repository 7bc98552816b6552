import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { context, maintain, openWorld, type World } from '../retention/world.ts';
import { redisForTest } from '../support/redis-server.ts';

type Again = (options?: { readonly folder: string }) => Promise<World>;

/** One claim on each kind of log that knows ids itself; `again` opens a hub anew, with a data folder of its own or the same. */
const both = (claim: string, check: (t: ExecutionContext, again: Again) => Promise<void>): void => {
  test(`embedded › ${claim}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'nexus-window-'));
    await check(t, () => openWorld(t, { folder }));
  });
  test(`Redis › ${claim}`, async (t) => {
    const server = await redisForTest(t);
    if (server !== undefined) await check(t, () => openWorld(t, { url: server.url }));
  });
};

const publish = async ({ core }: World, topic: string, messageId: string, payload: unknown) => {
  const data = { topic, payload, messageId };
  const done = await core.execute({ type: 'PublishMessage', data }, context);
  if (!done.ok) throw new Error(done.problem.detail);
  const { position, duplicate, created } = done.value;
  return { position, duplicate, created };
};

both('a messageId that comes again is the first message, also after a restart', async (t, again) => {
  const before = await again();
  const first = await publish(before, 'a', 'm-1', 1);
  const wanted = { position: first.position, duplicate: true, created: false };
  t.deepEqual(await publish(before, 'a', 'm-1', 2), wanted);
  t.true((await publish(before, 'b', 'm-1', 3)).created, 'of another topic it is another message');
  await before.close();
  const after = await again();
  t.deepEqual(await publish(after, 'a', 'm-1', 4), wanted);
  t.deepEqual(await after.left('a'), [1]);
});

both(
  'a messageId of a message that retention removed is still found, and appends nothing',
  async (t, again) => {
    const before = await again();
    const first = await publish(before, 'a', 'm-1', 1);
    for (let n = 0; n < 5; n++) await publish(before, 'a', `other-${n}`, n);
    await before.run('SetRetention', { topic: 'a', maxMessages: 2 });
    await maintain(before);
    const wanted = { position: first.position, duplicate: true, created: false };
    t.deepEqual(await publish(before, 'a', 'm-1', 2), wanted, 'hidden');
    before.aheadMs = 2 * 3_600_000;
    await maintain(before);
    t.true(before.core.parts.maintenance.facts().freedEvents >= 4);
    t.deepEqual(await publish(before, 'a', 'm-1', 2), wanted, 'freed');
    await before.close();
    const after = await again();
    t.deepEqual(await publish(after, 'a', 'm-1', 3), wanted, 'after a restart');
    t.deepEqual(await after.left('a'), [3, 4]);
  },
);

test('a message lives ttlMs from when it may be delivered', async (t) => {
  const world = await openWorld(t);
  const inAnHour = Date.now() + 3_600_000;
  const deliverAt = new Date(inAnHour).toISOString();
  await world.publish('ttl', null, { ttlMs: 60_000, deliverAt });
  await world.publish('ttl', null, { ttlMs: 60_000, deliverAt: '2020-01-01T00:00:00Z' });
  await world.publish('ttl', null, { ttlMs: 60_000, deliverAt: '9999-12-31T23:59:59.999Z' });
  const { log } = world;
  const page = await log.readAll({ after: log.start, category: 'topic', limit: 10 });
  const expiries = page.events.map(({ data }) =>
    typeof data === 'object' && data !== null && 'expiresAt' in data ? String(data.expiresAt) : '',
  );
  t.is(Date.parse(expiries[0] ?? ''), inAnHour + 60_000);
  const second = Date.parse(expiries[1] ?? '');
  t.true(second >= inAnHour - 3_600_000 + 60_000 && second < inAnHour);
  t.is(expiries[2], '9999-12-31T23:59:59.999Z');
});
