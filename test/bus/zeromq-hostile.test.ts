import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Dealer, type Subscriber } from 'zeromq';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { openHub } from '../support/hub.ts';
import { until } from '../support/until.ts';
import { curveOptions, makeKeys, openDealer, openSubscriber } from '../support/zeromq.ts';

const silent = createLogger('silent');
const local = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };
const server = makeKeys();
const client = makeKeys();
const keys = { client, server };

const folder = await mkdtemp(join(tmpdir(), 'nexus-hostile-'));
const temporary = join(folder, 'tmp');
await mkdir(temporary);
const clientsFile = join(folder, 'clients.json');
await writeFile(
  clientsFile,
  JSON.stringify([{ publicKey: client.publicKey, subject: 'client', scope: 'admin' }]),
);
const hub = await openHub();
// Where the sockets of connections stand: a folder in which nothing else does.
process.env.TMPDIR = temporary;
const zeroMq = await openZeroMq({
  core: hub.core,
  config: {
    zmqPublish: 'tcp://127.0.0.1:*',
    zmqCommand: 'tcp://127.0.0.1:*',
    jwtSecret: null,
    zmqCurveSecretKey: server.secretKey,
    zmqCurveClients: clientsFile,
  },
  logger: silent,
});
const command = zeroMq.command ?? '';
const publish = zeroMq.publish ?? '';
test.after.always(async () => {
  await zeroMq.close();
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

const handles = (): number => readdirSync('/proc/self/fd').length;
const nobody = () => until(() => zeroMq.stats().connections === 0 && zeroMq.stats().handshakes === 0);
const serves = async (): Promise<boolean> => {
  const dealer = openDealer(command, keys);
  const answer = await dealer.ask({ type: 'publish', id: 1, topic: 'serves.a', payload: 1 });
  dealer.close();
  return answer.type === 'published';
};

const dial = async (endpoint: string): Promise<Socket> => {
  const socket = connect(Number(new URL(endpoint).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  return socket;
};

/** Unlike `once`, whatever way it ends. */
const ended = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));
const cutOff = ({ events }: Dealer | Subscriber): Promise<void> =>
  new Promise((resolve) => events.on('disconnect', () => resolve()));

/** The first ten bytes of a ZMTP greeting, then what a NULL client would say. */
const signature = Buffer.from('ff00000000000000017f', 'hex');
const nullGreeting = Buffer.concat([signature, Buffer.from([3, 1]), Buffer.from('NULL'), Buffer.alloc(48)]);

// One after another: each counts what the others would leave.
test.serial(
  'what is no ZMTP, or another mechanism › is cut, costs no socket for long, and nobody else anything',
  async (t) => {
    t.true(await serves());
    await nobody();
    const before = handles();
    const rubbish = [
      Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      Buffer.alloc(100_000),
      Buffer.concat([signature, Buffer.alloc(100_000, 0xff)]),
      nullGreeting,
      Buffer.concat([signature, Buffer.from([3, 1]), Buffer.from('CURVE'), Buffer.alloc(2_000_000)]),
    ];
    for (const endpoint of [command, publish]) {
      for (const bytes of rubbish) {
        const socket = await dial(endpoint);
        const closed = ended(socket);
        socket.write(bytes);
        await closed;
      }
    }
    t.true(await serves());
    await nobody();
    await until(() => handles() <= before);
    t.pass();
  },
);

test.serial(
  'those who connect and never prove a key › are at most 64, give way to who does, and are cut in time',
  async (t) => {
    await nobody();
    const before = handles();
    const silentOnes: Socket[] = [];
    for (let count = 0; count < 200; count++) {
      const socket = await dial(command);
      if (count % 2 === 0) socket.write(signature);
      silentOnes.push(socket);
    }
    await until(() => silentOnes.filter((socket) => socket.closed).length >= 136);
    t.true(zeroMq.stats().handshakes <= 64);
    t.true(await serves());
    await nobody();
    await until(() => silentOnes.every((socket) => socket.closed));
    await until(() => handles() <= before);
    t.pass();
  },
);

test.serial('those who go in the middle of the handshake › leave nothing behind', async (t) => {
  await nobody();
  const before = handles();
  for (let count = 0; count < 50; count++) {
    const socket = await dial(count % 2 === 0 ? command : publish);
    socket.write(signature);
    if (count % 3 === 0) await once(socket, 'data');
    socket.destroy();
  }
  await nobody();
  await until(() => handles() <= before);
  t.true(await serves());
});

test.serial(
  'a known client that sends what is too large, or a message that never ends › is cut',
  async (t) => {
    const large = Buffer.alloc(1_048_577);
    const part = Buffer.alloc(1_000_000);
    for (const frames of [[large], Array.from({ length: 64 }, () => part)]) {
      const dealer = new Dealer({ linger: 0, reconnectInterval: -1, ...curveOptions(client, server) });
      const cut = cutOff(dealer);
      dealer.connect(command);
      await dealer.send(frames);
      await cut;
      dealer.close();
    }
    t.true(await serves());
    await nobody();
  },
);

test.serial('a known client with more connections than one may have › has no further one', async (t) => {
  const dealers = Array.from({ length: 20 }, () => openDealer(command, keys));
  let served = 0;
  for (const { socket } of dealers) socket.receiveTimeout = 1_000;
  await Promise.all(
    dealers.map(async (dealer, id) => {
      const answer = await dealer
        .ask({ type: 'publish', id, topic: 'many.a', payload: id })
        .catch(() => undefined);
      if (answer !== undefined) served++;
    }),
  );
  t.is(served, 16);
  for (const dealer of dealers) dealer.close();
  await nobody();
  t.true(await serves());
});

test.serial('a subscriber with a flood of prefixes › is cut', async (t) => {
  const prefixes = (from: number) => Array.from({ length: 600 }, (_, n) => `flood.${from + n}`);
  const subscriber = await openSubscriber(publish, prefixes(0), keys);
  const cut = cutOff(subscriber.socket);
  subscriber.socket.subscribe(...prefixes(600));
  await cut;
  subscriber.close();
  await nobody();
  t.pass();
});

test.serial(
  'a subscriber that does not read › loses what is too much for it and can tell; who reads gets all',
  async (t) => {
    const slow = await openSubscriber(publish, ['bulk.'], { ...keys, receiveHighWaterMark: 1 });
    const quick = await openSubscriber(publish, ['bulk.'], keys);
    const send = async (payload: unknown): Promise<void> => {
      const done = await hub.core.execute(
        { type: 'PublishMessage', data: { topic: 'bulk.a', payload } },
        local,
      );
      if (!done.ok) throw new Error(done.problem.detail);
    };
    const padding = 'x'.repeat(900_000);
    for (let n = 0; n < 60; n++) {
      await send({ n, padding });
      t.like((await quick.next()).body.payload, { n });
    }
    const got: unknown[] = [];
    let gap = false;
    const read = async (): Promise<void> => {
      for (let last: unknown; !gap; ) {
        const { position, prevPosition } = (await slow.next()).body;
        gap = last !== undefined && prevPosition !== last;
        last = position;
        got.push(position);
      }
    };
    const reading = read();
    await until(async () => {
      if (!gap) await send('later');
      return gap;
    });
    await reading;
    t.true(got.length < 50, `${got.length} messages of 0.9 MB waited for one that did not read`);
    slow.close();
    quick.close();
    await nobody();
  },
);

test.serial('closing › leaves no file and no folder', async (t) => {
  const own = await openZeroMq({
    core: hub.core,
    config: {
      zmqPublish: 'none',
      zmqCommand: 'tcp://127.0.0.1:*',
      jwtSecret: null,
      zmqCurveSecretKey: server.secretKey,
      zmqCurveClients: clientsFile,
    },
    logger: silent,
  });
  t.is(readdirSync(temporary).length, 2);
  const half = await dial(own.command ?? '');
  half.write(signature);
  await once(half, 'data');
  const dealer = openDealer(own.command ?? '', keys);
  await dealer.ask({ type: 'publish', id: 1, topic: 'close.a', payload: 1 });
  for (const name of readdirSync(temporary)) t.deepEqual(readdirSync(join(temporary, name)), []);
  const halfEnded = ended(half);
  await own.close();
  await halfEnded;
  dealer.close();
  t.is(readdirSync(temporary).length, 1);
});
