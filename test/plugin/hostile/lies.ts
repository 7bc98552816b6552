import { type Fate, type HostilePlugin, inHook, lives, probe, row } from './hostile-plugin.ts';

/** It ruins what it stands on: it alone has the harm. */
const ownHarm: Fate = {
  end: 'either',
  answer: ['ok', 'threw', 'timeout', 'cpu', 'no_handler', 'gone', 'too_large', 'unusable'],
  causes: ['crash', 'initialize', 'hang', 'cpu', 'memory', 'flood'],
};
/** The answer is none that the hub can use: the call failed, and the message is as it was. */
const rubbish: Fate = lives('ok', 'threw', 'too_large', 'unusable');

const answers: readonly (readonly [name: string, what: string, expression: string])[] = [
  [
    'nan',
    'NaN, and numbers that JSON has not',
    '{ change: { payload: { a: NaN, b: Infinity, c: -0 }, priority: NaN } }',
  ],
  [
    'cycle',
    'an object that holds itself',
    '(() => { const o = { change: {} }; o.change.payload = o; return o; })()',
  ],
  [
    'throwing-getter',
    'getters that throw',
    '{ get change() { throw new Error("no"); }, get refuse() { throw 1; } }',
  ],
  ['function', 'a function', '() => ({ refuse: "x" })'],
  ['symbol', 'a symbol', 'Symbol.for("x")'],
  ['bigint', 'a BigInt', '{ change: { payload: 1n } }'],
  ['number', 'a number', '42'],
  ['text', 'a text', '"{\\"refuse\\":\\"x\\"}"'],
  ['array', 'an array', '[{ refuse: "x" }, { change: {} }]'],
  ['null', 'null', 'null'],
  ['date', 'a date that is none', '{ change: { payload: new Date(NaN) } }'],
  ['both', 'a change and a refusal', '{ change: { payload: 1 }, refuse: 5 }'],
  ['change-number', 'a change that is a number', '{ change: 5 }'],
  ['change-array', 'a change that is an array', '{ change: [1, 2] }'],
  [
    'change-unknown',
    'a change of what may not be changed',
    '{ change: { topic: "stolen.topic", subject: "admin", messageId: "x", key: 5, ttlMs: -1 } }',
  ],
  ['priority', 'a priority that there is not', '{ change: { priority: "__proto__" } }'],
  [
    'headers',
    'headers that are none',
    '{ change: { headers: { "a\\r\\nb": "c\\r\\nd", __proto__: null, x: 5 } } }',
  ],
  ['refuse-types', 'a refusal that is no text', '{ refuse: { a: 1 }, details: () => 1 }'],
  [
    'refuse-text',
    'a refusal with line ends, zeros, half characters and escapes of terminals',
    '{ refuse: "a\\r\\nb\\u0000\\ud800\\u001b[2J\\u202e", details: { "\\ud800": "\\u0000" } }',
  ],
  [
    'proto',
    '__proto__, constructor and prototype as keys',
    '{ change: { payload: JSON.parse(\'{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}\') } }',
  ],
  [
    'proto-outer',
    '__proto__ beside the change',
    'JSON.parse(\'{"__proto__":{"refuse":"x"},"change":{"__proto__":{"payload":1}}}\')',
  ],
  [
    'deep',
    'an answer 5,000 deep',
    '(() => { let o = 1; for (let i = 0; i < 5000; i++) o = [o]; return { change: { payload: o } }; })()',
  ],
  [
    'sparse',
    'an array with holes, and a length of 4,294,967,295',
    '(() => { const a = []; a[4294967294] = 1; return { change: { payload: a.length } }; })()',
  ],
];

