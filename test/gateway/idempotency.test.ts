import test from 'ava';
import { createSections } from '../../src/gateway/rest/router.ts';
import { createLogger } from '../../src/logger.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

const send = async (method: string, path: string, key?: string, body?: unknown) => {
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  const answer = await request(hub.url, method, path, { body, headers });
  return { ...answer, replayed: answer.headers.get('idempotent-replayed') };
};
/** What a case needs to be there. */
const given = async (method: string, path: string, body?: unknown) => {
  const answer = await send(method, path, undefined, body);
  if (answer.status >= 400) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
};

type Case = {
  readonly path: string;
  readonly input?: object;
  /** Another input of the same route; none where there is no other. */
  readonly other?: object;
};

const service = { name: 'math', version: '1.0.0', host: '127.0.0.1', port: 9_000 };
const subscribe = (name: string, more: object = {}) =>
  given('PUT', `/subscriptions/${name}`, { topic: `${name}.>`, ...more });

const delivery = async (name: string): Promise<unknown> => {
  await given('POST', `/events/${name}.a`, { payload: 1 });
  const pulled = await given('POST', `/subscriptions/${name}/pull`, { waitMs: 10_000 });
  return (pulled.deliveries as readonly { readonly delivery: string }[])[0]?.delivery;
};
const settling = (how: string) => async (): Promise<Case> => {
  await subscribe(`settle-${how}`);
  const deliveries = [await delivery(`settle-${how}`)];
  return { path: `/subscriptions/settle-${how}/${how}`, input: { deliveries }, other: { deliveries: ['x'] } };
};
const deadLetters = (how: string, other: object) => async (): Promise<Case> => {
  const name = `dead-${how}`;
  await subscribe(name, { maxDeliver: 1 });
  await given('POST', `/subscriptions/${name}/term`, { deliveries: [await delivery(name)], durable: true });
  return { path: `/subscriptions/${name}/dead-letters/${how}`, input: { all: true }, other };
};
const replay = async (name: string): Promise<string> => {
  await subscribe(name);
  await given('POST', `/events/${name}.a`, { payload: 1 });
  return String((await given('POST', `/subscriptions/${name}/replay`, { from: 'start' })).replayId);
};

