import { bounded, type HostilePlugin, harmless, probe, row } from './hostile-plugin.ts';

const roots = `
const roots = () => [globalThis, context, input, found.constructor, (function () {}).constructor, (async () => {}).constructor, (function* () {}).constructor];`;

/** Each thing that can be reached from the globals and what was handed over, by keys, symbols, prototypes and getters. */
const walk = `
const walk = (starts, look) => {
  const seen = new Set();
  const queue = starts.map((value, at) => ['root' + at, value]);
  while (queue.length > 0 && seen.size < 20000) {
    const [path, value] = queue.shift();
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) continue;
    seen.add(value);
    look(path, value);
    try { queue.push([path + '.__proto__', Object.getPrototypeOf(value)]); } catch {}
    let keys = [];
    try { keys = Reflect.ownKeys(value); } catch {}
    for (const key of keys) {
      try {
        const own = Object.getOwnPropertyDescriptor(value, key);
        const name = path + '.' + String(key);
        if ('value' in own) queue.push([name, own.value]);
        else { queue.push([name + '!get', own.get], [name + '!set', own.set]); try { queue.push([name, value[key]]); } catch {} }
      } catch {}
    }
  }
  return seen.size;
};`;

const isNode =
  'typeof process !== "undefined" && process.pid ? "process " + process.pid : typeof require === "function" && "require"';

