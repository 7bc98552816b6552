import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import test from 'ava';
import { createOverload } from '../../src/gateway/limits/overload.ts';
import { createLogger } from '../../src/logger.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { until } from '../support/until.ts';
import { type Answer, call } from './client.ts';

/** A hub whose writes wait until they are let go. */
const openHeldHub = async (): Promise<{ readonly hub: Hub; readonly held: () => number; letGo(): void }> => {
  const gate = Promise.withResolvers<void>();
  let held = 0;
  const hub = await openHub({
    maxInFlight: 2,
    wrap: (core) => ({
      ...core,
      get ready() {
        return core.ready;
      },
      execute: async (...command) => {
        held++;
        await gate.promise;
        return core.execute(...command);
      },
    }),
  });
  return { hub, held: () => held, letGo: gate.resolve };
};

const isRefused = ({ status, headers, body }: Answer): boolean =>
  status === 503 && headers['retry-after'] === '1' && (body as { code: string }).code === 'overloaded';

test('more than maxInFlight requests › are refused at once, and served when there is room again', async (t) => {
  const { hub, held, letGo } = await openHeldHub();
  t.teardown(() => hub.close());
  const put = (key: string) => call(hub.url, 'PUT', `/state/${key}`, { json: { value: 1 } });
  const first = [put('a'), put('b')];
  await until(() => held() === 2);
  const refusal = await call(hub.url, 'GET', '/topics', { headers: { 'x-request-id': 'mine' } });
  t.true(isRefused(refusal), refusal.text);
  t.is(refusal.headers['x-request-id'], 'mine');
  t.is(refusal.headers['content-type'], 'application/problem+json');
  t.is(refusal.headers['x-content-type-options'], 'nosniff');
  t.true(isRefused(await put('c')));
  t.is((await call(hub.url, 'HEAD', '/topics')).text, '');
  for (const path of ['/health/live', '/health/ready', '/health', '/metrics']) {
    t.is((await call(hub.url, 'GET', path)).status, 200, path);
  }
  t.is((await call(hub.url, 'POST', '/services/none/heartbeat', { json: {} })).status, 404);
  letGo();
  for (const answer of await Promise.all(first)) t.is(answer.status, 201);
  t.is((await put('c')).status, 201);
  t.is((await call(hub.url, 'GET', '/topics')).status, 200);
  t.is(hub.logged.filter(({ msg }) => msg.startsWith('overloaded')).length, 1);
});

test('what waits for others › takes no room: bodies that do not come, pulls, tails', async (t) => {
  const hub = await openHub({ maxInFlight: 1 });
  t.teardown(() => hub.close());
  const put =
    'PUT /state/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{';
  for (let index = 0; index < 5; index++) {
    const socket = connect(hub.port, '127.0.0.1');
    socket.write(put);
    t.teardown(() => socket.destroy());
  }
  const subscription = { topic: 'x', ackWaitMs: 60_000 };
  await until(
    async () => (await call(hub.url, 'PUT', '/subscriptions/s', { json: subscription })).status < 300,
  );
  const pulls = Array.from({ length: 3 }, () =>
    call(hub.url, 'POST', '/subscriptions/s/pull', { json: { max: 1, waitMs: 20_000 } }),
  );
  const tail = new AbortController();
  t.teardown(() => tail.abort());
  const events = await fetch(`${hub.url}/events?topic=x`, {
    headers: { accept: 'text/event-stream' },
    signal: tail.signal,
  });
  t.is(events.status, 200);
  for (let index = 0; index < 3; index++) {
    t.is((await call(hub.url, 'POST', '/events/x', { json: { payload: index } })).status, 201);
  }
  for (const pull of await Promise.all(pulls)) t.is(pull.status, 200);
});

/** An overload whose clock and turns are moved by hand; each request takes `costMs` when it is served and `refusalMs` when not. */
const turnsOf = (maxLagMs: number) => {
  let now = 0;
  const ends: (() => void)[] = [];
  const overload = createOverload({
    config: { maxInFlight: 1_000, maxLagMs },
    logger: createLogger('silent'),
    onRefused: () => {},
    nowMs: () => now,
    afterTurn: (run) => ends.push(run),
  });
  const response = { writeHead: () => {}, end: () => {} } as unknown as ServerResponse;
  const ask = (url: string): boolean =>
    overload.refuses({ url, headers: {} } as unknown as IncomingMessage, response);
  return {
    turn: (requests: number, costMs: number, refusalMs: number, url = '/topics') => {
      const began = now;
      let served = 0;
      for (let index = 0; index < requests; index++) {
        const refused = ask(url);
        now += refused ? refusalMs : costMs;
        if (!refused) served++;
      }
      for (const end of ends.splice(0)) end();
      return { served, tookMs: now - began };
    },
  };
};

test('a long turn of the event loop › refuses nobody when it comes once, and in a row keeps turns near maxLagMs', (t) => {
  const { turn } = turnsOf(100);
  t.is(turn(500, 1, 0.2).served, 500, 'one hiccup');
  t.is(turn(10, 1, 0.2).served, 10);
  for (let index = 0; index < 5; index++) t.is(turn(64, 5, 0.2).served, 64, 'a slow machine is no crowd');
  t.is(turn(64, 20, 0.2).served, 21, 'heavy requests are no less than one');
  turn(10, 1, 0.2);
  // Three times the capacity: each turn brings what came during the one before.
  let arrived = 100;
  let worst = 0;
  for (let index = 0; index < 50; index++) {
    const { tookMs } = turn(arrived, 1, 0.2);
    arrived = Math.round(3 * tookMs);
    if (index >= 5) worst = Math.max(worst, tookMs);
  }
  t.true(worst < 250, `${worst} ms`);
  t.is(turn(10, 1, 0.2).served, 10);
  t.is(turn(80, 1, 0.2).served, 80, 'back to normal at once');
});

test('an overloaded event loop › still serves probes and heartbeats', (t) => {
  const { turn } = turnsOf(100);
  turn(150, 1, 0);
  t.true(turn(150, 1, 0).served < 110);
  for (const url of ['/health/live', '/health/ready?', '/metrics', '/services/a/heartbeat']) {
    turn(150, 1, 0);
    t.is(turn(120, 1, 0, url).served, 120, url);
  }
  turn(150, 1, 0);
  t.true(turn(150, 1, 0, '/healthy').served < 150);
});
