import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Json } from '../../domain/event.ts';
import { defaultLimits, type PluginLimits, type PluginPermissions } from '../../domain/plugin/manifest.ts';
import type { Clock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import { openSandboxProcess } from '../../src/plugin/sandbox/process/open.ts';
import type { Guest, GuestHost, Trust, Wish } from '../../src/plugin/sandbox/sandbox.ts';
import { openSandbox } from '../../src/plugin/sandbox/supervisor.ts';
import { createTrustedSandbox } from '../../src/plugin/sandbox/trusted.ts';
import { createTestClock, listen, quiet } from '../registry/support.ts';
import { openHub } from '../support/hub.ts';
import { until } from '../support/until.ts';
import { openPlugin } from './capabilities-support.ts';

const folder = await mkdtemp(join(tmpdir(), 'nexus-trusted-'));
const hub = await openHub();
const server = await listen((request, response) => {
  request.resume().on('end', () => response.setHeader('made', 'here').end('{"said":true}'));
});
const origin = `http://127.0.0.1:${server.port}`;
const operator = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'test' };
const service = { id: 'echo', name: 'echo', version: '1.0.0', host: '127.0.0.1', port: server.port };
await hub.core.execute({ type: 'RegisterService', data: service }, operator);

test.after.always(async () => {
  await server.close();
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

type World = {
  readonly permissions?: Partial<PluginPermissions>;
  readonly limits?: Partial<PluginLimits>;
  readonly clock?: Clock;
  readonly config?: Json;
  readonly trust?: Trust;
  readonly name?: string;
};

/** A plugin on the hub, a trusted one unless said otherwise; `code` is its module. */
const start = async (
  code: string,
  { permissions, limits, clock, config = {}, trust = 'trusted', name = 'own' }: World = {},
) => {
  const told: unknown[] = [];
  const running = Promise.withResolvers<Guest | undefined>();
  const plugin = openPlugin(hub.core, {
    name,
    ...(permissions === undefined ? {} : { permissions }),
    guest: async ({ target, input }) =>
      (await (await running.promise)?.call(target, input, 30_000)) ?? {
        ok: false,
        fault: 'gone',
        message: '',
      },
  });
  const host: GuestHost = {
    wish: plugin.wish,
    log: (level, message, fields) => told.push([level, message, fields]),
    limited: (limit) => told.push(limit),
    down: () => told.push('down'),
    ready: (registered) => told.push(registered),
    ended: () => told.push('ended'),
  };
  const sandbox = openSandbox({
    isolation: 'auto',
    openProcess: openSandboxProcess,
    trusted: createTrustedSandbox({
      directory: join(folder, newId()),
      ...(clock === undefined ? {} : { clock }),
    }),
    logger: quiet,
  });
  const started = await sandbox.start(
    {
      name,
      version: '1.0.0',
      code,
      config,
      limits: { ...defaultLimits, cpuMsPerCall: 10_000, timeoutMs: 10_000, ...limits },
      trust,
      alone: false,
    },
    host,
  );
  running.resolve(started.ok ? started.guest : undefined);
  return {
    told,
    plugin,
    started,
    get guest() {
      if (!started.ok) throw new Error(started.death.reason);
      return started.guest;
    },
    async close() {
      await plugin.stop();
      await sandbox.close();
    },
  };
};

const context = `export const initialize = async (context) => {
  const { messageBus, state, services, fetch } = context;
  const { origin, root } = context.config;
  const code = (promise) => promise.then(() => 'ok', (error) => error.name + ' ' + error.code);
  await state.set(state.prefix + 'facts', { name: context.name, config: context.config, node: typeof process });
  let seen = 0;
  await messageBus.subscribe(root + '.work.*', async ({ payload }) => {
    seen += payload;
    await messageBus.publish(root + '.done.sum', seen, { headers: { by: 'sum' } });
  }, { durable: 'sums', from: 'start', maxInFlight: 1 });
  const other = await messageBus.subscribe(root + '.work.*', () => {});
  await other.stop();
  const watch = await state.watch(state.prefix + 'w*', async ({ key, value, version }) => {
    await watch.stop();
    await messageBus.publish(root + '.done.watch', { key, value, version });
  });
  await state.set(state.prefix + 'w', 'seen', { expectedVersion: 0, ttlSec: 60 });
  await messageBus.publish(root + '.work.a', 1);
  await messageBus.publish(root + '.work.a', 2, { priority: 'LOW', messageId: 'two' });
  const list = await state.list(state.prefix, { limit: 1, after: state.prefix + 'facts' });
  const answer = await fetch(origin + '/path', { method: 'POST', body: 'x' });
  const [service] = await services.list({ name: 'echo' });
  const invoked = await services.invoke('echo', 'say', { a: 1 }, { timeoutMs: 5000 });
  await messageBus.publish(root + '.done.all', {
    list: list.map(({ key }) => key),
    none: await state.get(state.prefix + 'none'),
    conflict: await code(state.set(state.prefix + 'w', 1, { expectedVersion: 7 })),
    deleted: await code(state.delete(state.prefix + 'w')),
    secret: await code(messageBus.publish('secret.x', 1)),
    answer: [answer.status, answer.ok, answer.headers.made, answer.body],
    service: service.id,
    invoked,
  });
  context.hooks.register('before_publish', () => undefined);
  context.resolvers.register('newest', ({ incoming }) => ({ value: incoming }));
};`;

for (const trust of ['trusted', 'normal', 'low'] as const) {
  test(`a plugin of the trust ${trust} has the whole context, and is held to its grants`, async (t) => {
    const name = `own-${trust}`;
    const own = await start(context, {
      trust,
      name,
      permissions: {
        publish: [`${trust}.>`],
        subscribe: [`${trust}.work.*`],
        services: { list: true, invoke: ['echo'] },
        fetch: [origin],
      },
      config: { origin, root: trust },
    });
    t.deepEqual(own.told, [{ hooks: ['before_publish'], resolvers: ['newest'] }]);
    const published = async () => {
      const page = await hub.core.messages({ topic: `${trust}.done.>` }, operator);
      if (!page.ok) throw new Error(page.problem.detail);
      return page.value.events;
    };
    await until(async () => (await published()).length === 4);
    const events = await published();
    t.deepEqual(new Set(events.map(({ publisher }) => publisher)), new Set([`plugin:${name}`]));
    const of = (topic: string) =>
      events.filter((event) => event.topic === `${trust}.done.${topic}`).map(({ payload }) => payload);
    t.deepEqual(of('sum'), [1, 3]);
    t.deepEqual(of('watch'), [{ key: `plugin/${name}/w`, value: 'seen', version: 1 }]);
    t.deepEqual(of('all'), [
      {
        list: [`plugin/${name}/w`],
        none: null,
        conflict: 'PluginCallError version_conflict',
        deleted: 'ok',
        secret: 'PluginCallError not_granted',
        answer: [200, true, 'here', '{"said":true}'],
        service: 'echo',
        invoked: { result: { said: true }, instance: 'echo', attempts: 1 },
      },
    ]);
    t.like(await own.plugin.get('state.get', { key: `plugin/${name}/facts` }), {
      value: { name, config: { origin, root: trust }, node: trust === 'trusted' ? 'object' : 'undefined' },
    });
    t.deepEqual(await own.guest.call('resolver:newest', { incoming: 5 }, 10_000), {
      ok: true,
      value: { value: 5 },
    });
    t.is(own.guest.metrics().pid === null, trust === 'trusted');
    await own.close();
    const files = (await readdir(folder, { recursive: true })).filter((file) => file.includes(name));
    t.deepEqual(files, [], 'its file is gone once it is loaded');
  });
}

test('a call ends with its time-out, and what cannot be an answer is a fault', async (t) => {
  const clock = createTestClock();
  const own = await start(
    `export const initialize = ({ hooks, resolvers }) => {
      hooks.register('before_publish', () => new Promise(() => {}));
      resolvers.register('large', () => ({ value: 'x'.repeat(2_000) }));
      resolvers.register('throws', () => { throw new RangeError('no'); });
      resolvers.register('odd', () => 1n);
      resolvers.register('loop', () => { const a = {}; a.a = a; return a; });
      resolvers.register('dangerous', () => JSON.parse('{"__proto__":{"x":1}}'));
      resolvers.register('late', (input) => { input.incoming = 'changed'; });
    };`,
    { clock, limits: { messageBytes: 1_024 } },
  );
  const hanging = own.guest.call('hook:before_publish', {}, 500);
  clock.advance(500);
  t.like(await hanging, { ok: false, fault: 'timeout' });
  t.like(await own.guest.call('resolver:large', {}, 500), { ok: false, fault: 'too_large' });
  t.like(await own.guest.call('resolver:throws', {}, 500), { fault: 'threw', message: 'RangeError: no' });
  t.like(await own.guest.call('resolver:odd', {}, 500), { ok: false, fault: 'threw' });
  t.like(await own.guest.call('resolver:loop', {}, 500), { ok: false, fault: 'threw' });
  t.like(await own.guest.call('resolver:dangerous', {}, 500), { ok: false, fault: 'threw' });
  t.like(await own.guest.call('resolver:other', {}, 500), { ok: false, fault: 'no_handler' });
  t.like(await own.guest.call('__proto__', {}, 500), { ok: false, fault: 'no_handler' });
  const input = { incoming: 'as it was' };
  t.deepEqual(await own.guest.call('resolver:late', input, 500), { ok: true, value: null });
  t.is(input.incoming, 'as it was');
  t.deepEqual(own.told.slice(1), ['timeoutMs', 'messageBytes']);
  await own.close();
});

test('the hub’s own values are not the plugin’s to change', async (t) => {
  const own = await start(
    `export const initialize = async ({ state }) => {
      const key = state.prefix + 'v';
      await state.set(key, { list: [1] });
      const entry = await state.get(key);
      entry.value.list.push(2);
    };`,
  );
  t.like(await own.plugin.get('state.get', { key: 'plugin/own/v' }), { value: { list: [1] } });
  await own.close();
});

test('what is asked of the hub is its own JSON, and no larger than a message may be', async (t) => {
  const own = await start(
    `export const initialize = async ({ state }) => {
      const deep = (levels) => (levels === 0 ? [] : [deep(levels - 1)]);
      const codes = [];
      for (const value of ['€'.repeat(400), JSON.parse('{"__proto__":{"admin":true}}'), deep(70), 1]) {
        try { await state.set(state.prefix + 'w', value); codes.push('ok'); } catch (error) { codes.push(error.code); }
      }
      await state.set(state.prefix + 'codes', codes);
    };`,
    { limits: { messageBytes: 1_024 } },
  );
  t.like(await own.plugin.get('state.get', { key: 'plugin/own/codes' }), {
    value: ['limit_exceeded', 'bad_json', 'bad_json', 'ok'],
  });
  await own.close();
});

const broken: readonly (readonly [claim: string, code: string, reason: RegExp])[] = [
  ['is no module', 'export const', /SyntaxError/],
  ['has no initialize', 'export const other = 1;', /initialize/],
  ['throws while it is loaded', 'throw new Error("at once");', /Error: at once/],
  ['throws in initialize', 'export const initialize = () => { throw new Error("later"); };', /Error: later/],
  ['throws what has no text', 'export const initialize = () => { throw Object.create(null); };', /no text/],
];
for (const [claim, code, reason] of broken) {
  test(`a plugin that ${claim} is not started`, async (t) => {
    const { started, told, close } = await start(code);
    t.like(started, { ok: false, death: { cause: 'initialize', culprit: true } });
    t.regex(started.ok ? '' : started.death.reason, reason);
    t.deepEqual(told, []);
    await close();
  });
}

test('a plugin whose initialize does not end is not started', async (t) => {
  const clock = createTestClock();
  const waiting = start('export const initialize = () => new Promise(() => {});', { clock });
  let isDone = false;
  const done = waiting.then(() => {
    isDone = true;
  });
  await until(() => {
    clock.advance(10_000);
    return isDone;
  });
  await done;
  const { started, close } = await waiting;
  t.like(started, { ok: false, death: { cause: 'initialize', reason: 'Error: it took more than 10000 ms' } });
  await close();
});

test('stop() lets calls end, calls shutdown once, and ends the timers', async (t) => {
  const own = await start(
    `let end;
    export const initialize = (context) => {
      context.hooks.register('before_publish', () => new Promise((resolve) => { end = resolve; }));
      context.timers.after(10, () => { throw new Error('in a timer'); });
      context.timers.every(10, () => { context.log.info('tick'); end?.(); });
      globalThis.nexusTrustedShutdown = () => context.log.info('shutdown');
    };
    export const shutdown = () => globalThis.nexusTrustedShutdown();`,
  );
  const call = own.guest.call('hook:before_publish', {}, 30_000);
  const stopping = own.guest.stop(30_000);
  t.like(await own.guest.call('hook:before_publish', {}, 30_000), { ok: false, fault: 'gone' });
  t.deepEqual(await call, { ok: true, value: null });
  await Promise.all([stopping, own.guest.stop(0)]);
  t.is(own.told.filter((line) => Array.isArray(line) && line[1] === 'shutdown').length, 1);
  t.true(own.told.some((line) => Array.isArray(line) && line[1] === 'a timer threw: Error: in a timer'));
  t.deepEqual(own.told.at(-1), ['info', 'shutdown', {}]);
  await own.close();
});

test('another start of the same code is another module', async (t) => {
  const code = `let count = 0;
    export const initialize = ({ resolvers }) => resolvers.register('count', () => ++count);`;
  const [first, second] = [await start(code), await start(code)];
  t.like(await first.guest.call('resolver:count', {}, 1_000), { value: 1 });
  t.like(await first.guest.call('resolver:count', {}, 1_000), { value: 2 });
  t.like(await second.guest.call('resolver:count', {}, 1_000), { value: 1 });
  await first.close();
  await second.close();
});

test('calls that are under way are bounded in number', async (t) => {
  const own = await start(
    `export const initialize = ({ resolvers }) => resolvers.register('wait', () => new Promise(() => {}));`,
    { clock: createTestClock() },
  );
  const calls = Array.from({ length: 1_000 }, () => own.guest.call('resolver:wait', {}, 1_000));
  t.like(await own.guest.call('resolver:wait', {}, 1_000), { ok: false, fault: 'overloaded' });
  t.is(calls.length, 1_000);
});

test('what a plugin asks is copied: what is no JSON is its own mistake', async (t) => {
  const asked: Wish[] = [];
  const sandbox = createTrustedSandbox({ directory: join(folder, newId()) });
  const started = await sandbox.start(
    {
      name: 'own',
      version: '1.0.0',
      code: `export const initialize = async ({ messageBus }) => {
        await messageBus.publish('a', { when: new Date(0), none: undefined });
        await messageBus.publish('a', 1n);
      };`,
      config: null,
      limits: defaultLimits,
      trust: 'trusted',
      alone: false,
    },
    {
      wish: async (wish) => {
        asked.push(wish);
        return { ok: true, value: null };
      },
      log: () => {},
      limited: () => {},
      down: () => {},
      ready: () => {},
      ended: () => {},
    },
  );
  t.regex(started.ok ? '' : started.death.reason, /TypeError/);
  t.deepEqual(asked, [
    { operation: 'publish', data: { topic: 'a', payload: { when: '1970-01-01T00:00:00.000Z' } } },
  ]);
  await sandbox.close();
});
