import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseCurveClients } from '../../src/bus/zeromq/curve/clients.ts';
import { decodeZ85, encodeZ85, publicKeyOf } from '../../src/bus/zeromq/curve/keys.ts';
import { openZeroMq, type ZeroMqOptions } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { openHub } from '../support/hub.ts';
import { until } from '../support/until.ts';
import { type KeyPair, makeKeys, openDealer, openSubscriber } from '../support/zeromq.ts';

const silent = createLogger('silent');
const local = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };
const free = 'tcp://127.0.0.1:*';

const folder = await mkdtemp(join(tmpdir(), 'nexus-curve-'));
const hub = await openHub();
const server = makeKeys();
test.after.always(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

type Entry = { readonly publicKey: string; readonly subject: string; readonly scope: string };
const entry = ({ publicKey }: KeyPair, subject: string, scope: string): Entry => ({
  publicKey,
  subject,
  scope,
});

let files = 0;
const openGuarded = async (entries: readonly Entry[], more: Partial<ZeroMqOptions['config']> = {}) => {
  const file = join(folder, `clients-${files++}.json`);
  await writeFile(file, JSON.stringify(entries));
  const config = {
    zmqPublish: free,
    zmqCommand: free,
    jwtSecret: null,
    zmqCurveSecretKey: server.secretKey,
    zmqCurveClients: file,
    ...more,
  };
  const zeroMq = await openZeroMq({ core: hub.core, config, logger: silent, clientsPollMs: 20 });
  return { ...zeroMq, file, publish: zeroMq.publish ?? '', command: zeroMq.command ?? '' };
};

const publish = async (topic: string, payload: unknown): Promise<void> => {
  const done = await hub.core.execute({ type: 'PublishMessage', data: { topic, payload } }, local);
  if (!done.ok) throw new Error(done.problem.detail);
};

test('a public key › is that which libzmq made with the secret key, and Z85 goes both ways', (t) => {
  for (let count = 0; count < 50; count++) {
    const { publicKey, secretKey } = makeKeys();
    t.is(publicKeyOf(secretKey), publicKey);
    t.is(encodeZ85(decodeZ85(publicKey) ?? Buffer.alloc(0)), publicKey);
  }
  // RFC 32/Z85's own example.
  t.is(encodeZ85(Buffer.from('864fd26fb559f75b', 'hex')), 'HelloWorld');
  t.is(decodeZ85('HelloWorld')?.toString('hex'), '864fd26fb559f75b');
  for (const bad of ['~'.repeat(40), '#'.repeat(40), 'abc', 'é'.repeat(40)])
    t.is(publicKeyOf(bad), undefined);
});

test('a client › acts as the subject of its key, within its scope', async (t) => {
  const orders = makeKeys();
  const reader = makeKeys();
  const guarded = await openGuarded([
    entry(orders, 'order-service', 'events:publish:orders.> events:read:orders.>'),
    entry(reader, 'reader', 'events:read:*.public'),
  ]);
  const dealer = openDealer(guarded.command, { client: orders, server });
  const own = await openSubscriber(guarded.publish, [''], { client: orders, server });
  const other = await openSubscriber(guarded.publish, [''], { client: reader, server });

  t.like(await dealer.ask({ type: 'publish', id: 1, topic: 'orders.public', payload: 1 }), {
    type: 'published',
    id: 1,
  });
  t.like(await dealer.ask({ type: 'publish', id: 2, topic: 'bills.public', payload: 2 }), {
    type: 'error',
    id: 2,
    code: 'forbidden',
    scope: 'events:publish:bills.public',
  });
  await publish('bills.public', 3);
  await publish('orders.secret', 4);
  await publish('bills.public', 5);

  const ownHeard = [await own.next(), await own.next()].map(({ topic, body }) => [topic, body.payload]);
  t.deepEqual(ownHeard, [
    ['orders.public', 1],
    ['orders.secret', 4],
  ]);
  const first = await other.next();
  t.like(first.body, { topic: 'orders.public', publisher: 'order-service' });
  const rest = [await other.next(), await other.next()].map(({ topic, body }) => [topic, body.payload]);
  t.deepEqual(rest, [
    ['bills.public', 3],
    ['bills.public', 5],
  ]);
  for (const client of [dealer, own, other]) client.close();
  await until(() => guarded.stats().connections === 0);
  await guarded.close();
  t.pass();
});

test('a key that is not known, and a client without one › are not let in and get nothing', async (t) => {
  const known = makeKeys();
  const guarded = await openGuarded([entry(known, 'known', 'admin')]);
  const strangers = [
    openDealer(guarded.command, { client: makeKeys(), server }),
    openDealer(guarded.command, { client: known, server: makeKeys() }),
    openDealer(guarded.command),
  ].map(({ socket }) => {
    // Heard from the beginning: a stranger may be sent away before its turn.
    const failed = new Promise<void>((resolve) => {
      socket.events.on('disconnect', () => resolve());
    });
    return { socket, failed };
  });
  for (const { socket, failed } of strangers) {
    socket.receiveTimeout = 300;
    socket.sendTimeout = 0;
    await socket.send('{"type":"publish","id":1,"topic":"stranger.a","payload":1}').catch(() => {});
    await failed;
    await t.throwsAsync(socket.receive(), { code: 'EAGAIN' });
    socket.close();
  }
  const page = await hub.core.messages({ topic: 'stranger.>' }, local);
  t.deepEqual(page.ok && page.value.events, []);
  const dealer = openDealer(guarded.command, { client: known, server });
  t.like(await dealer.ask({ type: 'publish', id: 2, topic: 'known.a', payload: 1 }), { type: 'published' });
  dealer.close();
  await guarded.close();
});

test("the hub's own key › may follow the log and send nothing", async (t) => {
  const guarded = await openGuarded([]);
  const dealer = openDealer(guarded.command, { client: server, server });
  t.like(await dealer.ask({ type: 'publish', id: 1, topic: 'own.a', payload: 1 }), { code: 'forbidden' });
  dealer.close();
  await guarded.close();
});

test('an entry that is taken out or changed › cuts its clients, others stay, and a file that is none changes nothing', async (t) => {
  const leaving = makeKeys();
  const staying = makeKeys();
  const guarded = await openGuarded([entry(leaving, 'leaving', 'admin'), entry(staying, 'staying', 'admin')]);
  const gone = openDealer(guarded.command, { client: leaving, server });
  const stays = openDealer(guarded.command, { client: staying, server });
  t.like(await gone.ask({ type: 'publish', id: 1, topic: 'revoked.a', payload: 1 }), { type: 'published' });
  t.like(await stays.ask({ type: 'publish', id: 2, topic: 'revoked.a', payload: 2 }), { type: 'published' });

  await writeFile(guarded.file, 'nonsense');
  await writeFile(guarded.file, JSON.stringify([entry(staying, 'staying', 'admin')]));
  await until(() => guarded.stats().connections === 1);
  t.like(await stays.ask({ type: 'publish', id: 3, topic: 'revoked.a', payload: 3 }), { type: 'published' });

  const less = [
    entry(staying, 'staying', 'events:read:>'),
    entry(leaving, 'leaving', 'events:publish:back.>'),
  ];
  await writeFile(guarded.file, JSON.stringify(less));
  await until(async () => {
    const again = openDealer(guarded.command, { client: staying, server });
    // One that is cut while it asks gets no answer.
    again.socket.receiveTimeout = 1_000;
    const frame = { type: 'publish', id: 4, topic: 'revoked.a', payload: 4 };
    const answer = await again.ask(frame).catch(() => ({ code: 'cut' }));
    again.close();
    return answer.code === 'forbidden';
  });
  const back = openDealer(guarded.command, { client: leaving, server });
  t.like(await back.ask({ type: 'publish', id: 5, topic: 'back.a', payload: 5 }), { type: 'published' });
  for (const client of [gone, stays, back]) client.close();
  await guarded.close();
});

test('with keys › a socket may stand on every address, with authentication on too', async (t) => {
  const client = makeKeys();
  const guarded = await openGuarded([entry(client, 'c', 'admin')], {
    zmqPublish: 'tcp://0.0.0.0:*',
    zmqCommand: 'tcp://*:0',
    jwtSecret: 'x'.repeat(32),
  });
  t.regex(guarded.publish, /^tcp:\/\/0\.0\.0\.0:\d+$/);
  t.regex(guarded.command, /^tcp:\/\/\*:\d+$/);
  const subscriber = await openSubscriber(guarded.publish.replace('0.0.0.0', '127.0.0.1'), ['every'], {
    client,
    server,
  });
  const dealer = openDealer(guarded.command.replace('*', '127.0.0.1'), { client, server });
  t.like(await dealer.ask({ type: 'publish', id: 1, topic: 'every.a', payload: 1 }), { type: 'published' });
  t.like(await subscriber.next(), { topic: 'every.a' });
  dealer.close();
  subscriber.close();
  await guarded.close();
});

test('closing › answers what was taken', async (t) => {
  const client = makeKeys();
  const guarded = await openGuarded([entry(client, 'c', 'admin')]);
  const dealer = openDealer(guarded.command, { client, server });
  await dealer.ask({ type: 'publish', id: 0, topic: 'closing.a', payload: 0 });
  const watch = await hub.core.watchMessages('closing.a', { signal: AbortSignal.timeout(60_000) }, local);
  if (!watch.ok) return t.fail(watch.problem.detail);
  const asked = dealer.ask({ type: 'publish', id: 1, topic: 'closing.a', payload: 1 });
  for await (const step of watch.value.items) if (step.type === 'items') break;
  await guarded.close();
  t.like(await asked, { type: 'published', id: 1 });
  dealer.close();
});

test('a file of clients that is none › stops the start, and says which entry and why', async (t) => {
  const { publicKey } = makeKeys();
  const good = { publicKey, subject: 'a', scope: 'admin' };
  const bad: readonly (readonly [unknown, RegExp])[] = [
    [{}, /must hold a list/],
    [[good, 7], /entry 1 is not an object/],
    [[{ ...good, publicKey: 'short' }], /the publicKey of entry 0 is not 40 characters/],
    [[{ ...good, subject: '' }], /the subject of entry 0 is not a text of 1 to 256/],
    [[{ ...good, subject: 'local' }], /the subject of entry 0 \(local\) is reserved/],
    [[{ ...good, subject: 'a\nb' }], /the subject of entry 0/],
    [[{ ...good, scope: ['admin'] }], /the scope of entry 0 is not a text/],
    [[{ ...good, scopes: 'admin' }], /entry 0 has an unknown member/],
    [[good, good], /entry 1 has the public key of an entry before it/],
    [Array.from({ length: 10_001 }, () => good), /more than 10000/],
  ];
  for (const [value, expected] of bad) {
    t.throws(() => parseCurveClients(JSON.stringify(value)), { message: expected });
  }
  t.throws(() => parseCurveClients('nonsense'), { message: /not JSON/ });
  t.deepEqual(parseCurveClients(JSON.stringify([{ ...good, scope: ' a  b ' }])).get(publicKey), {
    id: 'a',
    scopes: ['a', 'b'],
  });

  const options = (zmqCurveSecretKey: string, zmqCurveClients: string): ZeroMqOptions => ({
    core: hub.core,
    config: { zmqPublish: 'none', zmqCommand: 'none', jwtSecret: null, zmqCurveSecretKey, zmqCurveClients },
    logger: silent,
  });
  const missing = join(folder, 'missing.json');
  await t.throwsAsync(openZeroMq(options(server.secretKey, missing)), {
    message: /zmqCurveClients .*missing/,
  });
  await t.throwsAsync(openZeroMq(options('#'.repeat(40), missing)), {
    message: 'zmqCurveSecretKey is not a CURVE key',
  });
});