/** What is done to globals before anything else of the guest runs. */
const sabotage: readonly (readonly [name: string, what: string, before: string])[] = [
  [
    'object',
    'Object.prototype',
    'Object.prototype.polluted = 1; Object.prototype.refuse = "polluted"; Object.prototype.ok = true; Object.prototype.toJSON = function () { return { refuse: "forged" }; };',
  ],
  [
    'object-setters',
    'setters on Object.prototype for what frames hold',
    'for (const k of ["id", "ok", "value", "plugin", "name", "type", "t", "fault", "message", "target", "operation", "data", "then", "resolve", "reject", "handler"]) Object.defineProperty(Object.prototype, k, { set(v) { globalThis.caught = [k, v, this]; }, get() { return "forged"; }, configurable: true });',
  ],
  [
    'array',
    'Array.prototype',
    'for (const k of ["push", "pop", "shift", "map", "filter", "slice", "join", "forEach", "splice", "concat", "indexOf", "includes"]) Array.prototype[k] = function () { globalThis.caught = this; return []; }; Object.defineProperty(Array.prototype, 0, { set(v) { globalThis.caught = v; }, get() { return "forged"; } }); Array.prototype[Symbol.iterator] = function* () {};',
  ],
  [
    'promise',
    'Promise',
    'Promise.prototype.then = function (ok) { globalThis.caught = ok; return this; }; Promise.resolve = Promise.reject = Promise.all = () => { throw new Error("no"); }; globalThis.Promise = function () {};',
  ],
  [
    'json',
    'JSON',
    'const real = JSON.stringify; JSON.stringify = (v) => real({ ...v, plugin: "witness", name: "witness", id: 1, ok: true, refuse: "forged" }); JSON.parse = () => ({ id: 1, ok: true, target: "hook:before_publish", type: "call" }); globalThis.JSON = { stringify: JSON.stringify, parse: JSON.parse };',
  ],
  [
    'text-json',
    'toJSON of texts and numbers',
    'String.prototype.toJSON = Number.prototype.toJSON = Boolean.prototype.toJSON = () => ({ toString: 1, valueOf: 1 });',
  ],
  [
    'function',
    'Function.prototype',
    'for (const k of ["call", "apply", "bind"]) Function.prototype[k] = function (...a) { globalThis.caught = [this, a]; return undefined; }; Function.prototype[Symbol.hasInstance]; Object.defineProperty(Function.prototype, "then", { get() { globalThis.caught = this; return undefined; } });',
  ],
  [
    'map',
    'Map, Set and WeakMap',
    'for (const C of [Map, Set, WeakMap, WeakSet]) for (const k of ["get", "set", "has", "add", "delete", "forEach", "values", "entries", "keys"]) if (C.prototype[k]) C.prototype[k] = function (...a) { globalThis.caught = [this, a]; return globalThis.caught; }; Object.defineProperty(Map.prototype, "size", { get: () => -1 });',
  ],
  [
    'reflect',
    'Object, Reflect, Symbol and Error',
    'for (const o of [Object, Reflect]) for (const k of Object.getOwnPropertyNames(o)) { try { o[k] = function () { return {}; }; } catch {} } globalThis.Error = globalThis.TypeError = function () { return { stack: "forged" }; };',
  ],
  [
    'globals',
    'all globals, deleted',
    'for (const k of Object.getOwnPropertyNames(globalThis)) { try { delete globalThis[k]; } catch {} }',
  ],
  [
    'frozen',
    'all globals, frozen',
    'for (const k of Object.getOwnPropertyNames(globalThis)) { try { Object.freeze(globalThis[k]); Object.freeze(globalThis[k].prototype); } catch {} } try { Object.freeze(globalThis); } catch {}',
  ],
  [
    'text',
    'String, Number, Math and RegExp',
    'for (const P of [String.prototype, Number.prototype, RegExp.prototype, Math]) for (const k of Object.getOwnPropertyNames(P)) { try { P[k] = () => "forged"; } catch {} } RegExp.prototype.exec = () => null; Number.isInteger = Number.isFinite = () => true;',
  ],
  [
    'timers',
    'the timers',
    'globalThis.setTimeout = globalThis.setInterval = globalThis.clearTimeout = globalThis.clearInterval = globalThis.queueMicrotask = () => { throw new Error("no"); }; globalThis.console = new Proxy({}, { get() { throw new Error("no"); } });',
  ],
];

