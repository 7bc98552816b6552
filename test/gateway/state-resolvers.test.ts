import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Dealer } from 'zeromq';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { askGraphql } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { type Answer, readWholeLog, request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub({
    stateResolvers: ['counters/*=max', 'counters/exact=reject', 'sets/*=set-union', 'odd/*=nobody'],
  });
});
test.after.always(() => hub.close());

const put = (key: string, body: object, headers = {}, to: Pick<Hub, 'url'> = hub): Promise<Answer> =>
  request(to.url, 'PUT', `/state/${key}`, { body, headers });
const patch = (key: string, body: object, query: string, headers = {}): Promise<Answer> =>
  request(hub.url, 'PATCH', `/state/${key}${query}`, {
    body,
    headers: { 'content-type': 'application/merge-patch+json', ...headers },
  });
const read = async (key: string, from: Pick<Hub, 'url'> = hub): Promise<unknown> =>
  (await request(from.url, 'GET', `/state/${key}`)).body.value;
/** The values of `key`, from the first on. */
const written = async (key: string, ...values: readonly unknown[]): Promise<void> => {
  for (const value of values) await put(key, { value, resolver: 'reject' });
};
const lastEvent = async (key: string, of: Hub = hub) =>
  (await readWholeLog(of.url)).findLast(({ stream }) => stream === `state-${key}`);

test('PUT › three-way-merge keeps what both changed, tells so, and the log holds of what', async (t) => {
  await written('doc', { a: 1, b: 1 }, { a: 2, b: 1 });
  const body = { value: { a: 1, b: 3 }, resolver: 'three-way-merge' };
  const merged = await put('doc', body, { 'if-match': '"1"' });
  t.is(merged.status, 200);
  t.like(merged.body, { value: { a: 2, b: 3 }, version: 3, resolution: { resolver: 'three-way-merge' } });
  t.is(merged.headers.get('etag'), '"3"');
  t.deepEqual((await lastEvent('doc'))?.data, {
    value: { a: 2, b: 3 },
    resolution: {
      resolver: 'three-way-merge',
      base: { a: 1, b: 1 },
      current: { a: 2, b: 1 },
      incoming: { a: 1, b: 3 },
    },
  });
  const { body: past } = await request(hub.url, 'GET', '/state/doc/history?limit=2');
  const [newest, before] = past.history as readonly Record<string, unknown>[];
  t.is(newest?.resolvedBy, 'three-way-merge');
  t.false(before !== undefined && 'resolvedBy' in before);
  const { data } = await askGraphql(hub, '{ stateHistory(key: "doc", last: 1) { resolvedBy } }');
  t.deepEqual(data, { stateHistory: [{ resolvedBy: 'three-way-merge' }] });
});

test('PUT › a write that meets no conflict is plain, whatever resolver it names', async (t) => {
  const made = await put('plain', { value: [1], resolver: 'set-union', expectedVersion: 0 });
  t.is(made.status, 201);
  const next = await put('plain', { value: [2], resolver: 'set-union', expectedVersion: 1 });
  t.deepEqual(next.body.value, [2]);
  t.false('resolution' in next.body);
});

test('PUT › a conflict that cannot be settled is 409 or 412, says why, and writes nothing', async (t) => {
  await written('refused', { a: 1 }, { a: 2 });
  const body = { value: { a: 3 }, resolver: 'three-way-merge' };
  const byHeader = await put('refused', body, { 'if-match': '"1"' });
  t.is(byHeader.status, 412);
  t.like(byHeader.body, {
    code: 'version_conflict',
    expectedVersion: 1,
    currentVersion: 2,
    currentValue: { a: 2 },
    resolver: 'three-way-merge',
    reason: 'both writers changed the same places',
  });
  t.deepEqual(byHeader.body.conflicts, ['/a']);
  t.is((await put('refused', { ...body, expectedVersion: 1 })).status, 409);
  const asked = await put('refused', { value: 5, resolver: 'max', expectedVersion: 1 });
  t.like(asked.body, { code: 'version_conflict', resolver: 'max', currentVersion: 2 });
  t.is((await put('refused', { value: 5, expectedVersion: 1 })).body.resolver, undefined);
  t.deepEqual(await read('refused'), { a: 2 });
});