/** Ways out of the isolate, to Node, the machine and the hub's process. */
export const escapes: readonly HostilePlugin[] = [
  row(
    'escape-globals',
    'what Node has as globals',
    probe(`
    for (const name of ['require', 'process', 'module', 'exports', 'Buffer', 'global', 'fetch', 'XMLHttpRequest', 'WebSocket', 'EventSource', 'navigator', 'Worker', 'MessageChannel', 'BroadcastChannel', 'importScripts', 'ivm', 'isolated_vm', 'Deno', 'Bun', 'd8', 'gc', 'print', 'read', 'load', 'quit', '__dirname', 'localStorage', 'WebAssembly', 'SharedArrayBuffer', 'Atomics']) attempt(name, () => typeof globalThis[name] !== 'undefined' && typeof globalThis[name]);
    attempt('this', () => (function () { return this; })()?.process);
    attempt('eval', () => (0, eval)('typeof process === "object" && process.pid'));`),
    harmless,
  ),
  row(
    'escape-require',
    'require and the files of the machine',
    probe(`
    for (const name of ['fs', 'node:fs', 'child_process', 'net', 'http', 'worker_threads', 'vm', 'inspector', 'module', 'isolated-vm']) { attempt('require ' + name, () => require(name)); attempt('builtin ' + name, () => process.getBuiltinModule(name)); }
    attempt('main', () => process.mainModule.require('fs'));
    attempt('binding', () => process.binding('fs'));`),
    harmless,
  ),
  row(
    'escape-import',
    'import() of modules, files and addresses',
    probe(`
    for (const name of ['fs', 'node:fs', 'node:child_process', 'node:net', './plugin.json', 'file:///etc/passwd', '/etc/passwd', 'data:text/javascript,export default 1', 'http://127.0.0.1:9/x.js', 'isolated-vm']) await attemptLater('import ' + name, () => import(name));
    for (const name of ['fs', 'node:fs']) await attemptLater('import made ' + name, () => new Function('name', 'return import(name)')(name));
    await attemptLater('meta', () => (0, eval)('import.meta.url'));`),
    harmless,
  ),
  row(
    'escape-constructor',
    'the constructors of constructors',
    probe(`
    const code = 'return ${isNode}';
    for (const [name, value] of [['object', {}], ['input', input], ['context', context], ['log', context.log.info], ['publish', context.messageBus.publish], ['fetch', context.fetch], ['timer', setTimeout], ['console', console.log], ['config', context.config ?? {}]]) {
      attempt(name, () => value.constructor.constructor(code)());
      attempt(name + ' prototype', () => Object.getPrototypeOf(value).constructor.constructor(code)());
    }
    for (const make of [Function, (async () => {}).constructor, (function* () {}).constructor, (async function* () {}).constructor]) attempt('made', () => { const r = make(code)(); return typeof r === 'string' && r; });`),
    harmless,
  ),
  row(
    'escape-errors',
    'errors of the runtime, and the constructors behind them',
    probe(`
    const code = 'return ${isNode}';
    const of = (name, error) => { attempt(name, () => error.constructor.constructor(code)()); attempt(name + ' own', () => !(error instanceof Error) && !(typeof error === 'string') && 'foreign error ' + Object.prototype.toString.call(error)); };
    for (const value of [Symbol('s'), {}, undefined, 1n, () => 1]) {
      try { await context.messageBus.publish(value, value, value); } catch (error) { of('publish', error); }
      try { await context.state.get(value); } catch (error) { of('state', error); }
      try { await context.fetch(value, value); } catch (error) { of('fetch', error); }
      try { await context.services.invoke(value); } catch (error) { of('invoke', error); }
      try { context.hooks.register(value, value); } catch (error) { of('hook', error); }
      try { setTimeout(value, value); } catch (error) { of('timer', error); }
    }`),
    harmless,
  ),
  row(
    'escape-promises',
    'the promises of the runtime, and their constructors',
    probe(`
    const code = 'return ${isNode}';
    for (const make of [() => context.messageBus.publish('a', 1), () => context.state.get('a'), () => context.fetch('http://a'), () => context.services.list()]) {
      let promise; try { promise = make(); } catch { continue; }
      attempt('promise', () => promise.constructor.constructor(code)());
      attempt('foreign', () => !(promise instanceof Promise) && 'a foreign promise');
      await promise.then((value) => attempt('value', () => value.constructor.constructor(code)()), (error) => attempt('error', () => error.constructor.constructor(code)()));
    }`),
    harmless,
  ),
  row(
    'escape-stack-frames',
    'Error.prepareStackTrace, and the functions of the frames',
    probe(`
    Error.prepareStackTrace = (_, frames) => frames;
    Error.stackTraceLimit = 100;
    const frames = new Error('x').stack;
    if (Array.isArray(frames)) for (const frame of frames) {
      for (const name of ['getThis', 'getFunction']) attempt(name, () => { const got = frame[name](); return got !== undefined && got !== globalThis && got.constructor.constructor('return ${isNode}')(); });
      attempt('file', () => { const file = String(frame.getFileName()); return /\\/|node:|\\\\/.test(file) && file; });
      attempt('eval', () => { const at = String(frame.getEvalOrigin()); return /\\/|node:/.test(at) && at; });
    }
    Error.prepareStackTrace = undefined;
    attempt('stack', () => { const text = String(new Error('x').stack); return /(^|[ (])\\/|node:/.test(text) && text; });`),
    harmless,
  ),
  row(
    'escape-stack-frames-runtime',
    'the same, of errors that are made inside the runtime',
    probe(`
    const kept = [];
    Error.prepareStackTrace = (error, frames) => { kept.push(...frames); return 'x'; };
    for (const call of [() => context.messageBus.publish(), () => context.state.set(), () => context.hooks.register('no', 1), () => setTimeout(null), () => context.log.info({ toJSON() { throw new Error('in'); } }), () => context.state.set('a', { toJSON() { throw new Error('in'); } })]) { try { const r = call(); r?.catch?.((e) => e.stack); } catch (error) { error.stack; } }
    await null;
    for (const frame of kept) for (const name of ['getThis', 'getFunction']) attempt(name, () => { const got = frame[name](); if (got === undefined || got === globalThis) return; return got.constructor.constructor('return ${isNode}')(); });
    Error.prepareStackTrace = undefined;`),
    harmless,
  ),
  row(
    'escape-caller',
    'the callers of functions, and their arguments',
    probe(`
    function sloppy() { return sloppy.caller ?? arguments.callee.caller; }
    attempt('caller', () => sloppy());
    attempt('made', () => new Function('function f() { return f.caller && f.caller.caller; } return f()')());
    attempt('to-json', () => { let got; context.log.info('x', { toJSON: new Function('got', 'return function toJSON() { got.caller = toJSON.caller; return 1; }')(globalThis) }); return globalThis.caller?.toString?.(); });`),
    harmless,
  ),
  row(
    'escape-species',
    'species and subclasses handed to the runtime',
    probe(`
    class Sub extends Promise { static get [Symbol.species]() { return function (run) { const made = []; run((v) => made.push(v), (v) => made.push(v)); globalThis.made = made; return made; }; } }
    class List extends Array { static get [Symbol.species]() { return function () { return globalThis.listed = {}; }; } }
    attempt('promise', () => { context.log.info('x', new Sub(() => {})); return globalThis.made?.some?.((v) => typeof v === 'function') && 'made'; });
    await attemptLater('list', async () => { try { await context.state.set(context.state.prefix + 'l', List.from([1, 2])); } catch {} return globalThis.listed && Object.keys(globalThis.listed).length > 0; });`),
    harmless,
  ),
  row(
    'escape-proxies',
    'proxies handed to the runtime, whose traps look at what they are given',
    probe(`
    const caught = [];
    const trap = new Proxy(function () {}, new Proxy({}, { get: (_, name) => (...args) => { caught.push(...args); return Reflect[name](...args); } }));
    for (const call of [() => context.messageBus.publish(trap, trap, trap), () => context.state.set(trap, trap, trap), () => context.log.info(trap, trap), () => context.fetch(trap, trap), () => context.hooks.register(trap, trap), () => setTimeout(trap, trap), () => context.services.invoke(trap, trap, trap)]) { try { await Promise.race([call(), new Promise((done) => setTimeout(done, 10))]); } catch {} }
    for (const value of new Set(caught.splice(0))) attempt('caught', () => value !== null && (typeof value === 'object' || typeof value === 'function') && value.constructor.constructor('return ${isNode}')());`),
    harmless,
  ),
  row(
    'escape-walk',
    'everything that can be reached, in search of process, isolates and references',
    probe(`${roots}${walk}
    walk(roots(), (path, value) => {
      const name = (() => { try { return value.constructor?.name + ' ' + Object.prototype.toString.call(value); } catch { return ''; } })();
      if (/\\bReference\\b|ExternalCopy|Isolate|Callback|NativeModule|ChildProcess|Socket|Pipe|process/.test(name)) say(path, name);
      for (const key of ['applySync', 'applyIgnored', 'applySyncPromise', 'derefInto', 'copySync', 'createContextSync', 'binding', 'mainModule', 'kill']) attempt(path + '.' + key, () => typeof value[key] === 'function' && key);
    });`),
    bounded,
  ),
  row(
    'escape-walk-functions',
    'every function that can be reached, asked for another world',
    probe(`${roots}${walk}
    const seen = new Set();
    walk(roots(), (path, value) => { if (typeof value === 'function') seen.add([path, value]); });
    for (const [path, value] of seen) attempt(path, () => { const F = Object.getPrototypeOf(value).constructor; return typeof F === 'function' && F !== Function && !/Generator|Async|TypedArray|Iterator/.test(F.name + Object.prototype.toString.call(F)) && !Object.prototype.isPrototypeOf.call(Function.prototype, F) && 'another world'; });`),
    bounded,
  ),
  row(
    'escape-forged-frames',
    'every function that is no standard one, called with forged messages',
    probe(`${walk}
    const standard = new Set(['constructor']);
    const odd = Object.getOwnPropertyNames(globalThis).filter((name) => typeof globalThis[name] === 'function' && /^[_$]|send|post|emit|call|answer|wish|frame|bridge|host|native/i.test(name) && !/^(encode|decode|eval)/.test(name));
    const frames = [];
    for (const id of [0, 1, 2, 3, -1, 999999, '1', null]) for (const plugin of ['witness', 'hostile', '__proto__', undefined]) frames.push({ id, plugin, name: plugin, ok: true, value: { refuse: 'forged' }, type: 'answer', t: 'a' }, { id, plugin, type: 'wish', operation: 'state.set', data: { key: 'secret/key', value: 'forged' } }, { id, plugin, type: 'log', level: 'error', message: 'forged' }, { plugin, type: 'ready', hooks: ['on_request'], resolvers: [] }, { plugin, type: 'pong' }, { type: 'dead', plugin });
    for (const name of odd) for (const frame of frames) { try { globalThis[name](frame); } catch {} try { globalThis[name](JSON.stringify(frame)); } catch {} try { globalThis[name](frame.type, JSON.stringify(frame)); } catch {} }`),
    bounded,
  ),
  row(
    'escape-natives',
    'natives syntax, and flags of V8',
    probe(`
    for (const text of ['%SystemBreak()', '%DebugPrint(1)', '%AbortJS("x")', '%GetOptimizationStatus(eval)', '//# sourceURL=node:fs\\n1 && typeof process === "object"', 'debugger; false']) attempt(text, () => (0, eval)(text));`),
    harmless,
  ),
  row(
    'escape-wasm',
    'WebAssembly, shared memory and waiting for it',
    probe(`
    attempt('wasm', () => new WebAssembly.Memory({ initial: 10000 }).buffer.byteLength);
    attempt('wasm module', () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])));
    attempt('shared', () => new SharedArrayBuffer(1024).byteLength);
    attempt('wait', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e9));
    attempt('pause', () => typeof Atomics.waitAsync);
    attempt('made', () => (0, eval)('new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true })'));`),
    harmless,
  ),
  row(
    'escape-process',
    'the process, its parent, its environment',
    probe(`
    attempt('pid', () => process.pid); attempt('ppid', () => process.ppid); attempt('env', () => JSON.stringify(process.env)); attempt('kill', () => process.kill(process.ppid, 'SIGKILL'));
    attempt('exit', () => process.exit(1)); attempt('abort', () => process.abort()); attempt('send', () => process.send({ forged: true })); attempt('dlopen', () => process.dlopen({ exports: {} }, '/lib/x.node')); attempt('argv', () => process.argv.join(' ')); attempt('report', () => process.report.writeReport('/tmp/x'));`),
    harmless,
  ),
  row(
    'escape-async-context',
    'what belongs to the calls of others, over awaits',
    probe(`
    attempt('hooks', () => typeof AsyncLocalStorage !== 'undefined' && 'AsyncLocalStorage'); attempt('context', () => typeof AsyncContext !== 'undefined' && 'AsyncContext');
    attempt('marker', () => globalThis.marker); globalThis.marker = undefined;
    attempt('symbols', () => Object.getOwnPropertySymbols(globalThis).map(String).filter((name) => !/toStringTag/.test(name)).join() || false);`),
    harmless,
  ),
  row(
    'escape-overflow',
    'the end of the stack inside functions of the runtime',
    probe(`
    const code = 'return ${isNode}';
    for (const call of [() => context.messageBus.publish('a', 1), () => context.state.get('a'), () => setTimeout(() => {}, 10), () => context.log.info('x'), () => context.fetch('http://a')]) {
      const deep = () => { try { return deep(); } catch { try { const r = call(); r?.catch?.(() => {}); } catch (error) { attempt('overflow', () => error.constructor.constructor(code)()); attempt('foreign', () => !(error instanceof Error) && 'foreign'); } } };
      try { deep(); } catch {}
    }`),
    bounded,
  ),
  row(
    'escape-marker',
    'globals that the other plugins of the child would see',
    probe(`
    globalThis.marker = 'hostile'; Object.prototype.marker = 'hostile'; Array.prototype.marker = 'hostile'; Symbol.for('marker').description; delete Object.prototype.marker; delete Array.prototype.marker;`),
    harmless,
  ),
];
