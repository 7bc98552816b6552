import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Message } from '../../src/nexus-core.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { freePort, type Node, openNode, openPair } from '../support/mesh.ts';
import { redisForTest } from '../support/redis-server.ts';
import { request } from '../support/rest.ts';
import { openFaultProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { openWs } from '../support/ws-client.ts';
import { makeKeys, openSubscriber } from '../support/zeromq.ts';

const linkOf = ({ zeroMq }: Node) => {
  const [link] = zeroMq.stats().peers;
  if (link === undefined) throw new Error('the node has no peer');
  return link;
};
const connected = (node: Node) => until(() => linkOf(node).connected);

/** Publishes `count` messages, 20 at a time, whose payloads go on from `from`. */
const load = async (node: Node, from: number, count: number): Promise<void> => {
  for (let n = from; n < from + count; n += 20) {
    const batch = Array.from({ length: Math.min(20, from + count - n) }, (_, index) => n + index);
    await Promise.all(batch.map((payload) => node.publish(`load.${payload % 3}`, payload)));
  }
};

const take = async (reader: AsyncIterator<Message>, count: number): Promise<readonly unknown[]> => {
  const payloads: unknown[] = [];
  while (payloads.length < count) {
    const { value, done } = await reader.next();
    if (done === true) break;
    payloads.push(value.payload);
  }
  return payloads;
};

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);

test('a peer’s socket that is cut under load and heals › costs the far subscriber nothing: every message once, in order', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const { near, far, peerLink } = await openPair(t, redis);
  await connected(far);
  await connected(near);
  const reader = await far.read('load.>');
  const read = take(reader, 3_000);
  await load(near, 0, 1_000);
  peerLink.pause();
  peerLink.cut();
  await load(near, 1_000, 1_000);
  await until(() => !linkOf(far).connected);
  const { batches } = linkOf(far);
  peerLink.resume();
  peerLink.cut();
  await connected(far);
  await load(near, 2_000, 1_000);
  t.deepEqual(await read, upTo(3_000));
  await until(() => linkOf(far).batches > batches);
  t.is(linkOf(far).refused, 0);
});

test('a node whose connection to the log is cut › hears through its peer what others publish, and from the log what that lacks', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const { near, far, peerLink, logLink } = await openPair(t, redis);
  const alone = await openNode(t, { log: `redis://127.0.0.1:${logLink.port}` });
  await connected(far);
  const reader = await far.read('load.>');
  const aloneReader = await alone.read('load.>');
  await load(near, 0, 100);
  t.deepEqual(await take(reader, 100), upTo(100));
  t.deepEqual(await take(aloneReader, 100), upTo(100));

  logLink.pause();
  const { position } = alone.core.parts.hub;
  const before = far.core.parts.hub.stats().offeredEvents;
  await load(near, 100, 1_000);
  t.deepEqual(await take(reader, 1_000), upTo(1_100).slice(100));
  t.true(far.core.parts.hub.stats().offeredEvents >= before + 1_000);
  // One behind the same cut that has no peer has heard nothing.
  t.is(alone.core.parts.hub.position, position);

  // Now the peer too: nothing can come, and what comes first when it heals is too early.
  peerLink.pause();
  peerLink.cut();
  await load(near, 1_100, 500);
  await until(() => !linkOf(far).connected);
  peerLink.resume();
  peerLink.cut();
  await connected(far);
  await load(near, 1_600, 100);
  await until(() => far.core.parts.hub.stats().heldEvents >= 100);
  logLink.resume();
  logLink.cut();
  t.deepEqual(await take(reader, 600), upTo(1_700).slice(1_100));
  t.is(far.core.parts.hub.stats().heldEvents, 0);
  t.deepEqual(await take(aloneReader, 1_600), upTo(1_700).slice(100));
});

test('a peer that is down at the start, comes, and comes again as a new process › is followed each time', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const { near, far, peerLink } = await openPair(t, redis);
  const port = Number(new URL(near.zeroMq.publish ?? '').port);
  await connected(far);
  await near.close();
  await until(() => !linkOf(far).connected);
  const again = await openNode(t, { log: redis.url, port });
  await connected(far);
  const reader = await far.read('load.>');
  await load(again, 0, 50);
  t.deepEqual(await take(reader, 50), upTo(50));

  const late = await openNode(t, {
    log: redis.url,
    zeroMq: { peers: [`tcp://127.0.0.1:${peerLink.port}`, 'tcp://127.0.0.1:9'] },
  });
  await connected(late);
  t.false(late.zeroMq.stats().peers[1]?.connected);
});