test('PUT › a version that never was is no base: three-way-merge refuses, the others take none', async (t) => {
  await written('never', { a: 1 });
  const merging = await put('never', { value: { b: 1 }, resolver: 'three-way-merge', expectedVersion: 9 });
  t.like(merging.body, { code: 'version_conflict', resolver: 'three-way-merge', expectedVersion: 9 });
  const deep = await put('never', { value: { b: 1 }, resolver: 'deep-merge', expectedVersion: 9 });
  t.deepEqual(deep.body.value, { a: 1, b: 1 });
  t.like((await lastEvent('never'))?.data, { resolution: { base: null, current: { a: 1 } } });
});

test('PUT › a key that was deleted meanwhile is refused by three-way-merge and made anew by the others', async (t) => {
  await written('gone', { a: 1 });
  await request(hub.url, 'DELETE', '/state/gone');
  const merging = await put('gone', { value: { a: 1 }, resolver: 'three-way-merge', expectedVersion: 1 });
  t.like(merging.body, { code: 'version_conflict', reason: 'the key was deleted meanwhile' });
  const made = await put('gone', { value: { a: 2 }, resolver: 'deep-merge', expectedVersion: 1 });
  t.is(made.status, 201);
  t.like(made.body, { value: { a: 2 }, version: 3, resolution: { resolver: 'deep-merge' } });
});

test('PUT › an unknown resolver, and one that has nothing to compare with, are 422', async (t) => {
  const unknown = await put('wrong', { value: 1, resolver: 'mine' });
  t.is(unknown.status, 422);
  t.like(unknown.body, {
    errors: [
      {
        pointer: '/resolver',
        detail: 'must be one of reject, last-writer-wins, deep-merge, three-way-merge, set-union, max',
      },
    ],
  });
  for (const resolver of ['three-way-merge', 1, '__proto__', '', 'x'.repeat(65)])
    t.is((await put('wrong', { value: 1, resolver })).status, 422);
  t.is((await patch('wrong', { a: 1 }, '?resolver=deep-merge')).status, 422);
  t.is((await patch('wrong', { a: 1 }, '?resolve=max')).status, 422);
  t.is((await request(hub.url, 'GET', '/state/wrong')).status, 404);
});

test('PUT › without a version the combining ones combine with what is there, the others replace', async (t) => {
  await written('bare', [1]);
  t.deepEqual((await put('bare', { value: [2], resolver: 'set-union' })).body.value, [1, 2]);
  t.deepEqual((await put('bare', { value: [3], resolver: 'last-writer-wins' })).body.value, [3]);
  const refused = await put('bare', { value: 4, resolver: 'max' });
  t.is(refused.status, 409);
  t.like(refused.body, { code: 'version_conflict', currentVersion: 3, resolver: 'max' });
  t.false('expectedVersion' in refused.body);
});

test('PUT › the configuration attaches resolvers, the longest pattern first, and a write’s own goes first', async (t) => {
  await written('counters/a', 5);
  t.is((await put('counters/a', { value: 3 })).body.value, 5);
  t.is((await put('counters/a', { value: 9, expectedVersion: 1 })).body.value, 9);
  t.is((await put('counters/a', { value: 1, resolver: 'last-writer-wins' })).body.value, 1);
  await written('counters/exact', 5);
  t.is((await put('counters/exact', { value: 3 })).body.value, 3);
  const unknown = await put('odd/a', { value: 1 });
  t.is(unknown.status, 201);
  t.like((await put('odd/a', { value: 2 })).body, { code: 'version_conflict', resolver: 'nobody' });
});

test('a state policy › attaches a resolver by command, before the configuration’s', async (t) => {
  const policy = (pattern: string, resolver: string) =>
    request(hub.url, 'PUT', `/state-policies/${encodeURIComponent(pattern)}`, { body: { resolver } });
  t.is((await policy('counters/policy/*', 'set-union')).status, 201);
  await written('counters/policy/a', [1]);
  t.like((await put('counters/policy/a', { value: [2] })).body, {
    value: [1, 2],
    resolution: { resolver: 'set-union' },
  });
  await policy('counters/policy/*', 'reject');
  t.deepEqual((await put('counters/policy/a', { value: [3] })).body.value, [3]);
  const unknown = await policy('counters/policy/*', 'mxa');
  t.is(unknown.status, 422);
  t.like((unknown.body.errors as object[])[0], { pointer: '/resolver' });
});

