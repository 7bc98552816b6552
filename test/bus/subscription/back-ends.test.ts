import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Context } from '../../../src/nexus-core.ts';
import type { Delivery, Settled } from '../../../src/nexus-subscriptions.ts';
import { startEsdbServer } from '../../support/esdb-server.ts';
import { type Hub, openHub } from '../../support/hub.ts';
import { redisForTest } from '../../support/redis-server.ts';

const context: Context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

const run = async (t: ExecutionContext, hub: Hub, type: string, data: object): Promise<unknown> => {
  const done = await hub.core.execute({ type, data }, context);
  t.true(done.ok, JSON.stringify(done));
  return done.ok ? done.value.result : undefined;
};

const publish = (t: ExecutionContext, hub: Hub, payload: unknown, more: object = {}) =>
  run(t, hub, 'PublishMessage', { topic: 'jobs.mail', payload, ...more });

const pull = async (t: ExecutionContext, hub: Hub, max = 100): Promise<readonly Delivery[]> => {
  const pulled = await hub.core.pull('workers', { max, waitMs: 20_000 }, context);
  t.true(pulled.ok, JSON.stringify(pulled));
  return pulled.ok ? pulled.value.deliveries : [];
};

const payloads = (deliveries: readonly Delivery[]): readonly unknown[] =>
  deliveries.map(({ message }) => message.payload);

const settle = async (
  t: ExecutionContext,
  hub: Hub,
  how: 'ack' | 'nak' | 'term',
  deliveries: readonly Delivery[],
  more: object = {},
): Promise<Settled | undefined> => {
  const names = deliveries.map(({ delivery }) => delivery);
  const settled = await hub.core.settle(how, 'workers', { deliveries: names, ...more }, context);
  t.true(settled.ok, JSON.stringify(settled));
  return settled.ok ? settled.value : undefined;
};

/** Everything that a group does, by a hub that serves it (`here`) and one that may have to ask the other (`there`). */
const work = async (t: ExecutionContext, here: Hub, there: Hub): Promise<void> => {
  await run(t, here, 'CreateSubscription', {
    name: 'workers',
    topic: 'jobs.*',
    maxDeliver: 2,
    backoffMs: [1],
    order: 'key',
  });
  await publish(t, here, 'low', { priority: 'LOW', key: 'a' });
  await publish(t, there, 'critical', { priority: 'CRITICAL', key: 'a' });
  await publish(t, there, 'low again', { priority: 'LOW', key: 'a' });

  const first: Delivery[] = [];
  while (first.length < 2) first.push(...(await pull(t, there)));
  t.deepEqual([...payloads(first)].sort(), ['critical', 'low'], 'the second of the key waits for the first');
  t.like(await settle(t, there, 'ack', first, { durable: true }), { done: 2, refused: [], durable: true });
  t.like(await settle(t, here, 'ack', first), { done: 0, durable: false }, 'settled once');

  const second = await pull(t, here);
  t.deepEqual(payloads(second), ['low again']);
  await settle(t, there, 'nak', second, { reason: 'not now' });
  const third = await pull(t, there);
  t.deepEqual([third[0]?.attempt, ...payloads(third)], [2, 'low again']);
  await settle(t, here, 'term', third, { reason: 'never' });

  const letters = async () => {
    const page = await here.core.deadLetters('workers', {}, context);
    return page.ok ? page.value.deadLetters : [];
  };
  while ((await letters()).length === 0) await nextTurn();
  t.like((await letters())[0], { attempts: 2, message: { payload: 'low again' } });
  t.deepEqual(
    (await letters())[0]?.errors.map(({ reason }) => reason),
    ['not now', 'never'],
  );

  t.deepEqual(await run(t, here, 'RedriveDeadLetters', { name: 'workers', all: true, payload: 'edited' }), {
    done: 1,
  });
  const fourth = await pull(t, there);
  t.deepEqual([fourth[0]?.attempt, ...payloads(fourth)], [1, 'edited']);
  t.like(await settle(t, there, 'ack', fourth, { durable: true }), { done: 1, durable: true });
  t.deepEqual(await letters(), []);

  const due = new Date(Date.now() + 300).toISOString();
  await publish(t, here, 'later', { deliverAt: due });
  await publish(t, here, 'now');
  const last: Delivery[] = [];
  while (last.length < 2) last.push(...(await pull(t, there)));
  t.deepEqual([...payloads(last)].sort(), ['later', 'now']);
  for (const { message } of last) {
    if (message.payload === 'later') t.true(new Date().toISOString() >= due, 'not before its time');
  }
  const view = await there.core.subscription('workers', context);
  t.like(view.ok ? view.value : {}, { lagEvents: 2, inFlight: 2, deadLetters: 0, status: 'active' });
  await there.core.giveBack(
    'workers',
    last.map(({ delivery }) => delivery),
    context,
  );
};

const claim = 'a group is served: priorities, keys, attempts, dead letters, redrives, schedules';

test(`embedded › ${claim}`, async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  await work(t, hub, hub);
  t.deepEqual(hub.logged, []);
});

/** Two hubs on one log: whichever of them owns the group, consumers come to both. */
const workOnTwo = async (t: ExecutionContext, url: string): Promise<void> => {
  const one = await openHub({ log: [url] });
  t.teardown(() => one.close());
  const two = await openHub({ log: [url] });
  t.teardown(() => two.close());
  await work(t, one, two);
  await two.close();
  // What the other one held comes back, whoever served it; nothing that was acknowledged does.
  const again: unknown[] = [];
  while (again.length < 2) again.push(...payloads(await pull(t, one)));
  t.deepEqual(again.sort(), ['later', 'now']);
};

test(`redis, two nodes › ${claim}`, async (t) => {
  const server = await redisForTest(t);
  if (server !== undefined) await workOnTwo(t, server.url);
});

test(`eventstoredb, two nodes › ${claim}`, async (t) => {
  const server = await startEsdbServer();
  t.teardown(() => server.stop());
  await workOnTwo(t, server.url);
});
