import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseConfig } from '../../src/config.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { until } from '../support/until.ts';
import { openWs, refusedWs } from '../support/ws-client.ts';
import { makeKeys, openDealer } from '../support/zeromq.ts';

const folder = await mkdtemp(join(tmpdir(), 'nexus-secrets-'));
test.after.always(() => rm(folder, { recursive: true, force: true }));

/** By what it is: nothing of these may stand in what the hub writes. */
const secrets = new Map<string, string>();
let made = 0;
const secret = (what: string, text = `HUSH${++made}x${Math.random().toString(36).slice(2)}`): string => {
  secrets.set(what, text);
  return text;
};
const token = (what: string, subject = 'ada', scope = 'admin'): string => {
  const text = signToken(subject, scope, 600 + ++made);
  // Of a token the signature is the secret; the claims are no secret, but belong in no log either.
  secret(`the signature of ${what}`, text.split('.')[2]);
  secret(`the claims of ${what}`, text.split('.')[1]);
  return text;
};

const server = makeKeys();
const client = makeKeys();
secret('the CURVE key of the hub', server.secretKey);
secret('the CURVE key of a client', client.secretKey);
secret('jwtSecret', jwtSecret);
const canary = `CANARY${Date.now()}`;

const logFile = join(folder, 'stderr.txt');
const written = (): Promise<string> => readFile(logFile, 'latin1');

/** All that the hub has left on the disk, by file. */
const leftOnDisk = async (): Promise<Map<string, string>> => {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === 'clients.json') continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path, await readFile(path, 'latin1'));
  }
  return files;
};

const start = async (): Promise<HubProcess> => {
  const clients = [{ publicKey: client.publicKey, subject: 'ada', scope: 'admin' }];
  await writeFile(join(folder, 'clients.json'), JSON.stringify(clients));
  const password = secret('the password of the log');
  return startHubProcess(
    folder,
    ['--log-level', 'trace', '--log', `redis://someone:${password}@127.0.0.1:1,file:${join(folder, 'data')}`],
    {
      NEXUS_DATA_DIR: join(folder, 'data'),
      NEXUS_STATE_FILE: join(folder, 'state.json'),
      NEXUS_JWT_SECRET: jwtSecret,
      NEXUS_ALLOWED_TARGETS: '127.0.0.0/8',
      NEXUS_ZMQ_COMMAND: 'tcp://127.0.0.1:*',
      NEXUS_ZMQ_CURVE_SECRET_KEY: server.secretKey,
      NEXUS_ZMQ_CURVE_CLIENTS: join(folder, 'clients.json'),
    },
    ['/bin/sh', '-c', `exec "$@" 2>'${logFile}'`, 'sh'],
  );
};