test('PATCH › in conflict is applied to the version that the writer saw', async (t) => {
  await written('patched', { n: 1, list: { x: 1 } }, { n: 1, list: { x: 1, y: 2 } });
  const merged = await patch('patched', { n: 2 }, '?resolver=three-way-merge', { 'if-match': '"1"' });
  t.like(merged.body, { version: 3, resolution: { resolver: 'three-way-merge' } });
  t.deepEqual(merged.body.value, { n: 2, list: { x: 1, y: 2 } });
  const steps = [{ op: 'replace', path: '/n', value: 7 }];
  const type = { 'content-type': 'application/json-patch+json' };
  const json = await patch('patched', steps, '?resolver=deep-merge', { ...type, 'if-match': '"2"' });
  t.deepEqual(json.body.value, { n: 7, list: { x: 1, y: 2 } });
  const misfit = [{ op: 'test', path: '/n', value: 7 }];
  const refused = await patch('patched', misfit, '?resolver=deep-merge', { ...type, 'if-match': '"2"' });
  t.is(refused.status, 412);
  t.like(refused.body, { resolver: 'deep-merge', currentVersion: 4 });
  t.regex(String(refused.body.reason), /^the patch does not fit the value of version 2: /);
});

test('PATCH › in conflict shows an old value, so its writer must be one that may read', async (t) => {
  const guarded = await openHub({ jwtSecret });
  t.teardown(() => guarded.close());
  const as = (scope: string, version: string) => ({
    authorization: `Bearer ${signToken('ann', scope)}`,
    'content-type': 'application/merge-patch+json',
    'if-match': version,
  });
  const write = (value: object) =>
    put('k', { value }, { authorization: `Bearer ${signToken('ann', 'state:write:*')}` }, guarded);
  await write({ secret: 1 });
  await write({ secret: 2 });
  const path = '/state/k?resolver=last-writer-wins';
  const blind = await request(guarded.url, 'PATCH', path, { body: {}, headers: as('state:write:*', '"1"') });
  t.is(blind.status, 403);
  t.like(blind.body, { scope: 'state:read:k' });
  const headers = as('state:write:* state:read:*', '"1"');
  const seeing = await request(guarded.url, 'PATCH', path, { body: {}, headers });
  t.deepEqual(seeing.body.value, { secret: 1 });
});

test('an Idempotency-Key › answers a resolved write again as it was', async (t) => {
  await written('once', [1]);
  const again = () =>
    put('once', { value: [2], resolver: 'set-union', expectedVersion: 0 }, { 'idempotency-key': 'o' });
  const first = await again();
  await written('once', 'something else');
  const second = await again();
  t.is(second.headers.get('idempotent-replayed'), 'true');
  t.deepEqual(second.body, first.body);
  t.like(first.body, { version: 2, resolution: { resolver: 'set-union' } });
});

