import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { openWs } from '../support/ws-client.ts';
import { call } from './client.ts';
import { createRandom, jsonOf, type Random } from './nonsense.ts';

const seed = Number(process.env.NEXUS_TEST_SEED ?? 20_300_101);
const rounds = 600;

let hub: Hub;
test.before(async () => {
  hub = await openHub({ wsFramesPerSec: 0 });
});
test.after.always(() => hub.close());

const errorsLogged = () => hub.logged.filter(({ level }) => level === 'error');

/** Bodies of durable subscriptions, each member of which is good or nonsense: deeper than nonsense alone comes. */
const oftenGood = {
  topic: ['a.>', 'a.b', '>'],
  from: ['start', 'now', '0000000000000000'],
  ackWaitMs: [100, 30_000],
  maxDeliver: [1, 5],
  backoffMs: [[0], [1_000, 2_000]],
  maxInFlight: [1, 5_000],
  order: ['none', 'key'],
  max: [1, 1_000],
  waitMs: [0, 1],
  deliveries: [['d'], ['d', 'e']],
  delayMs: [0, 1],
  reason: ['r'],
  durable: [true, false],
  to: ['start', 'now', '2030-01-01T00:00:00Z'],
  messageIds: [['m'], ['m', 'n']],
  errorLike: ['e'],
  all: [true],
  payload: [null, { n: 1 }],
  speed: [0, 1_000],
  dryRun: [true, false],
  actor: ['bob'],
} as const;
const groupRoutes = {
  '': ['topic', 'from', 'ackWaitMs', 'maxDeliver', 'backoffMs', 'maxInFlight', 'order'],
  '/pull': ['max', 'waitMs'],
  '/ack': ['deliveries', 'reason', 'durable'],
  '/nak': ['deliveries', 'delayMs', 'reason'],
  '/term': ['deliveries', 'reason'],
  '/extend': ['deliveries'],
  '/reset': ['to'],
  '/replay': ['topic', 'from', 'to', 'speed'],
  '/pause': ['reason'],
  '/resume': ['reason'],
  '/dead-letters/redrive': ['messageIds', 'errorLike', 'all', 'payload'],
  '/dead-letters/discard': ['messageIds', 'errorLike', 'all'],
} as const;

/** Some of `names`, three in four with what they may be. */
const dataOf = (random: Random, names: readonly (keyof typeof oftenGood)[]): Record<string, unknown> => {
  const data: Record<string, unknown> = {};
  for (const name of names) {
    if (random.below(4) === 0) continue;
    const good = oftenGood[name];
    data[name] = random.below(4) === 0 ? jsonOf(random, 2) : good[random.below(good.length)];
  }
  return data;
};

test.serial(
  `${rounds} calls, many of them nonsense (seed ${seed}) › get no 500, and the hub goes on`,
  async (t) => {
    const random = createRandom(seed);
    const routes = Object.entries(groupRoutes);
    const seen = new Set<number>();
    const one = async (): Promise<void> => {
      const [route, names] = routes[random.below(routes.length)] ?? ['', []];
      const json = dataOf(random, names);
      const path = `/subscriptions/${random.pick(['fuzz-1', 'fuzz-2', 'fuzz-2', 'a%2Fb', '%00'])}${route}`;
      const { status } = await call(hub.url, route === '' ? 'PUT' : 'POST', path, { json });
      seen.add(status);
      if (status === 500) t.fail(`${path} ${JSON.stringify(json)}`);
    };
    for (let done = 0; done < rounds; done += 8) await Promise.all(Array.from({ length: 8 }, one));
    for (const status of [200, 201, 404, 422]) t.true(seen.has(status), `the calls reach ${status}`);
    t.is((await call(hub.url, 'GET', '/subscriptions')).status, 200);
    t.deepEqual(errorsLogged(), []);
  },
);

const frameFields = ['max', 'deliveries', 'delayMs', 'reason', 'durable', 'topic', 'from'] as const;
const replayFields = ['topic', 'from', 'to', 'speed', 'dryRun', 'actor'] as const;

test.serial(`${rounds} frames, many of them nonsense (seed ${seed}) › leave the hub as it is`, async (t) => {
  const random = createRandom(seed + 1);
  const json = { topic: 'fuzz.>', ackWaitMs: 100, backoffMs: [0], maxDeliver: 2 };
  await call(hub.url, 'PUT', '/subscriptions/fuzz-ws', { json });
  for (let round = 0; round < 10; round++) {
    const ws = await openWs(hub.url);
    const deliveries: unknown[] = ['d'];
    ws.onFrame(({ delivery }) => {
      if (delivery !== undefined) deliveries.push(delivery);
    });
    for (let sent = 0; sent < rounds / 10; sent++) {
      const type = random.pick([
        'subscribe',
        'ack',
        'nak',
        'term',
        'extend',
        'publish',
        'unsubscribe',
        'replay',
        'replay',
        'finish',
      ]);
      ws.send({
        type,
        ...(type === 'publish'
          ? { topic: 'fuzz.a', payload: sent }
          : dataOf(random, type === 'replay' ? replayFields : frameFields)),
        ...(random.below(3) === 0 ? {} : { group: 'fuzz-ws' }),
        ...(random.below(3) === 0 ? {} : { delivery: deliveries[random.below(deliveries.length)] }),
        ...(random.below(3) === 0 ? { id: jsonOf(random, 4) } : {}),
        ...(random.below(3) === 0 ? { subscription: random.pick(['a', 'b', '']) } : {}),
      });
    }
    // Some leave in the middle of it; what a flood of bad frames has closed is left already.
    if (random.below(2) === 0) ws.socket.terminate();
    else ws.socket.close();
    await ws.closed;
  }
  t.is((await call(hub.url, 'GET', '/health')).status, 200);
  const { status, body } = await call(hub.url, 'GET', '/subscriptions/fuzz-ws');
  t.is(status, 200);
  t.like(body, { name: 'fuzz-ws', status: 'active' });
  t.deepEqual(errorsLogged(), []);
});
