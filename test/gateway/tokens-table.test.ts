import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { WebSocket } from 'ws';
import { type Listening, listen } from '../registry/support.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { part } from '../support/jws.ts';
import { openWs } from '../support/ws-client.ts';
import {
  audience,
  badTokens,
  freshToken,
  goodTokens,
  issuer,
  keySet,
  secret,
} from './fixtures/token-cases.ts';

// One hub with a secret and a key set, and each token tried on every way in.
let hub: Hub;
let folder: string;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
/** What nobody may ask for a key. */
let listener: Listening;
let asked = 0;
listener = await listen((_request, response) => {
  asked++;
  response.end(keySet);
});
const listenerUrl = `http://127.0.0.1:${listener.port}`;

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nexus-tokens-'));
  const jwksFile = join(folder, 'keys.json');
  await writeFile(jwksFile, keySet);
  hub = await openHub({ jwtSecret: secret, jwksFile, jwtIssuer: issuer, jwtAudience: audience });
});
test.after.always(async () => {
  agent.destroy();
  await hub.close();
  await listener.close();
  await rm(folder, { recursive: true });
});

type Headers = Readonly<Record<string, string | string[]>>;
type Answer = { readonly status: number; readonly code: unknown; readonly headers: IncomingHttpHeaders };

/** 101 for an upgrade that was let in. */
const send = (path: string, headers: Headers, body?: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const upgrade = 'upgrade' in headers;
    const sent = request(`${hub.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...headers },
      ...(upgrade ? {} : { agent }),
    });
    sent.once('error', reject);
    sent.once('upgrade', (response, socket) => {
      socket.on('error', () => {}).destroy();
      resolve({ status: response.statusCode ?? 0, code: undefined, headers: response.headers });
    });
    sent.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => {
        const json = JSON.parse(text) as { readonly code?: unknown };
        resolve({ status: response.statusCode ?? 0, code: json.code, headers: response.headers });
      });
    });
    sent.end(body);
  });

const upgradeOf = (protocol: string): Headers => ({
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-protocol': protocol,
});
const json = { 'content-type': 'application/json' };
const anyQuery = '{"query":"{ __typename }"}';
const sendGraphql = (headers: Headers): Promise<Answer> =>
  send('/graphql', { ...headers, ...json }, anyQuery);

/** The ways in that take `headers` as they are. */
const byHeaders: Readonly<Record<string, (headers: Headers) => Promise<Answer>>> = {
  REST: (headers) => send('/state', headers),
  GraphQL: sendGraphql,
  WebSocket: (headers) => send('/ws', { ...upgradeOf('nexus.v1'), ...headers }),
  'GraphQL over WebSocket': (headers) =>
    send('/graphql', { ...upgradeOf('graphql-transport-ws'), ...headers }),
};

/** As it goes over the wire: a header has bytes. */
const onWire = (token: string): string => Buffer.from(token).toString('latin1');
const bearer = (token: string): Headers => ({ authorization: `Bearer ${onWire(token)}` });
const subprotocol = (token: string): Promise<Answer> =>
  send('/ws', upgradeOf(`nexus.v1, bearer.${onWire(token)}`));

/** How a socket closed on connection_init; 0 when it was acknowledged. */
const connectionInit = async (token: string): Promise<number> => {
  const socket = new WebSocket(`${hub.url}/graphql`, 'graphql-transport-ws');
  await once(socket, 'open');
  const ended = Promise.race([
    once(socket, 'close').then(([code]) => Number(code)),
    once(socket, 'message').then(() => 0),
  ]);
  socket.send(JSON.stringify({ type: 'connection_init', payload: { token } }));
  const code = await ended;
  socket.terminate();
  return code;
};

const good = goodTokens(listenerUrl);
const bad = badTokens(listenerUrl);

for (const { section, what, token } of bad) {
  test(`${section} › ${what} › is refused on every way in`, async (t) => {
    const answers = await Promise.all([
      ...Object.values(byHeaders).map((way) => way(bearer(token))),
      subprotocol(token),
    ]);
    for (const { status, code, headers } of answers) {
      t.is(status, 401);
      t.is(code, 'unauthorized');
      t.regex(headers['www-authenticate'] ?? '', /^Bearer realm="nexus"/);
    }
    t.is(await connectionInit(token), 4401);
  });
}

test('an auth frame › with any of these tokens is unauthorized, and the socket goes on as before', async (t) => {
  t.true(bad.length >= 60);
  for (let first = 0; first < bad.length; first += 90) {
    const ws = await openWs(hub.url, { headers: { authorization: `Bearer ${good.HS256}` } });
    const tried = bad.slice(first, first + 90);
    const answers = await Promise.all(tried.map(({ token }) => ws.ask({ type: 'auth', token })));
    for (const [index, answer] of answers.entries()) {
      t.like(answer, { type: 'error', code: 'unauthorized' }, tried[index]?.what);
    }
    t.like(await ws.ask({ type: 'watch', key: 'k' }), { type: 'watching' });
    await ws.close();
  }
});

for (const [what, token] of Object.entries(good)) {
  test(`a good token › ${what} › is taken on every way in`, async (t) => {
    const scoped = what === 'no scope' ? 403 : 200;
    t.is((await byHeaders.REST?.(bearer(token)))?.status, scoped);
    t.is((await byHeaders.GraphQL?.(bearer(token)))?.status, 200);
    t.is((await byHeaders.WebSocket?.(bearer(token)))?.status, 101);
    t.is((await byHeaders['GraphQL over WebSocket']?.(bearer(token)))?.status, 101);
    t.is((await subprotocol(token)).status, 101);
    t.is(await connectionInit(token), 0);
    const ws = await openWs(hub.url, { headers: { authorization: `Bearer ${token}` } });
    t.like(await ws.ask({ type: 'auth', token }), { type: 'authenticated' });
    await ws.close();
  });
}

const token = good.HS256 ?? '';
const misplaced: Readonly<Record<string, Headers>> = {
  'in a cookie': {
    cookie: `token=${token}; access_token=${token}; jwt=${token}; Authorization=Bearer ${token}`,
  },
  'as the password of Basic': { authorization: `Basic ${part(`ada:${token}`)}` },
  'under the scheme Token': { authorization: `Token ${token}` },
  'under DPoP': { authorization: `DPoP ${token}` },
  'without a scheme': { authorization: token },
  'without a space behind the scheme': { authorization: `Bearer${token}` },
  'behind a comma': { authorization: `Bearer x, Bearer ${token}` },
  'in front of a comma': { authorization: `Bearer ${token}, Bearer ${token}` },
  'in two headers': { Authorization: [`Bearer ${token}`, `Bearer ${token}`] },
  'in two headers, one of them bad': { Authorization: [`Bearer ${token}`, 'Bearer x'] },
  'in a header of a proxy': { 'x-access-token': token, 'x-forwarded-authorization': `Bearer ${token}` },
  'in Proxy-Authorization': { 'proxy-authorization': `Bearer ${token}` },
};
for (const [what, headers] of Object.entries(misplaced)) {
  test(`RFC 6750, 2 › a good token ${what} › is no token`, async (t) => {
    for (const [way, ask] of Object.entries(byHeaders)) {
      // A GraphQL socket may bring its token in connection_init, where nothing was given before.
      const later =
        way === 'GraphQL over WebSocket' && !('authorization' in headers || 'Authorization' in headers);
      t.is((await ask(headers)).status, later ? 101 : 401, way);
    }
  });
}

test('RFC 6750, 2 › a good token in the URL, in a body, or twice in an upgrade › is no token', async (t) => {
  t.is((await send(`/state?access_token=${token}&token=${token}`, {})).status, 401);
  t.is((await send(`/ws?access_token=${token}&token=${token}`, upgradeOf('nexus.v1'))).status, 401);
  t.is((await send('/graphql', json, `{"query":"{ __typename }","token":"${token}"}`)).status, 401);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  t.is((await send('/events/a', form, `access_token=${token}`)).status, 401);
  t.is((await send('/ws', upgradeOf(`nexus.v1, bearer.${token}, bearer.${token}`))).status, 401);
  t.is((await send('/ws', { ...upgradeOf(`nexus.v1, bearer.${token}`), ...bearer(token) })).status, 401);
});

test('RFC 8725, 3.10 › an address in a token › is never asked', async (t) => {
  const named = [...bad.map((each) => each.token), ...Object.values(good)].filter((each) =>
    Buffer.from(each.split('.')[0] ?? '', 'base64url').includes(listenerUrl),
  );
  t.true(named.length >= 3);
  for (const each of named) await byHeaders.REST?.(bearer(each));
  t.is(asked, 0);
});

test('a token whose signature is waited for › is taken on every way in', async (t) => {
  t.is((await byHeaders.REST?.(bearer(freshToken())))?.status, 200);
  t.is((await byHeaders.GraphQL?.(bearer(freshToken())))?.status, 200);
  t.is((await byHeaders.WebSocket?.(bearer(freshToken())))?.status, 101);
  t.is((await byHeaders['GraphQL over WebSocket']?.(bearer(freshToken())))?.status, 101);
  t.is((await subprotocol(freshToken())).status, 101);
  t.is(await connectionInit(freshToken()), 0);
  const ws = await openWs(hub.url, { headers: { authorization: `Bearer ${good.HS256}` } });
  t.like(await ws.ask({ type: 'auth', token: freshToken() }), { type: 'authenticated' });
  await ws.close();
});

const upgradeText = (token: string): string =>
  [
    'GET /ws HTTP/1.1',
    `Host: 127.0.0.1:${hub.port}`,
    `Authorization: Bearer ${token}`,
    ...Object.entries(upgradeOf('nexus.v1')).map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n');

/** A text frame of a client, with a mask of zeros (RFC 6455, section 5.2). */
const frameOf = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);

test('an upgrade whose token is waited for › loses no frame that came right behind it', async (t) => {
  const socket = connect(hub.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write(
    Buffer.concat([Buffer.from(upgradeText(freshToken())), frameOf('{"type":"ping","id":"early"}')]),
  );
  let answer = '';
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.includes('"pong"')) break;
  }
  t.regex(answer, /^HTTP\/1\.1 101 /);
  t.true(answer.includes('"id":"early"'));
});

test('an upgrade whose client goes while its token is waited for › leaves nothing behind', async (t) => {
  for (let round = 0; round < 20; round++) {
    const socket = connect(hub.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(upgradeText(freshToken()));
    if (round % 2 === 0) socket.resetAndDestroy();
    else socket.destroy();
  }
  t.is((await byHeaders.REST?.(bearer(token)))?.status, 200);
  t.deepEqual(
    hub.logged.filter(({ level }) => level === 'error'),
    [],
  );
});

test('a hub with a key set alone › asks for its tokens, and takes no other', async (t) => {
  const alone = await openHub({
    jwksFile: join(folder, 'keys.json'),
    jwtIssuer: issuer,
    jwtAudience: audience,
  });
  t.teardown(() => alone.close());
  const ask = async (headers: Headers): Promise<number> =>
    (await fetch(`${alone.url}/state`, { headers: headers as Record<string, string> })).status;
  t.is(await ask({}), 401);
  t.is(await ask(bearer(freshToken())), 200);
  t.is(await ask(bearer(good.RS256 ?? '')), 200);
  t.is(await ask(bearer(token)), 401, 'HS256');
});
