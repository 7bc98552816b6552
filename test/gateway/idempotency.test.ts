import test from 'ava';
import { openHub } from '../support/hub.ts';

type Answer = { readonly status: number; readonly replayed: string | null; readonly body: unknown };

const withHub = test.macro(
  async (
    t,
    body: (
      t: import('ava').ExecutionContext,
      send: (method: string, path: string, key: string, input?: unknown) => Promise<Answer>,
    ) => Promise<void>,
  ) => {
    const hub = await openHub();
    const send = async (method: string, path: string, key: string, input?: unknown): Promise<Answer> => {
      const response = await fetch(hub.url + path, {
        method,
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        ...(input === undefined ? {} : { body: JSON.stringify(input) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        replayed: response.headers.get('idempotent-replayed'),
        body: text === '' ? undefined : JSON.parse(text),
      };
    };
    try {
      await body(t, send);
    } finally {
      await hub.close();
    }
  },
);

const service = { name: 'math', version: '1.0.0', host: '127.0.0.1', port: 9_000 };

const mutations: readonly (readonly [
  method: string,
  path: string,
  input: object | undefined,
  other: object,
])[] = [
  ['PUT', '/state/k', { value: 1 }, { value: 2 }],
  ['POST', '/events/a.b', { payload: 1 }, { payload: 2 }],
  ['POST', '/services', service, { ...service, port: 9_001 }],
  [
    'POST',
    '/commands',
    { type: 'SetState', data: { key: 'c', value: 1 } },
    { type: 'SetState', data: { key: 'c', value: 2 } },
  ],
];

for (const [method, path, input, other] of mutations) {
  test(
    `${method} ${path} › the same key and body gives the first answer again, and says so`,
    withHub,
    async (t, send) => {
      const first = await send(method, path, 'once', input);
      const again = await send(method, path, 'once', input);
      t.is(first.replayed, null);
      t.is(again.replayed, 'true');
      t.is(again.status, first.status);
      t.deepEqual(again.body, first.body);
    },
  );

  test(`${method} ${path} › the same key with another body is 422`, withHub, async (t, send) => {
    await send(method, path, 'once', input);
    const refused = await send(method, path, 'once', other);
    t.is(refused.status, 422);
    t.like(refused.body, { code: 'idempotency_mismatch' });
  });
}

test('DELETE › the same key again is 204, though the key is gone', withHub, async (t, send) => {
  await send('PUT', '/state/k', 'made', { value: 1 });
  t.is((await send('DELETE', '/state/k', 'gone')).status, 204);
  t.deepEqual(await send('DELETE', '/state/k', 'gone'), { status: 204, replayed: 'true', body: undefined });
  t.is((await send('DELETE', '/state/k', 'other')).status, 404);
});

test('a key belongs to its method and path', withHub, async (t, send) => {
  t.is((await send('PUT', '/state/a', 'same', { value: 1 })).status, 201);
  t.deepEqual((await send('PUT', '/state/b', 'same', { value: 1 })).replayed, null);
});

test('a refused command leaves the key free', withHub, async (t, send) => {
  t.is((await send('PUT', '/state/a', 'k', { value: 1, expectedVersion: 3 })).status, 409);
  t.is((await send('PUT', '/state/a', 'k', { value: 1, expectedVersion: 0 })).status, 201);
});

test(
  'a key that cannot be kept is refused: one with a space, and any for a call of a service',
  withHub,
  async (t, send) => {
    t.like((await send('PUT', '/state/a', 'a b', { value: 1 })).body, { code: 'invalid' });
    t.like((await send('POST', '/services/math/invoke', 'k', { method: 'add' })).body, {
      code: 'not_supported',
    });
  },
);