test('a lock › is held against a write with a resolver too', async (t) => {
  const acquired = await hub.core.execute(
    { type: 'AcquireLock', data: { key: 'sets/lock', ttlMs: 600_000 } },
    { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' },
  );
  t.true(acquired.ok);
  for (const body of [{ value: [1] }, { value: [1], resolver: 'last-writer-wins', expectedVersion: 0 }])
    t.like((await put('sets%2Flock', body)).body, { code: 'lock_held', holder: 'ann' });
});

test('GraphQL › setState and patchState resolve, and tell so', async (t) => {
  await written('graph', { a: 1 }, { a: 1, b: 1 });
  const set = await askGraphql(
    hub,
    `mutation { setState(key: "graph", value: { a: 2 }, expectedVersion: 1, resolver: "three-way-merge") {
      value version resolution { resolver } } }`,
  );
  const resolution = { resolver: 'three-way-merge' };
  t.deepEqual(set.data, { setState: { value: { a: 2, b: 1 }, version: 3, resolution } });
  const patched = await askGraphql(
    hub,
    `mutation { patchState(key: "graph", patch: { a: 9 }, expectedVersion: 1, resolver: "three-way-merge") {
      value } }`,
  );
  t.like(patched.errors[0]?.extensions, { code: 'version_conflict', resolver: 'three-way-merge' });
  t.deepEqual(patched.errors[0]?.extensions.conflicts, ['/a']);
  const free = await askGraphql(
    hub,
    'mutation { setState(key: "graph", value: 1) { resolution { resolver } } }',
  );
  t.deepEqual(free.data, { setState: { resolution: null } });
});

test('WebSocket, ZeroMQ and POST /commands › take a resolver in the command', async (t) => {
  await written('other', [1]);
  const commandOf = (value: unknown) => ({
    type: 'SetState',
    data: { key: 'other', value, resolver: 'set-union' },
  });
  const socket = await openWs(hub.url);
  t.teardown(() => socket.close());
  const resolution = { resolver: 'set-union' };
  t.like(await socket.ask({ type: 'command', command: commandOf([2]) }), {
    result: { value: [1, 2], resolution },
  });
  t.like(await socket.ask({ type: 'command', command: commandOf('a') }), {
    code: 'version_conflict',
    resolver: 'set-union',
    reason: 'the incoming value is not a list',
  });

  const zeroMq = await openZeroMq({
    core: hub.core,
    config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
    logger: createLogger('silent'),
  });
  t.teardown(() => zeroMq.close());
  const dealer = new Dealer({ linger: 0 });
  t.teardown(() => dealer.close());
  dealer.connect(zeroMq.command ?? '');
  await dealer.send(JSON.stringify({ type: 'command', id: 1, command: commandOf([3]) }));
  t.like(JSON.parse(String((await dealer.receive())[0])), { result: { value: [1, 2, 3], resolution } });

  const posted = await request(hub.url, 'POST', '/commands', { body: commandOf([4]) });
  t.like(posted.body, { result: { value: [1, 2, 3, 4], resolution } });
});

const writers = 16;
const rounds = 2;

/** All write what is stale for all but one of them, through the hubs by turns. */
const contend = async (t: ExecutionContext, hubs: readonly Hub[]): Promise<void> => {
  const [first] = hubs;
  if (first === undefined) return;
  await put('tags', { value: [] }, {}, first);
  await put('settings', { value: {} }, {}, first);
  await put('merged', { value: {} }, {}, first);
  for (let round = 0; round < rounds; round++) {
    const answers: readonly Answer[][] = await Promise.all(
      Array.from({ length: writers }, async (_, writer) => {
        const at: Hub = hubs[writer % hubs.length] ?? first;
        const name = `w${round}-${writer}`;
        const expectedVersion = 1;
        return Promise.all([
          put('tags', { value: [name], resolver: 'set-union', expectedVersion }, {}, at),
          put(
            'settings',
            { value: { deep: { [name]: writer } }, resolver: 'deep-merge', expectedVersion },
            {},
            at,
          ),
          put('merged', { value: { [name]: writer }, resolver: 'three-way-merge', expectedVersion }, {}, at),
        ]);
      }),
    );
    t.deepEqual([...new Set(answers.flat().map(({ status }) => status))], [200]);
  }
  const names = Array.from({ length: rounds * writers }, (_, index) => {
    return `w${Math.floor(index / writers)}-${index % writers}`;
  }).sort();
  for (const each of hubs) {
    // Reads what the other hub has acknowledged, not only what this one has folded.
    const { body } = await put('seen', { value: 1 }, {}, each);
    const headers = { 'x-nexus-min-position': String(body.position) };
    const get = async (key: string) =>
      (await request(each.url, 'GET', `/state/${key}`, { headers })).body.value;
    t.deepEqual([...((await get('tags')) as string[])].sort(), names);
    t.deepEqual(Object.keys(((await get('settings')) as { deep: object }).deep).sort(), names);
    t.deepEqual(Object.keys((await get('merged')) as object).sort(), names);
  }
  const { body } = await request(first.url, 'GET', '/state/tags/history?limit=1000');
  const history = body.history as readonly { readonly value: unknown[]; readonly resolvedBy?: string }[];
  t.is(history.length, rounds * writers + 1, 'a version each');
  t.is(history.filter(({ resolvedBy }) => resolvedBy === 'set-union').length, rounds * writers - 1);
};

test('16 writers of stale versions › lose nothing of one another, and a restart keeps the record', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-resolve-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const keep = join(folder, 'log');
  const own = await openHub({ log: [`file:${keep}`] });
  t.teardown(() => own.close());
  await contend(t, [own]);
  const before = (await request(own.url, 'GET', '/state/tags/history')).body;
  const event = await lastEvent('tags', own);
  await own.close();
  const again = await openHub({ log: [`file:${keep}`] });
  t.teardown(() => again.close());
  t.deepEqual((await request(again.url, 'GET', '/state/tags/history')).body, before);
  t.deepEqual(await lastEvent('tags', again), event);
});

test('16 writers of stale versions over two hubs on one Redis log › lose nothing of one another', async (t) => {
  const redis = await redisForTest(t, { appendfsync: 'no' });
  if (redis === undefined) return;
  const hubs = [await openHub({ log: [redis.url] }), await openHub({ log: [redis.url] })];
  for (const each of hubs) t.teardown(() => each.close());
  await contend(t, hubs);
});
