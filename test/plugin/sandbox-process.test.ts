import test, { type ExecutionContext } from 'ava';
import type { Json } from '../../domain/event.ts';
import type { PluginLimits } from '../../domain/plugin/manifest.ts';
import type { ProcessGuest, SandboxProcess } from '../../src/plugin/sandbox/process.ts';
import type { Program } from '../../src/plugin/sandbox/sandbox.ts';
import { until } from '../support/until.ts';
import { answers, createHost, open, program } from './sandbox-support.ts';

let shared: SandboxProcess;
test.before(async () => {
  shared = await open();
});
test.after.always(async () => {
  await shared?.close(100);
});

const loaded = async (
  t: ExecutionContext,
  plugin: Program,
  host: ReturnType<typeof createHost> = createHost(),
  into: SandboxProcess = shared,
): Promise<ProcessGuest> => {
  const answer = await into.load(plugin, host);
  if (!answer.ok) return t.fail(`${plugin.name}: ${answer.death.reason}`) as never;
  return answer.guest;
};
const refused = async (plugin: Program) => {
  const answer = await shared.load(plugin, createHost());
  return answer.ok ? 'it was loaded' : answer.death;
};
/** A plugin that does what it is told: the body of a function of `input` and the context `c`. */
const doing = (body: string): string =>
  `export const initialize = (c) => { c.hooks.register('on_request', async (input) => { ${body} }); };`;
const ask = (guest: ProcessGuest, input: Json = null, timeoutMs = 20_000) =>
  guest.call('hook:on_request', input, timeoutMs);
const answerOf = async (t: ExecutionContext, guest: ProcessGuest, input: Json = null): Promise<Json> => {
  const answer = await ask(guest, input);
  return answer.ok ? answer.value : (t.fail(`${answer.fault}: ${answer.message}`) as never);
};