test('a peer on another log › is not listened to', async (t) => {
  const redis = await redisForTest(t);
  const other = await redisForTest(t);
  if (redis === undefined || other === undefined) return;
  const near = await openNode(t, { log: redis.url });
  const stranger = await openNode(t, { log: other.url, zeroMq: { peers: [near.zeroMq.publish ?? ''] } });
  await connected(stranger);
  await load(near, 0, 100);
  await until(() => linkOf(stranger).refused > 0);
  t.is(linkOf(stranger).batches, 0);
  t.is(stranger.core.parts.hub.stats().offeredEvents, 0);
});

test('raw events of the log › go over CURVE to those with log:read alone, whatever they subscribe to', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const server = makeKeys();
  const near = await openNode(t, { log: redis.url, zeroMq: { zmqCurveSecretKey: server.secretKey } });
  const far = await openNode(t, {
    log: redis.url,
    zeroMq: { zmqCurveSecretKey: server.secretKey, peers: [near.zeroMq.publish ?? ''] },
  });
  const apart = makeKeys();
  const foreign = await openNode(t, {
    log: redis.url,
    zeroMq: {
      zmqCurveSecretKey: apart.secretKey,
      peers: [`${near.zeroMq.publish ?? ''}|${server.publicKey}`],
    },
  });
  await connected(far);
  const reader = await far.read('load.>');
  await load(near, 0, 100);
  t.deepEqual(await take(reader, 100), upTo(100));
  await until(() => linkOf(far).batches > 0);
  // A node of another key that nobody has listed.
  t.like(linkOf(foreign), { connected: false, batches: 0 });

  const subscriber = await openSubscriber(near.zeroMq.publish ?? '', ['', '$nexus.log'], {
    client: server,
    server,
  });
  await load(near, 100, 1);
  // The hub's own key has log:read, and no topic.
  t.is((await subscriber.next()).topic, '$nexus.log');
  subscriber.close();
});

test('two processes with one key pair › hear each other while the far one has no log', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const port = await freePort();
  const logLink = await openFaultProxy({ target: redis, seed: 3 });
  const folders = [
    await mkdtemp(join(tmpdir(), 'nexus-mesh-')),
    await mkdtemp(join(tmpdir(), 'nexus-mesh-')),
  ];
  const [nearFolder = '', farFolder = ''] = folders;
  const curve = { NEXUS_ZMQ_CURVE_SECRET_KEY: makeKeys().secretKey };
  const near = await startHubProcess(nearFolder, ['--log', redis.url], {
    ...curve,
    NEXUS_ZMQ_PUBLISH: `tcp://127.0.0.1:${port}`,
  });
  const far = await startHubProcess(
    farFolder,
    [
      ...['--log', `redis://127.0.0.1:${logLink.port}`],
      ...['--peers', `tcp://127.0.0.1:${port}`, '--log-level', 'info'],
    ],
    curve,
  );
  t.teardown(async () => {
    await near.kill('SIGKILL');
    await far.kill('SIGKILL');
    await logLink.close();
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  });
  await until(() => far.stderr().includes('a peer is heard'));
  const ws = await openWs(far.url);
  await ws.ask({ type: 'subscribe', topic: 'process.a', subscription: 's' });
  const publish = (payload: number) => request(near.url, 'POST', '/events/process.a', { body: { payload } });
  await publish(0);
  t.is((await ws.waitForType('message')).payload, 0);
  logLink.pause();
  for (let n = 1; n <= 50; n++) await publish(n);
  for (let n = 1; n <= 50; n++) t.is((await ws.waitForType('message')).payload, n);
  logLink.resume();
  for (let n = 51; n <= 60; n++) await publish(n);
  for (let n = 51; n <= 60; n++) t.is((await ws.waitForType('message')).payload, n);
  ws.close();
});