test('secrets › stand nowhere in what a whole run logs, at trace, nor on its disk', async (t) => {
  const hub = await start();
  t.teardown(() => hub.kill('SIGKILL'));
  const admin = { authorization: `Bearer ${token('a token in the header')}` };
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const response = await fetch(hub.url + path, {
      method,
      headers: {
        ...admin,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text };
  };
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

  t.is((await ask('PUT', '/state/canary', { value: canary })).status, 201);

  // Who is let in, and who is not, over REST and GraphQL.
  for (const path of ['/state/canary', '/graphql?query=%7B__typename%7D', '/none', '/log', '/health']) {
    t.is((await ask('GET', path, undefined, bearer(secret(`a bad token at ${path}`)))).status, 401);
    t.is(
      (
        await ask(
          'GET',
          path,
          undefined,
          bearer(`${signToken('eve', 'admin')}${secret(`a broken token at ${path}`)}`),
        )
      ).status,
      401,
    );
    t.is(
      (
        await ask('GET', path, undefined, {
          authorization: `Basic ${btoa(`u:${secret('a Basic password')}`)}`,
        })
      ).status,
      401,
    );
  }
  secret('a Basic password in base64', btoa(`u:${secrets.get('a Basic password')}`));
  t.is((await ask('GET', '/log', undefined, bearer(token('a token without scopes', 'bob', '')))).status, 403);
  await ask(
    'GET',
    `/state/canary?token=${secret('a token in a query')}&access_token=${secret('another in a query')}`,
  );
  await ask('GET', `/events?topic=a&access_token=${token('a token in a URL')}`);
  await ask('POST', `/graphql?token=${secret('a token at GraphQL')}`, { query: '{ health { status } }' });
  await ask('POST', '/graphql', {
    query: '{ broken',
    variables: { password: secret('a variable of GraphQL') },
  });
  await ask('PUT', '/state/broken', `{"password": "${secret('a broken body')}"`);
  await ask('POST', '/services', {
    name: 'login',
    version: '1.0.0',
    host: '127.0.0.1',
    port: 1,
    healthCheckUrl: `http://user:${secret('credentials in a health check')}@127.0.0.1/`,
  });
  await ask('POST', '/commands', {
    type: 'RevokeToken',
    data: { token: token('a token that is revoked', 'eve') },
  });
  await ask('POST', '/revoked-tokens', { token: secret('no token that is revoked') });

  // API keys: shown once, and kept as a hash.
  const { text } = await ask('POST', '/api-keys', { name: 'robot', scopes: ['state:read:*'] });
  const { key } = JSON.parse(text) as { readonly key: string };
  t.regex(key, /^nxk_/);
  secret('an API key', key.slice(key.lastIndexOf('_') + 1));
  await ask('GET', '/state/canary', undefined, bearer(key));
  const wrong = `${key.slice(0, key.lastIndexOf('_') + 1)}${secret('a wrong API key', 'WRONGxW'.repeat(6).slice(0, 40))}`;
  t.is((await ask('GET', '/state/canary', undefined, bearer(wrong))).status, 401);

  // What is meant for instances: one answers, one breaks, one is not there.
  const instance = createServer((request, response) => {
    if (request.url === '/break') request.socket.destroy();
    else response.setHeader('Set-Cookie', `session=${secret('a cookie of an instance')}`).end('{}');
  });
  await new Promise<void>((resolve) => instance.listen(0, '127.0.0.1', resolve));
  t.teardown(() => instance.close());
  const { port } = instance.address() as AddressInfo;
  for (const [name, at] of [
    ['shop', port],
    ['gone', 1],
  ] as const)
    await ask('POST', '/services', { name, version: '1.0.0', host: '127.0.0.1', port: at });
  for (const path of ['/proxy/shop/', '/proxy/shop/break', '/proxy/gone/', '/proxy/none/']) {
    await ask('GET', `${path}?key=${secret(`a key in the URL of ${path}`)}`, undefined, {
      cookie: `session=${secret(`a cookie to ${path}`)}`,
      'proxy-authorization': `Basic ${secret(`Proxy-Authorization to ${path}`)}`,
    });
  }
  for (const name of ['shop', 'gone']) {
    await ask('POST', `/services/${name}/invoke`, {
      method: 'login',
      data: { password: secret(`an argument to ${name}`) },
      timeoutMs: 1_000,
    });
  }
  await refusedWs(hub.url, {
    path: `/proxy/gone/?ticket=${secret('a ticket of a WebSocket')}`,
    protocols: ['v1', `bearer.${token('a token in a subprotocol under /proxy')}`],
  });

  // WebSocket: header, subprotocol, renewal.
  t.is(
    (await refusedWs(hub.url, { protocols: ['nexus.v1', `bearer.${secret('a bad subprotocol')}`] })).status,
    401,
  );
  t.is((await refusedWs(hub.url, { headers: bearer(secret('a bad token of an upgrade')) })).status, 401);
  t.is((await refusedWs(hub.url, { path: `/ws?token=${secret('a token in the URL of /ws')}` })).status, 401);
  const socket = await openWs(hub.url, {
    protocols: ['nexus.v1', `bearer.${token('a token in a subprotocol')}`],
  });
  t.is((await socket.ask({ type: 'auth', token: token('a renewed token') })).type, 'authenticated');
  t.is((await socket.ask({ type: 'auth', token: secret('a bad renewal') })).code, 'unauthorized');
  t.is((await socket.ask({ type: 'none', token: secret('a token in a bad frame') })).type, 'error');
  socket.send(`{"type":"auth","token":"${secret('a token in a broken frame')}`);
  t.is((await socket.waitForType('error')).code, 'bad_json');
  await socket.close();
  for (const [sent, code] of [
    [token('a token in connection_init'), 1000],
    [secret('a bad token in connection_init'), 4401],
  ] as const) {
    const graphql = await openWs(hub.url, { path: '/graphql', protocols: ['graphql-transport-ws'] });
    graphql.send({ type: 'connection_init', payload: { token: sent } });
    if (code === 1000) await graphql.waitForType('connection_ack').then(() => graphql.socket.close(1000));
    t.is((await graphql.closed).code, code);
  }

  // What is not even HTTP.
  await new Promise<void>((resolve) => {
    const raw = connect(Number(new URL(hub.url).port), '127.0.0.1', () =>
      raw.write(
        `GET / HTTP/1.1\r\nAuthorization: Bearer ${secret('a broken request')}\r\nbroken field\r\n\r\n`,
      ),
    );
    raw.resume().once('close', () => resolve());
  });

  // ZeroMQ over CURVE, by a key that is known and by one that is not.
  let endpoint: string | undefined;
  await until(async () => {
    endpoint = [...(await written()).matchAll(/tcp:\/\/127\.0\.0\.1:[1-9]\d*/g)].at(-1)?.[0];
    return endpoint !== undefined;
  });
  const dealer = openDealer(endpoint ?? '', { client, server });
  t.is((await dealer.ask({ type: 'publish', topic: 'a', payload: 1 })).type, 'published');
  t.is((await dealer.ask({ type: 'auth', token: secret('a token over ZeroMQ') })).type, 'error');
  dealer.close();
  const stranger = makeKeys();
  secret('the CURVE key of a stranger', stranger.secretKey);
  openDealer(endpoint ?? '', { client: stranger, server }).close();

  t.is(await hub.kill('SIGTERM'), 0);
  const log = await written();
  t.regex(log, /"level":"info"/, 'the run is logged');
  const files = await leftOnDisk();
  t.true(
    [...files.values()].some((content) => content.includes(canary)),
    'what is stored is found',
  );
  t.true(secrets.size > 50);
  files.set('stdout', hub.ready);
  for (const [what, text] of secrets) {
    for (const [file, content] of files) t.false(content.includes(text), `${what} stands in ${file}`);
  }
});

test('secrets › of the configuration stand in no message about it', (t) => {
  for (const [args, environment, file] of [
    [['--log', 'redis://user:SHORTxSECRET@host:none'], {}],
    [['--log', 'kafka://user:SHORTxSECRET@host'], {}],
    [['--redis-url', 'http://user:SHORTxSECRET@host'], {}],
    [['--peers', 'tcp://user:SHORTxSECRET@host'], {}],
    [[], { NEXUS_JWT_SECRET: 'SHORTxSECRET' }],
    [[], { NEXUS_JWKS_URL: 'ftp://user:SHORTxSECRET@host' }],
    [[], { NEXUS_ZMQ_CURVE_SECRET_KEY: 'SHORTxSECRET' }],
    [[], {}, '{ "jwtSecret": "SHORTxSECRET" }'],
    [[], {}, '{ "jwtSecret": "SHORTxSECRET", }'],
    [[], {}, '{ "jwtSecrets": "SHORTxSECRET" }'],
  ] as const) {
    const parsed = parseConfig(args, environment, () => file);
    t.false(parsed.ok, JSON.stringify([args, environment, file]));
    if (!parsed.ok) t.false(parsed.message.includes('SHORTxSECRET'), parsed.message);
  }
});