test('context › carries each call to the hub and its answer back', async (t) => {
  const host = createHost();
  const code = `
    let seen = [];
    export const initialize = async (c) => {
      const kinds = [c.name, c.version, c.config.greeting, c.state.prefix, Object.isFrozen(c)];
      seen.push(kinds);
      seen.push(await c.messageBus.publish('orders.new', { n: 1 }, { priority: 'HIGH' }));
      const orders = await c.messageBus.subscribe('orders.*', async (m) => { seen.push(['message', m.topic]); }, { durable: 'd' });
      seen.push(await c.state.get('k'), await c.state.set('k', [1], { expectedVersion: 1 }), await c.state.delete('k'));
      seen.push(await c.state.list('p', { limit: 5 }));
      await c.state.watch('plugin/all/*', (change) => { seen.push(['change', change.key]); });
      seen.push(await c.services.list({ name: 'billing' }), await c.services.invoke('billing', 'pay', { sum: 1 }, { timeoutMs: 5 }));
      seen.push(await c.fetch('https://api.example.com/', { method: 'POST', body: 'b' }));
      seen.push(await c.crypto.hmacSha256('key', 'The quick brown fox jumps over the lazy dog'));
      seen.push(/^[0-9a-f-]{36}$/.test(c.crypto.randomId()));
      try { await c.state.get('forbidden'); } catch (error) { seen.push([error instanceof Error, error.name, error.code, error.message]); }
      c.log.warn('look', { at: 1 });
      c.hooks.register('on_request', async (input) => { if (input === 'stop') await orders.stop(); return seen; });
      c.hooks.register('after_publish', () => { throw new TypeError('not today'); });
      c.resolvers.register('largest', ({ current, incoming }) => ({ value: Math.max(current, incoming) }));
      try { c.hooks.register('on_request', () => 1); } catch (error) { seen.push(error.message); }
    };`;
  const guest = await loaded(t, program('all', code, {}, { greeting: 'hello' }), host);
  t.deepEqual(guest.registered, { hooks: ['on_request', 'after_publish'], resolvers: ['largest'] });
  t.deepEqual(await guest.call('message:1', { topic: 'orders.new' }, 5_000), { ok: true, value: null });
  t.deepEqual(await guest.call('change:2', { key: 'plugin/all/x' }, 5_000), { ok: true, value: null });
  t.deepEqual(await guest.call('resolver:largest', { current: 4, incoming: 3 }, 5_000), {
    ok: true,
    value: { value: 4 },
  });
  t.deepEqual(await guest.call('hook:after_publish', {}, 5_000), {
    ok: false,
    fault: 'threw',
    message: 'TypeError: not today',
  });
  t.deepEqual(await answerOf(t, guest, 'stop'), [
    ['all', '1.2.3', 'hello', 'plugin/all/', true],
    { messageId: 'm1', position: '01' },
    answers['state.get'] ?? null,
    { version: 2, position: '02' },
    null,
    [],
    [{ name: 'billing' }],
    { result: { paid: true }, instance: 'i1', attempts: 1 },
    { status: 200, ok: true, headers: {}, body: 'hello' },
    'f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8',
    true,
    [true, 'PluginCallError', 'not_granted', 'it is not granted'],
    'the hook on_request has a handler already',
    ['message', 'orders.new'],
    ['change', 'plugin/all/x'],
  ]);
  t.deepEqual(host.wishes, [
    { operation: 'publish', data: { topic: 'orders.new', payload: { n: 1 }, priority: 'HIGH' } },
    { operation: 'subscribe', data: { n: 1, pattern: 'orders.*', durable: 'd' } },
    { operation: 'state.get', data: { key: 'k' } },
    { operation: 'state.set', data: { key: 'k', value: [1], expectedVersion: 1 } },
    { operation: 'state.delete', data: { key: 'k' } },
    { operation: 'state.list', data: { prefix: 'p', limit: 5 } },
    { operation: 'state.watch', data: { n: 2, selector: 'plugin/all/*' } },
    { operation: 'services.list', data: { name: 'billing' } },
    {
      operation: 'services.invoke',
      data: { service: 'billing', method: 'pay', data: { sum: 1 }, timeoutMs: 5 },
    },
    { operation: 'fetch', data: { url: 'https://api.example.com/', method: 'POST', body: 'b' } },
    { operation: 'state.get', data: { key: 'forbidden' } },
    { operation: 'unsubscribe', data: { n: 1 } },
  ]);
  t.deepEqual(host.lines, [{ level: 'warn', message: 'look', fields: { at: 1 } }]);
  t.like(await guest.call('message:1', {}, 5_000), { fault: 'no_handler' });
  await guest.stop(0);
});

test('timers › run, are ended, and are a hundred at most', async (t) => {
  const host = createHost();
  const code = `
    let ticks = 0, once = 0, never = 0, many;
    export const initialize = (c) => {
      const stop = c.timers.every(10, () => { if (++ticks === 3) stop(); });
      c.timers.after(10, () => { once++; throw new Error('in a timer'); });
      clearTimeout(setTimeout(() => { never++; }, 20));
      setTimeout((a, b) => { once += a + b; }, 10, 10, 100);
      c.hooks.register('on_request', (what) => {
        if (what === 'many') { let made = 0; try { for (;;) { setTimeout(() => {}, 1e6); made++; } } catch (error) { many = [made, error.name]; } return many; }
        return [ticks, once, never];
      });
    };`;
  const guest = await loaded(t, program('timers', code), host);
  await until(async () => JSON.stringify(await answerOf(t, guest)) === '[3,111,0]');
  t.deepEqual(host.lines, [{ level: 'error', message: 'a timer threw: Error: in a timer', fields: {} }]);
  t.deepEqual(await answerOf(t, guest, 'many'), [100, 'RangeError']);
  await guest.stop(0);
});

