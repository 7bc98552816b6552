import { once } from 'node:events';
import test from 'ava';
import type { Core } from '../../src/core.ts';
import type { CommandInput, Context, NexusCore } from '../../src/nexus-core.ts';
import type { ReadChange } from '../../src/projection/read-store.ts';
import { createTestClock } from '../registry/support.ts';
import { askGraphql } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';
import { request, until } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const handed: { readonly input: CommandInput; readonly context: Context }[] = [];
/** Takes down what was handed to the core; by then a waiter has its place. */
const wrap = (core: NexusCore): NexusCore =>
  Object.assign(Object.create(core), {
    execute: (input: CommandInput, context: Context) => {
      const done = core.execute(input, context);
      handed.push({ input, context });
      return done;
    },
  });

const clock = createTestClock(Date.now());
const hub = await openHub({ wrap, time: clock, wsFramesPerSec: 0 });
const guarded = await openHub({ jwtSecret });
test.after.always(() => Promise.all([hub.close(), guarded.close()]));

type Held = { readonly token: number; readonly expiresAt: string; readonly holder: string };
const ask = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
  request(hub.url, method, path, { headers, ...(body === undefined ? {} : { body }) });
const acquire = async (key: string, body: object = {}): Promise<Held> => {
  const { status, body: held } = await ask('POST', `/locks/${key}`, { ttlMs: 60_000, ...body });
  if (status !== 201) throw new Error(JSON.stringify(held));
  return held as Held;
};
const release = (key: string, token: number) => ask('DELETE', `/locks/${key}?token=${token}`);
const historyOf = async (key: string) =>
  (await ask('GET', `/streams/${encodeURIComponent(`state-${key}`)}`)).body.events as readonly {
    readonly type: string;
    readonly data: { readonly reason?: string; readonly lock?: { readonly holder: string } };
  }[];
/** Resolves with the context of the `n`-th command that waits for the key, once that has its place. */
const waiting = async (key: string, n = 1): Promise<Context> => {
  const found = await until(
    () =>
      Promise.resolve(
        handed.filter(({ input: { data } }) => {
          const { key: own, waitMs } = data as { readonly key: string; readonly waitMs?: number };
          return own === key && waitMs !== undefined;
        })[n - 1],
      ),
    (one) => one !== undefined,
  );
  if (found === undefined) throw new Error('nobody waits');
  return found.context;
};

test.serial('a lock is acquired, shown, renewed and released', async (t) => {
  const made = await ask('POST', '/locks/jobs%2Fa', { ttlMs: 5_000, holder: 'ann' });
  t.is(made.status, 201);
  const expiresAt = new Date(clock.now() + 5_000).toISOString();
  const position = made.headers.get('x-nexus-position');
  t.deepEqual(made.body, { key: 'jobs/a', holder: 'ann', token: 1, expiresAt, version: 1, position });
  const refused = await ask('POST', '/locks/jobs/a', { ttlMs: 5_000, holder: 'ann' });
  t.is(refused.status, 409);
  t.like(refused.body, { code: 'lock_held', key: 'jobs/a', holder: 'ann', expiresAt });
  const renewed = await ask('PUT', '/locks/jobs/a', { token: 1, ttlMs: 9_000 });
  t.is(renewed.status, 200);
  const later = new Date(clock.now() + 9_000).toISOString();
  t.like(renewed.body, { holder: 'ann', token: 1, expiresAt: later, version: 2 });
  t.like((await ask('GET', '/locks/jobs/a')).body, {
    key: 'jobs/a',
    holder: 'ann',
    token: 1,
    expiresAt: later,
  });
  t.like((await ask('GET', '/state/jobs/a')).body, { value: { holder: 'ann', token: 1 }, version: 2 });
  for (const [method, body] of [
    ['PUT', { value: 1 }],
    ['DELETE', undefined],
  ] as const) {
    const write = await ask(method, '/state/jobs/a', body);
    t.is(write.status, 409);
    t.like(write.body, { code: 'lock_held', holder: 'ann' });
  }
  t.like((await ask('DELETE', '/locks/jobs/a', { token: 2 })).body, {
    code: 'lock_lost',
    token: 2,
    heldBy: 'ann',
  });
  const released = await ask('DELETE', '/locks/jobs/a', { token: 1 });
  t.is(released.status, 204);
  t.truthy(released.headers.get('x-nexus-position'));
  t.is((await ask('GET', '/locks/jobs/a')).status, 404);
  t.like((await ask('PUT', '/locks/jobs/a', { token: 1, ttlMs: 1 })).body, {
    code: 'lock_lost',
    heldBy: null,
  });
  t.is((await acquire('jobs/a')).token, 4);
});

