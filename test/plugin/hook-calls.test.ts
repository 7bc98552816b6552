import { once } from 'node:events';
import test from 'ava';
import { WebSocket } from 'ws';
import { hookNames } from '../../domain/plugin/manifest.ts';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { createPluginResolvers } from '../../src/plugin/hooks/resolvers.ts';
import type { CallAnswer } from '../../src/plugin/sandbox/sandbox.ts';
import { listen } from '../registry/support.ts';
import { commandsOver, entryOf, type Handler, type Heard, mutate } from '../support/hooks.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { until } from '../support/until.ts';

const hub = await openHub({
  wsFramesPerSec: 0,
  allowedTargets: ['127.0.0.0/8'],
  stateResolvers: ['sums/*=adds'],
});
const { url } = hub;
const { hooks, resolvers } = hub.core.parts;
const zeroMq = await openZeroMq({
  core: hub.core,
  config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
  logger: createLogger('silent'),
});
const calls: { readonly url: string | undefined; readonly body: string }[] = [];
const server = await listen((incoming, answer) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    calls.push({ url: incoming.url, body: Buffer.concat(chunks).toString() });
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify({ n: 1 }));
  });
});
const service = { id: 'bill-0', name: 'billing', version: '1.0.0', host: '127.0.0.1', port: server.port };
await request(url, 'POST', '/services', { body: service });
test.after.always(async () => {
  await zeroMq.close();
  await hub.close();
  await server.close();
});

const context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };
const asPlugin = (name: string) => ({ ...context, subject: { id: `plugin:${name}`, scopes: ['admin'] } });
const publish = (topic: string, payload: unknown, more: object = {}, by = context) =>
  hub.core.execute({ type: 'PublishMessage', data: { topic, payload, ...more } }, by);
const get = async (path: string, headers: Record<string, string> = {}) =>
  request(url, 'GET', path, { headers });

const invokeOverRest = async (data: object) => {
  const { status, body } = await request(url, 'POST', '/services/billing/invoke', {
    body: { method: 'm', data },
  });
  return { code: body.code ?? (status === 200 ? 'done' : status), result: body.result };
};
const invokeOverGraphql = async (data: object) => {
  const json = JSON.stringify(data).replace(/"(\w+)":/g, '$1:');
  const { code, body } = await mutate(
    hub,
    `invokeService(name: "billing", method: "m", data: ${json})`,
    'result',
  );
  return { code, result: body.result };
};

for (const [name, invoke] of [
  ['REST', invokeOverRest],
  ['GraphQL', invokeOverGraphql],
] as const) {
  test.serial(
    `…_service_invoke › over ${name} change what is sent and what comes back, and refuse`,
    async (t) => {
      const after: Heard[] = [];
      const before: Handler = ({ data }) => {
        const { n } = data as Heard;
        return n === 0 ? { refuse: 'zero' } : { change: { data: { n, by: 'guard' } } };
      };
      const see: Handler = (input) => {
        after.push(input);
        return { change: { result: { seen: input.result } } };
      };
      const match = ['bill*'];
      hooks.set('guard', [
        entryOf('guard', 'before_service_invoke', before, { match }),
        entryOf('guard', 'after_service_invoke', see, { match }),
      ]);
      t.teardown(() => hooks.remove('guard'));
      t.deepEqual(await invoke({ n: 1 }), { code: 'done', result: { seen: { n: 1 } } });
      t.deepEqual(JSON.parse(calls.at(-1)?.body ?? ''), { n: 1, by: 'guard' });
      t.like(after[0], {
        service: 'billing',
        method: 'm',
        data: { n: 1, by: 'guard' },
        outcome: 'ok',
        result: { n: 1 },
        instance: 'bill-0',
        subject: 'local',
      });
      const count = calls.length;
      t.is((await invoke({ n: 0 })).code, 'plugin_refused');
      t.is(calls.length, count, 'nothing was called');
    },
  );
}

test.serial(
  'after_service_invoke › a call that failed is seen with its code, and has no result to change',
  async (t) => {
    const outcomes: unknown[] = [];
    const see: Handler = ({ outcome, result }) => {
      outcomes.push([outcome, result]);
      return { change: { result: 1 } };
    };
    hooks.set('see', [entryOf('see', 'after_service_invoke', see, { onFailure: 'skip' })]);
    t.teardown(() => hooks.remove('see'));
    const { body } = await request(url, 'POST', '/services/nobody/invoke', { body: { method: 'm' } });
    t.is(body.code, 'service_not_found');
    t.deepEqual(outcomes, [['service_not_found', null]]);
  },
);