test('a plugin › finds the language and what is promised, and nothing else', async (t) => {
  const code = doing(`
    const view = new Uint8Array(8); crypto.getRandomValues(view);
    const url = new URL('../b?x=1&y=%20z#h', 'https://user@example.com:8443/a/c');
    url.searchParams.append('q', 'ä b'); const copy = structuredClone({ d: new Date(0), m: new Map([[1, { a: 1 }]]), bytes: new Uint8Array([1, 2]) });
    const loop = {}; loop.self = loop;
    let order = []; queueMicrotask(() => order.push('micro')); await null; order.push('after');
    console.log('said', { a: 1 }, 2n); console.error(new RangeError('bad'));
    let imported; try { await import('node:fs'); } catch (error) { imported = 'refused'; }
    Error.prepareStackTrace = () => 'mine';
    return {
      url: [url.href, url.host, url.origin, url.searchParams.get('y'), URL.canParse('no')],
      params: new URLSearchParams({ a: '1 2', b: '~' }).toString(),
      text: [new TextDecoder().decode(new TextEncoder().encode('a€😀\\ud800')), [...new TextEncoder().encode('ä')]],
      clone: [copy.d instanceof Date, copy.m.get(1).a, copy.bytes[1], structuredClone(loop).self.self !== loop],
      random: [view.some((byte) => byte !== 0), /^[0-9a-f]{8}-/.test(crypto.randomUUID())],
      order, imported, stack: typeof new Error('x').stack,
      there: Object.getOwnPropertyNames(globalThis).filter((name) => ['WebAssembly', 'SharedArrayBuffer', 'Atomics', 'process', 'require', 'fetch', 'Buffer', 'bootNexusGuest', 'ivm', 'global', 'module'].includes(name)),
      buffer: ['resize', 'transfer', 'transferToFixedLength'].filter((name) => name in ArrayBuffer.prototype),
      viaFunction: (0, eval)('this') === globalThis && typeof [].constructor.constructor('return typeof process')() ,
      own: Function('return typeof process + typeof require')(),
    };`);
  const host = createHost();
  const guest = await loaded(t, program('globals', code), host);
  t.deepEqual(await answerOf(t, guest), {
    url: [
      'https://user@example.com:8443/b?x=1&y=+z&q=%C3%A4+b#h',
      'example.com:8443',
      'https://example.com:8443',
      ' z',
      false,
    ],
    params: 'a=1+2&b=%7E',
    text: ['a€😀�', [195, 164]],
    clone: [true, 1, 2, true],
    random: [true, true],
    order: ['micro', 'after'],
    imported: 'refused',
    stack: 'string',
    there: [],
    buffer: [],
    viaFunction: 'string',
    own: 'undefinedundefined',
  });
  t.deepEqual(
    host.lines.map(({ level, message }) => [level, message]),
    [
      ['info', 'said {"a":1} 2'],
      ['error', 'RangeError: bad'],
    ],
  );
  await guest.stop(0);
});

test('load › tells why a plugin cannot be', async (t) => {
  const cases: readonly [code: string, reason: RegExp][] = [
    ['export const initialize = () => { throw new Error("no luck"); };', /no luck/],
    ['export const other = 1;', /initialize must be a function/],
    ['import fs from "node:fs"; export const initialize = () => fs;', /imports nothing: node:fs/],
    ['export const initialize = () => {', /Unexpected/],
    ['null.x; export const initialize = () => {};', /Cannot read properties of null/],
    ['export const initialize = (c) => { c.hooks.register("on_request", 1); };', /must be a function/],
  ];
  for (const [code, reason] of cases) {
    const death = await refused(program('faulty', code));
    t.like(death, { cause: 'initialize', culprit: true });
    t.regex(typeof death === 'string' ? death : death.reason, reason);
  }
  t.like(await refused(program('loops', 'for (;;);')), { cause: 'cpu', culprit: true });
});