test('what is no lock, or no sensible input, is refused', async (t) => {
  await ask('PUT', '/state/plain', { value: 1 });
  t.like((await ask('POST', '/locks/plain', { ttlMs: 1 })).body, { code: 'not_a_lock', currentVersion: 1 });
  t.is((await ask('GET', '/locks/plain')).status, 404);
  for (const [body, pointer] of [
    [{}, '/ttlMs'],
    [{ ttlMs: 86_400_001 }, '/ttlMs'],
    [{ ttlMs: 1, waitMs: 60_001 }, '/waitMs'],
    [{ ttlMs: 1, holder: '' }, '/holder'],
  ] as const) {
    const { status, body: told } = await ask('POST', '/locks/input', body);
    t.is(status, 422);
    t.is((told.errors as { pointer: string }[])[0]?.pointer, pointer);
  }
  t.is((await ask('DELETE', '/locks/input?token=0')).status, 422);
  t.is((await ask('DELETE', '/locks/input?token=1', { token: 2 })).status, 422);
  t.is((await ask('PATCH', '/locks/input', {})).status, 405);
});

test('a lock needs the scope of its key, and an operator releases without a token', async (t) => {
  const as = (method: string, scope: string, body?: object) =>
    request(guarded.url, method, '/locks/app/x', {
      headers: { authorization: `Bearer ${signToken('ada', scope)}` },
      ...(body === undefined ? {} : { body }),
    });
  t.is((await as('POST', 'state:read:*', { ttlMs: 60_000 })).status, 403);
  t.like((await as('POST', 'state:write:app/*', { ttlMs: 60_000 })).body, { holder: 'ada', token: 1 });
  t.is((await as('GET', 'state:write:*')).status, 403);
  t.like((await as('GET', 'state:read:app/*')).body, { holder: 'ada' });
  const refused = await as('DELETE', 'state:write:*');
  t.is(refused.status, 403);
  t.is(refused.body.scope, 'admin');
  t.is((await as('DELETE', 'admin')).status, 204);
  t.is((await as('DELETE', 'admin')).status, 404);
});

test('the same Idempotency-Key acquires once, and is told of a lock only while it is held', async (t) => {
  const again = () => ask('POST', '/locks/once', { ttlMs: 60_000 }, { 'idempotency-key': 'k1' });
  const first = await again();
  const second = await again();
  t.is(second.status, 201);
  t.is(second.headers.get('idempotent-replayed'), 'true');
  t.deepEqual(second.body, first.body);
  await release('once', 1);
  t.like((await again()).body, { code: 'lock_lost', token: 1, heldBy: null });
  t.is((await acquire('once')).token, 3);
});

test.serial(
  'a lock is lost after its TTL: the holder is told so, and the next token is greater',
  async (t) => {
    const { token } = await acquire('ttl', { ttlMs: 1_000, holder: 'ann' });
    const next = acquire('ttl', { waitMs: 60_000, holder: 'bob' });
    await waiting('ttl');
    clock.advance(1_000);
    const held = await next;
    t.true(held.token > token);
    t.like((await ask('PUT', '/locks/ttl', { token, ttlMs: 1 })).body, { code: 'lock_lost', heldBy: 'bob' });
    t.like((await release('ttl', token)).body, { code: 'lock_lost', heldBy: 'bob' });
    const history = await historyOf('ttl');
    t.deepEqual(
      history.map(({ data }) => data.reason ?? data.lock?.holder),
      ['ann', 'expired', 'bob'],
    );
  },
);

test('those who wait get the lock in the order in which they came, over whatever protocol', async (t) => {
  const first = await acquire('order');
  const socket = await openWs(hub.url);
  const body = { ttlMs: 60_000, waitMs: 60_000 };
  const command = (holder: string) => ({
    type: 'command',
    id: holder,
    command: { type: 'AcquireLock', data: { key: 'order', ...body, holder } },
  });
  socket.send(command('ws-1'));
  await waiting('order', 1);
  const rest = acquire('order', { ...body, holder: 'rest' });
  await waiting('order', 2);
  const mutation =
    'mutation { acquireLock(key: "order", ttlMs: 60000, waitMs: 60000, holder: "graphql") { token } }';
  const graphql = askGraphql(hub, mutation);
  await waiting('order', 3);
  socket.send(command('ws-2'));
  await waiting('order', 4);
  // The frames behind one that waits are not kept waiting.
  t.like(await socket.ask({ type: 'ping' }), { type: 'pong' });
  const tokens = [first.token];
  const pass = async (next: Promise<unknown>): Promise<void> => {
    t.is((await release('order', tokens.at(-1) ?? 0)).status, 204);
    tokens.push(Number(await next));
  };
  const overWs = async (id: string) =>
    ((await socket.waitForMessage((frame) => frame.id === id)).result as Held).token;
  await pass(overWs('ws-1'));
  await pass(rest.then(({ token }) => token));
  await pass(graphql.then(({ data }) => (data as { acquireLock: Held }).acquireLock.token));
  await pass(overWs('ws-2'));
  t.deepEqual(tokens, [1, 3, 5, 7, 9]);
  const shown = await askGraphql(
    hub,
    '{ lock(key: "order") { holder token } none: lock(key: "nobody") { token } }',
  );
  t.deepEqual(shown.data, { lock: { holder: 'ws-2', token: 9 }, none: null });
  await socket.close();
});