test.serial(
  'before_service_invoke › of the proxy sees method and path, refuses, and can change nothing',
  async (t) => {
    const seen: Heard[] = [];
    const guard: Handler = (input) => {
      seen.push(input);
      if (input.method === '/change') return { change: { data: 1 } };
      return input.method === '/no' ? { refuse: 'no' } : undefined;
    };
    hooks.set('guard', [entryOf('guard', 'before_service_invoke', guard)]);
    t.teardown(() => hooks.remove('guard'));
    t.is((await get('/proxy/billing/a/b?c=1')).status, 200);
    t.is(calls.at(-1)?.url, '/a/b?c=1');
    t.deepEqual(seen[0], { service: 'billing', method: '/a/b', http: 'GET', data: null, subject: 'local' });
    t.like((await get('/proxy/billing/no')).body, { code: 'plugin_refused', hook: 'before_service_invoke' });
    t.like((await get('/proxy/billing/change')).body, { code: 'plugin_failed' });
    const socket = new WebSocket(`${url.replace('http', 'ws')}/proxy/billing/no`);
    const [, refused] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    t.is(refused.statusCode, 422);
  },
);

test.serial(
  'on_request › refuses and adds fields, in front of every route and of the hot read',
  async (t) => {
    await request(url, 'PUT', '/state/hot', { body: { value: 1 } });
    t.is((await get('/state/hot')).headers.get('x-seen-by'), null);
    const seen: Heard[] = [];
    const guard: Handler = (input) => {
      seen.push(input);
      return input.query === 'no'
        ? { refuse: 'no' }
        : { change: { headers: { 'x-seen-by': `guard ${input.subject}` } } };
    };
    hooks.set('guard', [entryOf('guard', 'on_request', guard, { match: ['/state/*', '/graphql', '/ws'] })]);
    t.teardown(() => hooks.remove('guard'));
    const secrets = {
      authorization: 'Bearer x',
      cookie: 'a=b',
      'x-api-key': 'k',
      'x-session-id': 's',
      'x-plain': 'p',
    };
    const hot = await get('/state/hot', secrets);
    t.is(hot.headers.get('x-seen-by'), 'guard local');
    t.like(seen[0], { method: 'GET', path: '/state/hot', query: '', subject: 'local' });
    const { headers } = seen[0] as unknown as { readonly headers: Record<string, string> };
    t.is(headers['x-plain'], 'p');
    t.deepEqual(
      Object.keys(secrets).filter((name) => headers[name] !== undefined),
      ['x-plain'],
    );
    const refused = await get('/state/hot?no');
    t.is(refused.status, 422);
    t.like(refused.body, { code: 'plugin_refused', plugin: 'guard', hook: 'on_request', reason: 'no' });
    t.is((await get('/topics')).headers.get('x-seen-by'), null, 'a path that it is not for');
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?no`, ['nexus.v1']);
    const [, upgrade] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    t.is(upgrade.statusCode, 422);
    const open = new WebSocket(`${url.replace('http', 'ws')}/ws`, ['nexus.v1']);
    await once(open, 'open');
    open.close();
  },
);

test.serial(
  'on_request › fields of the hub’s own are a fault of the plugin, and operators are never kept out',
  async (t) => {
    const own = [
      'x-request-id',
      'X-Upper',
      'content-type',
      'set-cookie',
      'x-nexus-position',
      'ratelimit-limit',
      'strict-transport-security',
      'access-control-allow-origin',
      'cache-control',
      'a b',
      '__proto__',
    ];
    for (const name of own) {
      const guard: Handler = () =>
        JSON.parse(`{ "change": { "headers": { ${JSON.stringify(name)}: "x" } } }`);
      hooks.set('guard', [entryOf('guard', 'on_request', guard)]);
      t.like((await get('/state/hot')).body, { code: 'plugin_failed', plugin: 'guard' }, name);
    }
    for (const value of ['a\r\nset-cookie: x', 'ä', 'x'.repeat(2_000), 1]) {
      const guard: Handler = () => ({ change: { headers: { 'x-a': value } } });
      hooks.set('guard', [entryOf('guard', 'on_request', guard)]);
      t.like((await get('/state/hot')).body, { code: 'plugin_failed', plugin: 'guard' }, String(value));
    }
    hooks.set('guard', [entryOf('guard', 'on_request', () => ({ refuse: 'all' }))]);
    t.teardown(() => hooks.remove('guard'));
    t.is((await get('/health/live')).status, 200);
    t.not((await get('/plugins')).body.code, 'plugin_refused');
    t.is((await get('/health')).body.code, 'plugin_refused');
  },
);

test.serial(
  'after_… › are told what is durable, one for each key of a transaction, and hold nobody up',
  async (t) => {
    const told: Heard[] = [];
    const { promise: gate, resolve: letGo } = Promise.withResolvers<void>();
    const see: Handler = async (input) => {
      await gate;
      told.push(input);
    };
    hooks.set('see', [
      entryOf('see', 'after_publish', see, { match: ['told.>'] }),
      entryOf('see', 'after_state_change', see, { match: ['told/*'] }),
    ]);
    t.teardown(() => hooks.remove('see'));
    t.true((await publish('told.a', { n: 1 }, { key: 'k', headers: { h: 'x' } })).ok);
    await request(url, 'PUT', '/state/told%2Fa', { body: { value: 1 } });
    await request(url, 'POST', '/commands', {
      body: {
        type: 'TransactState',
        data: {
          // biome-ignore lint/suspicious/noThenProperty: the name on the wire
          then: [
            { op: 'increment', key: 'told/n' },
            { op: 'delete', key: 'told/a' },
            { op: 'delete', key: 'told/none' },
            { op: 'set', key: 'untold', value: 1 },
          ],
        },
      },
    });
    await publish('told.a', { n: 2 }, {}, asPlugin('see'));
    t.is(told.length, 0);
    letGo();
    await until(() => told.length === 4);
    t.like(told[0], { topic: 'told.a', payload: { n: 1 }, key: 'k', headers: { h: 'x' }, publisher: 'ann' });
    t.is(typeof told[0]?.publishedAt, 'string');
    t.like(told[1], { key: 'told/a', value: 1, version: 1, deleted: false, subject: 'local' });
    t.like(told[2], { key: 'told/n', value: 1, version: 1, deleted: false });
    t.like(told[3], { key: 'told/a', value: null, version: 2, deleted: true });
  },
);

test.serial('hooks that are for others, or for nobody any more › change no answer', async (t) => {
  const shape = async (method: string, path: string, body?: object) => {
    const answer = await request(url, method, path, body === undefined ? {} : { body });
    return { status: answer.status, fields: [...answer.headers.keys()], members: Object.keys(answer.body) };
  };
  const answers = async () => [
    await shape('POST', '/events/same.a', { payload: 1 }),
    await shape('PUT', '/state/same', { value: 1 }),
    await shape('GET', '/state/same'),
    await shape('POST', '/state/same/increment', { by: 1 }),
    await shape('POST', '/services/billing/invoke', { method: 'm', data: 1 }),
    await shape('GET', '/proxy/billing/x'),
    await shape('DELETE', '/state/same'),
    await shape('DELETE', '/state/same'),
  ];
  const before = await answers();
  const refuse: Handler = () => ({ refuse: 'never' });
  hooks.set(
    'others',
    hookNames.map((hook) => entryOf('others', hook, refuse, { match: ['other'] })),
  );
  t.deepEqual(await answers(), before);
  hooks.remove('others');
  t.deepEqual(await answers(), before);
});

type Resolve = (input: {
  readonly base?: unknown;
  readonly current?: unknown;
  readonly incoming: unknown;
}) => unknown;

test.serial(
  'resolvers of plugins › settle conflicts over every protocol, each on the version that is there',
  async (t) => {
    const bound = createPluginResolvers({ resolvers, hooks, logger: createLogger('silent') });
    const asked: unknown[] = [];
    let meanwhile: (() => Promise<unknown>) | undefined;
    const adds: Resolve = async (input) => {
      asked.push(input);
      const { base = 0, current = 0, incoming } = input;
      const work = meanwhile;
      meanwhile = undefined;
      await work?.();
      if (incoming === 13) return { refuse: 'unlucky', conflicts: ['/a'] };
      return { value: Number(current) + Number(incoming) - Number(base) };
    };
    const call =
      (resolve: Resolve) =>
      async (_name: string, input: unknown): Promise<CallAnswer> => ({
        ok: true,
        value: (await resolve(input as Parameters<Resolve>[0])) as never,
      });
    bound.set('sums', ['adds'], call(adds));
    t.true(hub.core.stateResolvers.names().includes('adds'));
    for (const [index, [name, run]] of commandsOver(hub, zeroMq.command ?? '').entries()) {
      const key = `sums/${index}`;
      const set = (value: unknown, more: object = {}) => run('SetState', { key, value, ...more });
      await set(1);
      await set(2);
      const result = async () => (await get(`/state/${encodeURIComponent(key)}`)).body.value;
      t.is(await result(), 3, `${name}: without a version it is combined with what is there`);
      await set(11, { expectedVersion: 1 });
      t.is(await result(), 13, `${name}: base 1, current 3, incoming 11`);
      meanwhile = () => hub.core.execute({ type: 'IncrementState', data: { key, by: 100 } }, context);
      await set(20, { expectedVersion: 2 });
      t.is(await result(), 130, `${name}: another writer was faster, and is not lost`);
      const refused = await set(13, { expectedVersion: 1 });
      t.like(refused.body, {
        code: 'version_conflict',
        resolver: 'adds',
        reason: 'unlucky',
        conflicts: ['/a'],
      });
    }
    t.deepEqual(asked.slice(0, 2), [
      { current: 1, incoming: 2 },
      { base: 1, current: 3, incoming: 11 },
    ]);
    const over = await mutate(hub, 'setState(key: "sums/0", value: 5, expectedVersion: 1)', 'version');
    t.is(over.code, 'done');
    const patched = await request(url, 'PATCH', '/state/sums%2F0', {
      body: 7,
      headers: { 'content-type': 'application/merge-patch+json', 'if-match': '"1"' },
    });
    t.is(patched.body.value, 130 + 4 + 6);
    t.deepEqual((patched.body as { resolution?: unknown }).resolution, { resolver: 'adds' });

    const conflict = async () =>
      (await request(url, 'PUT', '/state/sums%2F1', { body: { value: 1, expectedVersion: 1 } })).body;
    const endless: Resolve = async ({ current }) => {
      await hub.core.execute({ type: 'IncrementState', data: { key: 'sums/1' } }, context);
      return { value: current };
    };
    bound.set('sums', ['adds'], call(endless));
    t.like(await conflict(), { code: 'version_conflict', expectedVersion: 1, resolver: 'adds' });
    for (const answer of [null, 1, {}, { value: undefined }, { value: 1, refuse: 'x' }]) {
      bound.set(
        'sums',
        ['adds'],
        call(() => answer),
      );
      t.like(await conflict(), { code: 'version_conflict', resolver: 'adds' }, JSON.stringify(answer));
    }
    bound.set('sums', ['adds'], async () => ({ ok: false, fault: 'gone', message: '' }));
    t.regex(String((await conflict()).reason), /gone/);
    bound.remove('sums');
    t.like(await conflict(), {
      code: 'version_conflict',
      reason: 'there is no resolver of this name on this node',
    });
  },
);

test.serial(
  'resolvers of plugins › a quota holds for what they make, and a name is taken once',
  async (t) => {
    const logged: object[] = [];
    const logger = { ...createLogger('silent'), warn: (facts: object) => logged.push(facts) };
    const bound = createPluginResolvers({ resolvers, hooks, logger });
    const big = async (): Promise<CallAnswer> => ({ ok: true, value: { value: 'x'.repeat(4_000) } });
    bound.set('one', ['adds', 'max'], big);
    bound.set('two', ['adds'], big);
    t.teardown(() => ['one', 'two'].forEach(bound.remove));
    t.like(logged, [
      { plugin: 'one', resolver: 'max' },
      { plugin: 'two', resolver: 'adds' },
    ]);
    await hub.core.execute({ type: 'SetStatePolicy', data: { pattern: 'sums/*', maxBytes: 3_000 } }, context);
    const set = () => hub.core.execute({ type: 'SetState', data: { key: 'sums/q', value: 1 } }, context);
    t.true((await set()).ok);
    t.like(await set(), { ok: false, problem: { code: 'quota_exceeded' } });
    t.is((await get('/state/sums%2Fq')).body.value, 1, 'nothing of it was written');
  },
);
