import test from 'ava';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { askGraphql, eventsOf } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';
import { request, until } from '../support/rest.ts';
import { openWs } from '../support/ws-client.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
test.after.always(() => hub.close());

const get = (path: string) => request(hub.url, 'GET', path);
const pathOf = (key: string): string => `/state/${encodeURIComponent(key)}`;
const start = '0'.repeat(16);

/** A key with the versions 1 to 8, whose values are their numbers, of which the newest 3 are left; the positions of all. */
const cutKey = async (key: string): Promise<readonly string[]> => {
  const positions: string[] = [];
  for (let value = 1; value <= 8; value++) {
    const { body } = await request(hub.url, 'PUT', pathOf(key), { body: { value } });
    positions.push(String(body.position));
  }
  await request(hub.url, 'PUT', `/state-policies/${encodeURIComponent(key)}`, { body: { maxVersions: 3 } });
  await until(
    () => get(`${pathOf(key)}/history`),
    ({ body }) => body.oldestVersion === 6,
  );
  // Recorded is a moment before it is hidden.
  await until(
    () => get(`/streams/${encodeURIComponent(`state-${key}`)}`),
    ({ body }) => (body.events as readonly unknown[]).length === 3,
  );
  return positions;
};

test('REST and GraphQL › what was removed is gone and not unknown, and a history ends where it does', async (t) => {
  const positions = await cutKey('rest/k');
  const facts = { code: 'gap', key: 'rest/k', oldestVersion: 6, oldestPosition: positions[5] };
  for (const query of ['version=5', `asOf=${positions[4]}`, `asOf=${positions[0]}`]) {
    const gone = await get(`${pathOf('rest/k')}?${query}`);
    t.is(gone.status, 410, query);
    t.like(gone.body, facts);
  }
  t.is((await get(`${pathOf('rest/k')}?version=6`)).body.value, 6);
  t.is((await get(`${pathOf('rest/k')}?version=9`)).status, 404);
  const history = (await get(`${pathOf('rest/k')}/history`)).body;
  t.like(history, { more: false, oldestVersion: 6 });
  t.is((history.history as readonly unknown[]).length, 3);
  const list = await get(`/state?prefix=rest%2F&asOf=${positions[2]}`);
  t.is(list.status, 410);
  t.like(list.body, { code: 'gap', position: positions[2], oldestPosition: positions[5] });
  t.is((await get(`/state?prefix=rest%2F&asOf=${positions[5]}`)).status, 200);

  const asked = await askGraphql(hub, '{ state(key: "rest/k", version: 5) { value } }');
  t.like(asked.errors[0]?.extensions, facts);
  const states = await askGraphql(hub, `{ states(prefix: "rest/", asOf: "${positions[2]}") { key } }`);
  t.is(states.errors[0]?.extensions.code, 'gap');
});

const selectors = [
  ['a key', (key: string) => ({ key })],
  ['a prefix', (key: string) => ({ prefix: key.slice(0, -1) })],
] as const;

for (const [name, selectorOf] of selectors) {
  test(`WebSocket › a watch of ${name} that begins before what was removed gets a gap, then what is left`, async (t) => {
    const key = `ws/${name.length}/k`;
    const positions = await cutKey(key);
    for (const [after, from] of [
      ['start', start],
      [positions[1], positions[1]],
    ]) {
      const ws = await openWs(hub.url);
      ws.send({ type: 'watch', ...selectorOf(key), after, subscription: 's' });
      const first = await ws.waitForMessage(({ type }) => type === 'gap' || type === 'state');
      t.deepEqual(first, { type: 'gap', subscription: 's', from, to: positions[4] });
      for (let version = 6; version <= 8; version++)
        t.like(await ws.waitForType('state'), { key, version, value: version });
      await ws.waitForType('caughtUp');
      await ws.close();
    }
  });

  test(`server-sent events and GraphQL › the same of ${name}`, async (t) => {
    const key = `told/${name.length}/k`;
    const positions = await cutKey(key);
    const selector = selectorOf(key);
    const ending = new AbortController();
    const path =
      'key' in selector ? `${pathOf(key)}?` : `/state?prefix=${encodeURIComponent(selector.prefix)}&`;
    const response = await fetch(`${hub.url}${path}after=start`, {
      headers: { accept: 'text/event-stream' },
      signal: ending.signal,
    });
    const seen: unknown[] = [];
    for await (const { event, data } of eventsOf(response)) {
      if (event === 'caughtUp') break;
      seen.push(event === 'message' ? JSON.parse(data).version : [event, JSON.parse(data)]);
    }
    ending.abort();
    t.deepEqual(seen, [['gap', { from: start, to: positions[4] }], 6, 7, 8]);

    const client = createClient({
      url: `${hub.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    });
    const [[argument, value]] = Object.entries(selector) as [[string, string]];
    const query = `subscription { stateChanged(${argument}: "${value}", after: "start") { version } }`;
    const told: unknown[] = [];
    for await (const { data, errors } of client.iterate({ query })) {
      told.push(errors === undefined ? data?.stateChanged : errors.map(({ extensions }) => extensions));
      if (told.length === 4) break;
    }
    await client.dispose();
    t.deepEqual(told, [
      [{ code: 'gap', from: start, to: positions[4] }],
      { version: 6 },
      { version: 7 },
      { version: 8 },
    ]);
  });
}
