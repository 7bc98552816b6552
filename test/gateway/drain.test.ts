import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import test from 'ava';
import { openHub } from '../support/hub.ts';
import { call } from './client.ts';

const fixtures = join(import.meta.dirname, 'fixtures');

test('close › a connection on which no request ever came does not hold it up', async (t) => {
  const hub = await openHub();
  const opened = connect(hub.port, '127.0.0.1');
  await once(opened, 'connect');
  const ended = once(opened, 'close');
  t.is((await call(hub.url, 'GET', '/health/live')).status, 200);
  await hub.close();
  await ended;
  t.deepEqual(hub.logged, [], 'nothing had to be cut at the end of the drain');
});

test('close › neither does one of TLS, and an answer under way is finished', async (t) => {
  const held = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const hub = await openHub({
    tlsCert: join(fixtures, 'first-cert.pem'),
    tlsKey: join(fixtures, 'first-key.pem'),
    wrap: (core) => ({
      ...core,
      health: async () => {
        begun.resolve();
        await held.promise;
        return core.health();
      },
    }),
  });
  const open = async () => {
    const socket = connectTls({ port: hub.port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    return socket;
  };
  const [unused, used] = [await open(), await open()];
  const ended = once(unused, 'close');
  const answer = once(used, 'data');
  used.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await begun.promise;
  const closed = hub.close();
  await ended;
  held.resolve();
  t.regex(String((await answer)[0]), /^HTTP\/1\.1 200 /);
  await closed;
  t.deepEqual(hub.logged, []);
});
