import test from 'ava';
import { startHubProcess } from '../../support/hub-process.ts';
import { request } from '../../support/rest.ts';
import { newFolder, openBus, tokensOf, turns } from './support.ts';

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('close and open › what was acknowledged does not come again, everything else does, with its attempts', async (t) => {
  const folder = await newFolder(t);
  const bus = await openBus(folder);
  await bus.create('s', { backoffMs: [0], maxDeliver: 9 });
  for (const number of numbers(1, 20)) await bus.publish(number);
  const first = await bus.take('s', 10);
  await bus.settle('ack', 's', first.slice(0, 3));
  await bus.settle('nak', 's', first.slice(3, 5), { reason: 'not yet' });
  await bus.settle('nak', 's', first.slice(5, 6), { delayMs: 86_400_000 });
  await bus.close();
  const again = await openBus(folder);
  t.teardown(again.close);
  t.is((await again.show('s')).inFlight, 1);
  const rest = await again.take('s', 16);
  t.deepEqual(
    rest.map(({ message, attempt }) => [message.payload, attempt]).sort(([a], [b]) => Number(a) - Number(b)),
    numbers(4, 20)
      .filter((number) => number !== 6)
      .map((number) => [number, number < 6 ? 2 : 1]),
  );
  t.like(await again.show('s'), { lagEvents: 17, inFlight: 17 });
});

test('close and open › a message that only ever fails dies after maxDeliver attempts in all', async (t) => {
  const folder = await newFolder(t);
  let bus = await openBus(folder);
  await bus.create('s', { backoffMs: [0], maxDeliver: 3 });
  await bus.publish('poison');
  for (const attempt of [1, 2, 3]) {
    const deliveries = await bus.pull('s');
    t.is(deliveries[0]?.attempt, attempt);
    await bus.settle('nak', 's', deliveries, { reason: `try ${attempt}` });
    if (attempt === 3) while ((await bus.letters('s')).length === 0) await turns();
    await bus.close();
    bus = await openBus(folder);
  }
  t.teardown(bus.close);
  t.deepEqual(await bus.pull('s', 10, 0), []);
  const letters = await bus.letters('s');
  t.is(letters.length, 1);
  t.deepEqual(
    letters[0]?.errors.map(({ reason }) => reason),
    ['try 1', 'try 2', 'try 3'],
  );
  t.is((await bus.show('s')).deadLetters, 1);
});

test('a token of before a restart is refused', async (t) => {
  const folder = await newFolder(t);
  const bus = await openBus(folder);
  await bus.create('s');
  await bus.publish(1);
  const before = await bus.pull('s');
  await bus.close();
  const again = await openBus(folder);
  t.teardown(again.close);
  t.like(await again.settle('ack', 's', before), { done: 0, refused: tokensOf(before) });
});

test('kill -9 › what was acknowledged and is durable does not come again, everything else does, once', async (t) => {
  const folder = await newFolder(t);
  const hub = await startHubProcess(folder);
  const post = async (url: string, path: string, body: object) =>
    (await request(url, 'POST', path, { body })).body;
  await request(hub.url, 'PUT', '/subscriptions/s', {
    body: { topic: 'orders.*', from: 'start', order: 'key' },
  });
  for (const number of numbers(1, 60)) {
    await post(hub.url, '/events/orders.created', {
      payload: number,
      key: `k${number % 7}`,
      priority: ['LOW', 'NORMAL', 'HIGH', 'CRITICAL'][number % 4],
    });
  }
  type Pulled = {
    readonly deliveries: readonly { delivery: string; attempt: number; message: { payload: number } }[];
  };
  const pull = async (url: string) =>
    ((await post(url, '/subscriptions/s/pull', { max: 100, waitMs: 5_000 })) as unknown as Pulled).deliveries;
  const tokens = (deliveries: Pulled['deliveries']) => deliveries.map(({ delivery }) => delivery);
  const first = await pull(hub.url);
  await post(hub.url, '/subscriptions/s/ack', { deliveries: tokens(first).slice(0, 5), durable: true });
  await post(hub.url, '/subscriptions/s/nak', { deliveries: tokens(first).slice(5, 6), delayMs: 0 });
  const settled = new Set(first.slice(0, 5).map(({ message }) => message.payload));
  const more = await pull(hub.url);
  await post(hub.url, '/subscriptions/s/ack', { deliveries: tokens(more).slice(0, 2), durable: true });
  for (const { message } of more.slice(0, 2)) settled.add(message.payload);
  await hub.kill('SIGKILL');

  const next = await startHubProcess(folder);
  t.teardown(() => next.kill('SIGKILL'));
  const came: number[] = [];
  for (let batch = await pull(next.url); ; batch = await pull(next.url)) {
    came.push(...batch.map(({ message }) => message.payload));
    await post(next.url, '/subscriptions/s/ack', { deliveries: tokens(batch) });
    if (came.length >= 60 - settled.size) break;
  }
  t.deepEqual(
    came.toSorted((a, b) => a - b),
    numbers(1, 60).filter((number) => !settled.has(number)),
  );
});