/** Every route that changes something and keeps its key: what it takes, once what it needs is there. */
const kept: Readonly<Record<string, () => Promise<Case>>> = {
  'POST /services': async () => ({ path: '/services', input: service, other: { ...service, port: 9_001 } }),
  'PATCH /services/:id': async () => {
    await given('POST', '/services', { ...service, id: 'patched' });
    return { path: '/services/patched', input: { weight: 2 }, other: { weight: 3 } };
  },
  'DELETE /services/:id': async () => {
    await given('POST', '/services', { ...service, id: 'gone' });
    return { path: '/services/gone', input: { reason: 'a' }, other: { reason: 'b' } };
  },
  'DELETE /interfaces/:name/:major': async () => {
    await given('POST', '/services', { ...service, name: 'declared', id: 'd', methods: { add: {} } });
    await given('DELETE', '/services/d');
    return { path: '/interfaces/declared/1' };
  },
  'POST /state': async () => ({
    path: '/state',
    // biome-ignore lint/suspicious/noThenProperty: a list, and the name on the wire
    input: { then: [{ op: 'set', key: 'several', value: 1 }] },
    // biome-ignore lint/suspicious/noThenProperty: a list, and the name on the wire
    other: { then: [{ op: 'set', key: 'several', value: 2 }] },
  }),
  'PUT /state/*key': async () => ({ path: '/state/put', input: { value: 1 }, other: { value: 2 } }),
  'PATCH /state/*key': async () => {
    await given('PUT', '/state/patched', { value: {} });
    return { path: '/state/patched', input: { a: 1 }, other: { a: 2 } };
  },
  'POST /state/*key/increment': async () => ({
    path: '/state/count/increment',
    input: { by: 1 },
    other: { by: 2 },
  }),
  'DELETE /state/*key': async () => {
    await given('PUT', '/state/deleted', { value: 1 });
    return { path: '/state/deleted', input: { expectedVersion: 1 }, other: { expectedVersion: 2 } };
  },
  'POST /locks/*key': async () => ({ path: '/locks/a', input: { ttlMs: 60_000 }, other: { ttlMs: 60_001 } }),
  'PUT /locks/*key': async () => {
    const { token } = await given('POST', '/locks/renewed', { ttlMs: 60_000 });
    return { path: '/locks/renewed', input: { token, ttlMs: 60_000 }, other: { token, ttlMs: 60_001 } };
  },
  'DELETE /locks/*key': async () => {
    const { token } = await given('POST', '/locks/released', { ttlMs: 60_000 });
    return { path: '/locks/released', input: { token }, other: { token: 9_999 } };
  },
  'POST /events/:topic': async () => ({ path: '/events/a.b', input: { payload: 1 }, other: { payload: 2 } }),
  'PUT /subscriptions/:name': async () => ({
    path: '/subscriptions/made',
    input: { topic: 'a' },
    other: { topic: 'b' },
  }),
  'DELETE /subscriptions/:name': async () => {
    await subscribe('deleted');
    return { path: '/subscriptions/deleted', input: { reason: 'a' }, other: { reason: 'b' } };
  },
  'POST /subscriptions/:name/reset': async () => {
    await subscribe('reset');
    return { path: '/subscriptions/reset/reset', input: { to: 'start' }, other: { to: 'now' } };
  },
  'POST /subscriptions/:name/pause': async () => {
    await subscribe('paused');
    return { path: '/subscriptions/paused/pause', input: { reason: 'a' }, other: { reason: 'b' } };
  },
  'POST /subscriptions/:name/resume': async () => {
    await subscribe('resumed');
    await given('POST', '/subscriptions/resumed/pause', {});
    return { path: '/subscriptions/resumed/resume', input: { reason: 'a' }, other: { reason: 'b' } };
  },
  'POST /subscriptions/:name/ack': settling('ack'),
  'POST /subscriptions/:name/nak': settling('nak'),
  'POST /subscriptions/:name/term': settling('term'),
  'POST /subscriptions/:name/extend': settling('extend'),
  'POST /subscriptions/:name/dead-letters/redrive': deadLetters('redrive', { all: true, payload: 1 }),
  'POST /subscriptions/:name/dead-letters/discard': deadLetters('discard', { errorLike: 'e' }),
  'POST /subscriptions/:name/replay': async () => {
    await subscribe('replayed');
    return { path: '/subscriptions/replayed/replay', input: { from: 'start' }, other: { from: 'now' } };
  },
  'DELETE /subscriptions/:name/replays': async () => {
    await replay('stopped');
    return { path: '/subscriptions/stopped/replays' };
  },
  'DELETE /subscriptions/:name/replays/:replayId': async () => ({
    path: `/subscriptions/one-stopped/replays/${await replay('one-stopped')}`,
  }),
  'PUT /retention/:pattern': async () => ({
    path: '/retention/kept.a',
    input: { maxMessages: 1 },
    other: { maxMessages: 2 },
  }),
  'DELETE /retention/:pattern': async () => {
    await given('PUT', '/retention/kept.b', { maxMessages: 1 });
    return { path: '/retention/kept.b' };
  },
  'PUT /state-policies/*pattern': async () => ({
    path: '/state-policies/p*',
    input: { maxKeys: 10_000 },
    other: { maxKeys: 10_001 },
  }),
  'DELETE /state-policies/*pattern': async () => {
    await given('PUT', '/state-policies/q*', { maxKeys: 10_000 });
    return { path: '/state-policies/q*' };
  },
  'POST /api-keys': async () => ({
    path: '/api-keys',
    input: { name: 'kept', scopes: ['log:read'] },
    other: { name: 'other', scopes: ['log:read'] },
  }),
  'DELETE /api-keys/:id': async () => {
    const { id } = await given('POST', '/api-keys', { name: 'revoked', scopes: ['log:read'] });
    return { path: `/api-keys/${id}` };
  },
  'POST /revoked-tokens': async () => ({
    path: '/revoked-tokens',
    input: { jti: 'a', expiresAt: '2099-01-01T00:00:00Z' },
    other: { jti: 'a', expiresAt: '2099-01-02T00:00:00Z' },
  }),
  'POST /plugins/:name/enable': async () => ({
    path: '/plugins/state-resolver/enable',
    input: { limits: { memoryMb: 31 } },
    other: { limits: { memoryMb: 30 } },
  }),
  'POST /plugins/:name/reload': async () => {
    await given('POST', '/plugins/schema-guard/enable', {});
    return { path: '/plugins/schema-guard/reload', input: {}, other: { hash: `sha256-${'a'.repeat(43)}` } };
  },
  'POST /plugins/:name/disable': async () => {
    await given('POST', '/plugins/audit-trail/enable', {});
    return { path: '/plugins/audit-trail/disable', input: { reason: 'a' }, other: { reason: 'b' } };
  },
  'POST /commands': async () => ({
    path: '/commands',
    input: { type: 'SetState', data: { key: 'command', value: 1 } },
    other: { type: 'SetState', data: { key: 'command', value: 2 } },
  }),
};