test('a waiter that is gone leaves the queue, over HTTP and over a WebSocket', async (t) => {
  const { token } = await acquire('gone', { holder: 'ann' });
  const client = new AbortController();
  const body = { ttlMs: 60_000, waitMs: 60_000 };
  const left = request(hub.url, 'POST', '/locks/gone', { body, signal: client.signal });
  const overHttp = await waiting('gone', 1);
  const socket = await openWs(hub.url);
  socket.send({ type: 'command', command: { type: 'AcquireLock', data: { key: 'gone', ...body } } });
  const overWs = await waiting('gone', 2);
  const stays = acquire('gone', { ...body, holder: 'bob' });
  await waiting('gone', 3);
  const gone = [overHttp, overWs].map(({ signal }) => once(signal as AbortSignal, 'abort'));
  client.abort();
  await t.throwsAsync(left);
  socket.socket.terminate();
  await Promise.all(gone);
  await release('gone', token);
  t.like(await stays, { holder: 'bob', token: 3 });
  t.is((await historyOf('gone')).length, 3);
});

test('whoever gets the lock in the moment in which its client leaves gives it back at once', async (t) => {
  const core = hub.core as Core;
  const client = new AbortController();
  const context = { subject: { id: 'late', scopes: ['admin'] }, correlationId: 'c', signal: client.signal };
  const { token } = await acquire('late', { holder: 'ann' });
  const data = { key: 'late', ttlMs: 60_000, waitMs: 60_000 };
  const forsaken = core.execute({ type: 'AcquireLock', data, commandId: 'late' }, context);
  const next = acquire('late', { waitMs: 60_000, holder: 'bob' });
  await waiting('late');
  const stop = core.parts.runner.onFolded((changes: readonly ReadChange[]) => {
    // It was woken a moment before, by the same batch.
    if (changes.some(({ model, key }) => model === 'state' && key === 'late')) client.abort();
  });
  t.is((await release('late', token)).status, 204);
  t.true((await forsaken).ok);
  stop();
  t.like(await next, { holder: 'bob', token: 5 });
  t.deepEqual(
    (await historyOf('late')).map(({ data }) => data.reason ?? data.lock?.holder),
    ['ann', 'released', 'late', 'released', 'bob'],
  );
  const again = await core.execute(
    { type: 'AcquireLock', data, commandId: 'late' },
    { ...context, signal: AbortSignal.any([]) },
  );
  t.like(again, { ok: false, problem: { code: 'lock_lost', facts: { token: 3, heldBy: 'bob' } } });
});

test('of 20 who contend for a lock one at a time has it, and each token is greater than those before', async (t) => {
  let inside = 0;
  const tokens: number[] = [];
  const contend = async (holder: string): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      const { token } = await acquire('contended', { waitMs: 60_000, holder });
      t.is(++inside, 1);
      tokens.push(token);
      await ask('PUT', '/state/contended-work', { value: token });
      inside--;
      t.is((await release('contended', token)).status, 204);
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, index) => contend(`c${index}`)));
  t.is(tokens.length, 60);
  t.deepEqual(
    tokens,
    tokens.toSorted((left, right) => left - right),
  );
  t.is(new Set(tokens).size, 60);
});

test('a hub that drains ends the waits with shutting_down', async (t) => {
  const own = await openHub();
  const body = { ttlMs: 60_000, waitMs: 60_000 };
  await request(own.url, 'POST', '/locks/k', { body: { ttlMs: 60_000 } });
  const socket = await openWs(own.url);
  socket.send({ type: 'command', id: 'w', command: { type: 'AcquireLock', data: { key: 'k', ...body } } });
  t.like(await socket.ask({ type: 'ping' }), { type: 'pong' });
  const waits = socket.waitForMessage(({ id }) => id === 'w');
  const closed = own.close();
  t.like(await waits, { type: 'error', code: 'shutting_down' });
  await closed;
});

test.serial(
  'a key that expires is told to watchers as deleted, over every protocol, and stands in its history',
  async (t) => {
    const socket = await openWs(hub.url);
    await socket.ask({ type: 'watch', key: 'brief' });
    const set = await ask('PUT', '/state/brief', { value: 1, ttlMs: 2_000 });
    t.is(set.body.expiresAt, new Date(clock.now() + 2_000).toISOString());
    await askGraphql(hub, 'mutation { setState(key: "brief-gql", value: 2, ttlMs: 2000) { expiresAt } }');
    const overWs = { type: 'SetState', data: { key: 'brief-ws', value: 3, ttlMs: 2_000 } };
    t.like(await socket.ask({ type: 'command', command: overWs }), { type: 'result' });
    t.like(await socket.waitForType('state'), { value: 1, deleted: false });
    clock.advance(2_000);
    t.like(await socket.waitForType('state'), { value: null, oldValue: 1, deleted: true, version: 2 });
    for (const key of ['brief', 'brief-gql', 'brief-ws'])
      await until(
        () => ask('GET', `/state/${key}`),
        ({ status }) => status === 404,
      );
    const { body } = await ask('GET', '/state/brief/history');
    t.like((body.history as object[])[0], { version: 2, deleted: true, updatedBy: 'system' });
    await socket.close();
  },
);