export const lies: readonly HostilePlugin[] = [
  ...answers.map(([name, what, expression]) =>
    row(`answer-${name}`, `an answer that is ${what}`, inHook(`return ${expression};`), rubbish),
  ),
  ...sabotage.map(([name, what, before]) =>
    row(
      `globals-${name}`,
      `replaces ${what}`,
      `${before}\n${inHook('return undefined;')}`,
      ownHarm,
      name === 'promise' ? { long: true } : {},
    ),
  ),
  ...sabotage.map(([name, what, before]) =>
    row(
      `globals-late-${name}`,
      `replaces ${what} while it is asked`,
      inHook(
        `${before} context.log.info("done"); context.messageBus.publish("flood.a", 1); return undefined;`,
      ),
      ownHarm,
    ),
  ),
  row(
    'throws-odd',
    'what is no error, thrown',
    inHook(
      'const all = [null, undefined, Symbol("s"), 1n, () => 1, new Proxy({}, { get() { throw 1; } }), Promise.reject(1), { toString() { throw 1; } }, Object.create(null), { code: {}, message: 5 }]; throw all[Math.floor(Date.now() / 7) % all.length];',
    ),
    lives('threw'),
  ),
  row(
    'throws-null-prototype',
    'an error without a prototype, with a cause that is itself',
    inHook('const e = new Error("x"); e.cause = e; Object.setPrototypeOf(e, null); throw e;'),
    lives('threw'),
  ),
  row('throws-symbol', 'a symbol, thrown', inHook('throw Symbol("s");'), lives('threw')),
  row(
    'throws-proxy',
    'a proxy that throws when it is looked at, thrown',
    inHook(
      'throw new Proxy(function () {}, { get() { throw 1; }, getPrototypeOf() { throw 2; }, has() { throw 3; } });',
    ),
    lives('threw'),
  ),
  row(
    'state-proto',
    'state values and keys of __proto__ and constructor',
    probe(`
    await attemptLater('value', async () => { await context.state.set(context.state.prefix + 'v', JSON.parse('{"__proto__":{"polluted":1}}')); const back = await context.state.get(context.state.prefix + 'v'); return ({}).polluted ?? Object.getPrototypeOf(back.value).polluted; });
    for (const key of ['__proto__', 'constructor', 'prototype', 'toString']) await attemptLater(key, async () => { await context.state.set(context.state.prefix + key, { a: 1 }); return ({}).polluted; });`),
    lives('ok'),
  ),
  row(
    'publish-proto',
    'payloads and options of __proto__',
    probe(`
    await attemptLater('payload', async () => { await context.messageBus.publish('flood.a', JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')); return ({}).polluted; });
    await attemptLater('options', async () => { await context.messageBus.publish('flood.a', 1, JSON.parse('{"__proto__":{"polluted":1},"headers":{"__proto__":"x"}}')); return ({}).polluted; });`),
    lives('ok'),
    { permissions: { publish: ['flood.>'] } },
  ),
  row(
    'hooks-odd',
    'handlers that are none, for hooks that there are not',
    probe(`
    for (const name of ['on_request', 'before_state_change', '__proto__', 'constructor', 'toString', '', 'x'.repeat(1e6), 5, null, undefined, {}, Symbol('s'), ['before_publish'], { toString: () => 'on_request' }]) attempt('registered ' + typeof name, () => { context.hooks.register(name, () => ({ refuse: 'x' })); return true; });
    for (const handler of [undefined, null, 5, 'x', {}, Symbol('s')]) attempt('handler', () => { context.hooks.register('before_publish', handler); return true; });
    attempt('resolver', () => { context.resolvers.register('stolen', () => ({ value: 1 })); return true; });
    attempt('resolver', () => { context.resolvers.register('__proto__', () => ({ value: 1 })); return true; });`),
    lives('ok'),
  ),
  row(
    'hooks-early',
    'hooks and resolvers that its manifest does not name',
    `export const initialize = (context) => {
  let got = 0;
  for (const name of ['on_request', 'before_state_change', 'after_publish', '__proto__', 'constructor']) { try { context.hooks.register(name, () => ({ refuse: 'x' })); got++; } catch {} }
  try { context.resolvers.register('stolen', () => ({ value: 1 })); got++; } catch {}
  context.hooks.register('before_publish', () => ({ change: { payload: { found: [] } } }));
};`,
    ownHarm,
  ),
  row(
    'callbacks-odd',
    'handlers of messages, changes and timers that are none',
    probe(`
    for (const f of [undefined, null, 5, 'x', {}, Symbol('s'), new Proxy({}, {})]) {
      await attemptLater('subscribe', async () => { await context.messageBus.subscribe('attack.x', f); return 'subscribed ' + typeof f; });
      await attemptLater('watch', async () => { await context.state.watch(context.state.prefix + '*', f); return 'watched ' + typeof f; });
      attempt('timeout', () => { const stop = context.timers.after(10, f); return typeof f !== 'function' && stop; });
    }`),
    lives('ok'),
  ),
  row(
    'context-frozen',
    'its context, changed so that others would see it',
    probe(`
    attempt('name', () => { context.name = 'witness'; return context.name === 'witness'; });
    attempt('prefix', () => { context.state.prefix = 'plugin/witness/'; return false; });
    await attemptLater('state', async () => { const entry = await context.state.get('plugin/witness/secret'); return entry && entry.value; });
    attempt('log', () => { context.log.info = () => {}; globalThis.marker = 'hostile'; return false; });`),
    lives('ok'),
  ),
];