test('limits › bound what goes in, what comes out, and how often', async (t) => {
  const host = createHost();
  const code = doing(`
    if (input === 'long') return 'x'.repeat(3000);
    if (input === 'wish') { try { await c.state.set('k', 'x'.repeat(3000)); } catch (error) { return error.code; } }
    if (typeof input?.wish === 'string') { try { const value = JSON.parse(input.wish); await c.state.set('k', value === '€' ? value.repeat(1_000) : value); return 'done'; } catch (error) { return error.code; } }
    if (input === 'dense') return Array(500).fill(0);
    if (input === 'many') { const all = await Promise.allSettled(Array.from({ length: 150 }, () => c.state.get('k'))); return [...new Set(all.map((one) => one.reason?.code ?? one.status))]; }
    if (input === 'never') return new Promise(() => {});
    if (input === 'bigint') return 1n;
    if (input === '__proto__') return JSON.parse('{"__proto__":{"admin":true}}');
    if (input === 'deep') { let deep = 1; for (let i = 0; i < 100; i++) deep = [deep]; return deep; }
    if (input === 'proxy') throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; } });
    return 'fine';`);
  const guest = await loaded(t, program('limits', code, { messageBytes: 2_048, callsPerSec: 30 }), host);
  t.like(await ask(guest, 'long'), { fault: 'too_large' });
  t.like(await ask(guest, 'x'.repeat(2_100)), { fault: 'too_large' });
  t.like(await ask(guest, 'dense'), { fault: 'too_large' });
  t.is(await answerOf(t, guest, 'wish'), 'limit_exceeded');
  const wished = (wish: string) => answerOf(t, guest, { wish });
  const members = (count: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1])));
  // 1,000 characters of three bytes each; a value for 16 bytes of the limit; members of a large object count eight times.
  t.is(await wished('"€"'), 'limit_exceeded');
  t.is(await wished(`[${Array(110).fill(0)}]`), 'done');
  t.is(await wished(`[${Array(140).fill(0)}]`), 'limit_exceeded');
  t.is(await wished(members(100)), 'done');
  t.is(await wished(members(105)), 'limit_exceeded');
  t.is(await wished('{"a":{"__proto__":{"admin":true}}}'), 'bad_json');
  t.is(await wished(`${'['.repeat(70)}${']'.repeat(70)}`), 'bad_json');
  t.is(host.wishes.length, 2);
  const outcomes = await answerOf(t, guest, 'many');
  t.true(Array.isArray(outcomes) && outcomes.includes('fulfilled') && outcomes.includes('limit_exceeded'));
  // Of two seconds, should one end meanwhile.
  t.true(host.wishes.length <= 2 + 60);
  t.like(await guest.call('hook:on_request', 'never', 50), { fault: 'timeout' });
  t.like(await ask(guest, 'bigint'), { fault: 'threw' });
  t.like(await ask(guest, '__proto__'), { fault: 'threw' });
  t.like(await ask(guest, 'deep'), { fault: 'threw' });
  t.like(await ask(guest, 'proxy'), { fault: 'threw' });
  t.is(await answerOf(t, guest), 'fine');
  t.deepEqual(
    [...new Set(host.limits.map(({ limit }) => limit))].sort(),
    ['callsPerSec', 'messageBytes', 'timeoutMs'].sort(),
  );
  t.is(await Promise.race([guest.ended, Promise.resolve('alive')]), 'alive');
  await guest.stop(0);
});

test.serial('a plugin that is at fault › ends alone, and its siblings go on', async (t) => {
  const sibling = await loaded(t, program('sibling', doing('return "here";')));
  const cases: readonly [name: string, cause: string, body: string, limits?: Partial<PluginLimits>][] = [
    [
      'heap',
      'memory',
      'const all = []; for (;;) all.push({ a: [1, 2, 3] });',
      { memoryMb: 8, cpuMsPerCall: 10_000 },
    ],
    ['loop', 'cpu', 'for (;;);', { cpuMsPerCall: 10 }],
    ['microtasks', 'cpu', '(async () => { for (;;) await null; })();', { cpuMsPerCall: 10 }],
    ['regexp', 'cpu', '/^(a+)+$/.test("a".repeat(60) + "b");', { cpuMsPerCall: 10 }],
    [
      'flood',
      'flood',
      'for (let i = 0; i < 1e6; i++) c.messageBus.publish("a", i).catch(() => {});',
      { callsPerSec: 10, cpuMsPerCall: 5_000 },
    ],
    ['questions', 'flood', 'for (;;) crypto.randomUUID();', { cpuMsPerCall: 5_000 }],
    [
      'lines',
      'flood',
      'for (let i = 0; i < 1e6; i++) console.log(i);',
      { callsPerSec: 10, cpuMsPerCall: 5_000 },
    ],
  ];
  for (const [name, cause, body, limits] of cases) {
    const host = createHost();
    const guest = await loaded(t, program(name, doing(body), limits), host);
    // A call may have its answer before what it leaves behind is ended: five such ends are the plugin's.
    for (let tries = 0; tries < 6; tries++) await ask(guest);
    t.like(await guest.ended, { cause, culprit: true }, name);
    t.like(await ask(guest), { fault: 'gone' }, name);
    t.true(host.wishes.length < 50, name);
    t.is(await answerOf(t, sibling), 'here', name);
  }
  t.is(await Promise.race([shared.exited, Promise.resolve('alive')]), 'alive');
  await sibling.stop(0);
});