/** Every route that changes something and refuses a key. */
const refusing: Readonly<Record<string, Case>> = {
  'POST /services/:id/heartbeat': { path: '/services/patched/heartbeat', input: {} },
  'POST /services/:name/invoke': { path: '/services/math/invoke', input: { method: 'add' } },
  'POST /plugins/:name/shadow': { path: '/plugins/state-resolver/shadow', input: {} },
  'POST /snapshot': { path: '/snapshot', input: { a: 1 } },
  'POST /requests/:topic': { path: '/requests/a.b', input: { payload: 1 } },
  'POST /replies': { path: '/replies', input: { replyTo: 'a.b', payload: 1 } },
  'POST /subscriptions/:name/pull': { path: '/subscriptions/made/pull', input: {} },
};

test('every route of REST that changes something › keeps its key, or refuses one', (t) => {
  const nothing = async (): Promise<never> => {
    throw new Error('no route is called');
  };
  const sections = createSections({
    core: hub.core,
    config: hub.config,
    logger: createLogger('silent'),
    tails: { open: nothing, drain: nothing } as never,
    askers: { whileOpen: nothing, drain: () => {} } as never,
    whileGood: nothing,
    isDraining: () => false,
  });
  const changing = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
  const routes = [...new Set(sections.values())].flatMap((router) =>
    router.stack
      // Of all methods: a route that refuses them (the history of a key).
      .filter(({ methods }) => methods.length < 10)
      .flatMap(({ methods, path }) =>
        methods.filter((method) => changing.has(method)).map((method) => `${method} ${String(path)}`),
      ),
  );
  t.deepEqual(routes.toSorted(), [...Object.keys(kept), ...Object.keys(refusing)].toSorted());
});

/** Without where a subscription stands, and how a plugin does, which are told as it is now, and the secret of an API key, which is told once. */
const settledOf = (answer: Readonly<Record<string, unknown>>): unknown => {
  const { lagEvents, key, keyShown, ...body } = answer;
  if (body.metrics !== undefined) return { ...body, metrics: undefined };
  if (lagEvents !== undefined) return { ...body, position: undefined, owner: undefined };
  return keyShown === undefined ? answer : body;
};

for (const [route, prepare] of Object.entries(kept)) {
  test(`${route} › the same key and body gives the first answer again and says so, another body is 422`, async (t) => {
    const [method = ''] = route.split(' ');
    const { path, input, other } = await prepare();
    const patch = method === 'PATCH' && path.startsWith('/state/');
    const ask = async (body: object | undefined) => {
      const headers = {
        'idempotency-key': 'once',
        ...(patch ? { 'content-type': 'application/merge-patch+json' } : {}),
      };
      const answer = await request(hub.url, method, path, { body, headers });
      return { ...answer, replayed: answer.headers.get('idempotent-replayed') };
    };
    const first = await ask(input);
    t.true(first.status < 300, JSON.stringify(first.body));
    t.is(first.replayed, null);
    const again = await ask(input);
    t.is(again.replayed, 'true', JSON.stringify(again.body));
    t.is(again.status, first.status);
    t.deepEqual(settledOf(again.body), settledOf(first.body));
    if (other === undefined) return;
    const refused = await ask(other);
    t.is(refused.status, 422);
    t.like(refused.body, { code: 'idempotency_mismatch' });
  });
}

test('routes that leave nothing to keep a key with › refuse it and say why', async (t) => {
  for (const [route, { path, input }] of Object.entries(refusing)) {
    const { status, body } = await send(route.split(' ')[0] ?? '', path, 'k', input);
    t.is(status, 501, route);
    t.like(body, { code: 'not_supported' });
    t.regex(String(body.detail), /^an idempotency key is kept for commands; .{10}/);
  }
});

test('a key belongs to its method and path', async (t) => {
  t.is((await send('PUT', '/state/own-a', 'same', { value: 1 })).status, 201);
  t.is((await send('PUT', '/state/own-b', 'same', { value: 1 })).replayed, null);
  t.is((await send('DELETE', '/state/own-a', 'same')).replayed, null);
});

test('a refused command leaves the key free', async (t) => {
  t.is((await send('PUT', '/state/free', 'k', { value: 1, expectedVersion: 3 })).status, 409);
  t.is((await send('PUT', '/state/free', 'k', { value: 1, expectedVersion: 0 })).status, 201);
});

test('a key of another form than 1 to 255 visible characters › is refused', async (t) => {
  for (const key of ['a b', 'x'.repeat(256)]) {
    t.like((await send('PUT', '/state/form', key, { value: 1 })).body, { code: 'invalid' });
  }
});
