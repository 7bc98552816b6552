import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import test from 'ava';
import { openHub } from '../support/hub.ts';
import { call } from './client.ts';

const fixtures = join(import.meta.dirname, 'fixtures');

test('close › finishes what is in flight, takes nothing new, and lets the port go', async (t) => {
  let begun = (): void => {};
  let finish = (): void => {};
  const started = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const hub = await openHub({
    wrap: (core) => ({
      ...core,
      execute: async (command, context) => {
        begun();
        await held;
        return core.execute(command, context);
      },
    }),
  });
  const inFlight = call(hub.url, 'PUT', '/state/a', { json: { value: 1 } });
  await started;
  const closed = hub.close();
  await t.throwsAsync(call(hub.url, 'GET', '/health/live'), { code: 'ECONNREFUSED' });
  finish();
  const answer = await inFlight;
  t.is(answer.status, 201);
  t.is(answer.headers.connection, 'close');
  await closed;
});

test('close › ends idle connections at once, and may be called twice', async (t) => {
  const hub = await openHub();
  const idle = connect(hub.port, '127.0.0.1');
  await new Promise<void>((resolve) => idle.once('connect', resolve));
  idle.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await new Promise<void>((resolve) => idle.once('data', () => resolve()));
  const ended = new Promise<void>((resolve) => idle.once('close', () => resolve()));
  await Promise.all([hub.gateway.close(), hub.gateway.close()]);
  await ended;
  t.true(idle.destroyed);
  await hub.close();
});

test('openGateway › on a port that is taken fails, and names it', async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  await t.throwsAsync(openHub({ apiPort: hub.port }), { code: 'EADDRINUSE' });
});

/** The common name of the certificate that the hub shows now. */
const certificateOf = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      resolve(String(subject.CN));
    });
    socket.on('error', reject);
  });

test('TLS › serves the certificate, and another one once the files were replaced, without a restart', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'nexus-tls-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const install = async (name: string): Promise<void> => {
    for (const part of ['key', 'cert']) {
      await copyFile(join(fixtures, `${name}-${part}.pem`), join(directory, `${part}.new`));
      await rename(join(directory, `${part}.new`), join(directory, `${part}.pem`));
    }
  };
  await install('first');
  const hub = await openHub({ tlsCert: join(directory, 'cert.pem'), tlsKey: join(directory, 'key.pem') });
  t.teardown(() => hub.close());
  t.regex(hub.url, /^https:/);
  t.is(await certificateOf(hub.port), 'first');
  await copyFile(join(fixtures, 'second-key.pem'), join(directory, 'key.pem'));
  while (!hub.logged.some(({ msg }) => msg.includes('cannot be used'))) await certificateOf(hub.port);
  t.is(await certificateOf(hub.port), 'first', 'a pair that does not fit together is not used');
  await install('second');
  let served: string;
  do served = await certificateOf(hub.port);
  while (served === 'first');
  t.is(served, 'second');
});

test('TLS › with a key that is not the certificate’s does not start', async (t) => {
  const pair = { tlsCert: join(fixtures, 'first-cert.pem'), tlsKey: join(fixtures, 'second-key.pem') };
  await t.throwsAsync(openHub(pair));
});
