import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { makeGroup } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

test('a hub that is closed › tells its consumers, keeps what they settled, and costs what they held no attempt', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'nexus-groups-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const place = { dataDir: directory, log: [`file:${directory}`] };
  const first = await openHub(place);
  const group = await makeGroup(first.url, { ackWaitMs: 86_400_000 });
  const ws = await openWs(first.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  await group.publish(1, 2, 3);
  const held = [];
  while (held.length < 3) held.push(await ws.waitForType('message'));
  // Sent and not waited for: the drain takes it all the same.
  ws.send({ type: 'ack', delivery: held[0]?.delivery });
  await ws.ask({ type: 'ping' });
  const [{ code }] = await Promise.all([ws.closed, first.close()]);
  t.is(code, 1001);
  t.deepEqual(first.logged, []);

  const second = await openHub(place);
  t.teardown(() => second.close());
  const other = await openWs(second.url);
  await other.ask({ type: 'subscribe', group: group.name });
  const again = [await other.waitForType('message'), await other.waitForType('message')];
  t.deepEqual(
    again.map(({ payload, attempt }) => [payload, attempt]),
    [
      [2, 1],
      [3, 1],
    ],
  );
  const stale = await other.ask({ type: 'ack', delivery: held[1]?.delivery });
  t.like(stale, { type: 'error', code: 'stale_delivery' });
  const view = await request(second.url, 'GET', `/subscriptions/${group.name}`);
  t.like(view.body, { lagEvents: 2, inFlight: 2 });
  await other.close();
});

test('a token that expires › closes the socket, and what its consumer held is another’s first attempt', async (t) => {
  const hub = await openHub({ jwtSecret });
  t.teardown(() => hub.close());
  const scope = 'events:read:life.a events:publish:life.a';
  const token = (ttlSec: number) => signToken('ada', scope, ttlSec);
  const open = () => openWs(hub.url, { headers: { authorization: `Bearer ${token(600)}` } });
  const [one, other] = [await open(), await open()];
  const command = { type: 'CreateSubscription', data: { name: 'life', topic: 'life.a' } };
  t.like(await one.ask({ type: 'command', command }), { type: 'result' });
  await one.ask({ type: 'subscribe', group: 'life' });
  await one.ask({ type: 'publish', topic: 'life.a', payload: 1 });
  t.like(await one.waitForType('message'), { payload: 1 });
  await other.ask({ type: 'subscribe', group: 'life' });
  // Within the leeway of its exp: about a second of it is left.
  one.send({ type: 'auth', token: token(-28) });
  t.is((await one.closed).code, 4401);
  t.like(await other.waitForType('message'), { payload: 1, attempt: 1 });
  await other.close();
});