test('a plugin › that changes what the language is made of changes it for itself', async (t) => {
  const code = `
    Object.prototype.toJSON = function () { return 'mine'; };
    JSON.parse = JSON.stringify = () => { throw new Error('mine'); };
    Promise.prototype.then = function () { throw new Error('mine'); };
    Array.prototype.map = Array.prototype.push = () => { throw new Error('mine'); };
    Map.prototype.get = Function.prototype.call = Function.prototype.apply = () => 'mine';
    Object.prototype.code = 'mine'; Object.prototype.guest = 1;
    globalThis.setTimeout = undefined;
    export const initialize = () => {};`;
  const loadedOrNot = await shared.load(program('pollute', code), createHost());
  const sibling = await loaded(
    t,
    program('neighbour', doing('return { a: [1], sum: [1, 2].map((n) => n + 1) };')),
  );
  t.deepEqual(await answerOf(t, sibling), { a: [1], sum: [2, 3] });
  t.true({} instanceof Object && !('guest' in {}));
  if (loadedOrNot.ok) await loadedOrNot.guest.stop(0);
  await sibling.stop(0);
});

test('stop › lets calls end, calls shutdown, and answers what is left with gone', async (t) => {
  const host = createHost();
  const code = `
    export const initialize = (c) => { context = c; c.hooks.register('on_request', (input) => input === 'never' ? new Promise(() => {}) : c.state.get('slow')); };
    let context;
    export const shutdown = async () => { await context.state.set('last', 'words'); };`;
  const release = Promise.withResolvers<void>();
  const guest = await loaded(t, program('stops', code), {
    ...host,
    async wish(wish) {
      if (JSON.stringify(wish.data).includes('slow')) await release.promise;
      return host.wish(wish);
    },
  });
  const open = ask(guest);
  const stopped = guest.stop(10_000);
  t.like(await ask(guest), { fault: 'gone' });
  release.resolve();
  t.like(await open, { ok: true });
  await stopped;
  t.is(await guest.ended, null);
  t.deepEqual(host.wishes.at(-1), { operation: 'state.set', data: { key: 'last', value: 'words' } });

  const stubborn = await loaded(t, program('stubborn', code));
  const never = ask(stubborn, 'never');
  await stubborn.stop(10);
  t.like(await never, { fault: 'gone' });
});

test.serial(
  'a process › that its plugin kills says whose fault it may be, and answers every call',
  async (t) => {
    const cases = [
      ['split', '"a".repeat(2e8).split("");'],
      ['bigint', 'let n = 3n ** 3000000n; for (;;) n = n * n;'],
    ] as const;
    for (const [name, body] of cases) {
      // One of the two as plugins of low trust run.
      const doomed = await open(name === 'bigint');
      const [idle, guilty] = await Promise.all([
        loaded(t, program('idle', doing('return 1;')), createHost(), doomed),
        loaded(t, program(name, doing(body)), createHost(), doomed),
      ]);
      t.is(await answerOf(t, idle), 1);
      t.like(await ask(guilty), { fault: 'gone' });
      const exit = await doomed.exited;
      t.true(['cpu', 'memory', 'crash'].includes(exit.cause), exit.cause);
      t.deepEqual([...new Set([...exit.culprits, ...exit.running])], [name], exit.reason);
      t.like(await idle.ended, { cause: 'sibling', culprit: false });
      t.like(await ask(idle), { fault: 'gone' });
      t.is(doomed.count(), 0);
    }
  },
);
