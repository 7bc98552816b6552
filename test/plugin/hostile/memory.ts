import {
  bounded,
  type HostilePlugin,
  harmless,
  inHook,
  inInitialize,
  inTimer,
  lives,
  outOfMemory,
  probe,
  row,
} from './hostile-plugin.ts';

/** So much time that it is the memory that ends. */
const patient = { memoryMb: 16, cpuMsPerCall: 3_000, timeoutMs: 8_000 };
const brief = { memoryMb: 16, cpuMsPerCall: 150, timeoutMs: 3_000 };

const rows: readonly HostilePlugin[] = [
  row('heap-split', 'a text split into 200 million', inHook('"a".repeat(2e8).split("");'), outOfMemory),
  row('heap-fill', 'an array of a thousand million', inHook('Array(1e9).fill(0);'), bounded),
  row(
    'heap-push',
    'an array that grows',
    inHook('const list = []; for (;;) list.push({ at: list.length });'),
    outOfMemory,
  ),
  row(
    'heap-spread',
    'arrays of arrays spread',
    inHook('let list = [1]; for (;;) list = [...list, ...list];'),
    bounded,
  ),
  row(
    'heap-concat',
    'concat over a length of 2^53 - 1',
    inHook('[].concat({ length: Number.MAX_SAFE_INTEGER, [Symbol.isConcatSpreadable]: true });'),
    bounded,
  ),
  row('heap-from', 'Array.from of a thousand million', inHook('Array.from({ length: 1e9 });'), bounded),
  row(
    'heap-map',
    'a Map and a Set that grow',
    inHook('const m = new Map(), s = new Set(); for (let i = 0; ; i++) { m.set(i, {}); s.add({}); }'),
    bounded,
  ),
  row(
    'heap-keys',
    'an object of ever more keys',
    inHook('const o = {}; for (let i = 0; ; i++) o["k" + i] = "v" + i;'),
    outOfMemory,
  ),
  row(
    'heap-symbols',
    'symbols without an end',
    inHook('const l = []; for (let i = 0; ; i++) l.push(Symbol.for("s" + i));'),
    outOfMemory,
  ),
  row(
    'heap-closures',
    'closures that hold each other',
    inHook('let f = () => 1; for (;;) { const g = f; const pad = new Array(100).fill(g); f = () => pad; }'),
    outOfMemory,
  ),
  row(
    'heap-stacks',
    'errors with endless stacks, all kept',
    inHook(
      'Error.stackTraceLimit = Infinity; const l = []; const f = (n) => { if (n === 0) { l.push(new Error("x").stack); return; } f(n - 1); }; for (;;) f(3000);',
    ),
    outOfMemory,
  ),
  row(
    'heap-weak',
    'weak references and a registry of what was freed',
    inHook(
      'const l = []; const r = new FinalizationRegistry(() => l.push(new Array(1000))); for (;;) { const o = {}; r.register(o, o2 => 1); l.push(new WeakRef(o)); }',
    ),
    outOfMemory,
  ),
  row(
    'heap-promises',
    'promises that nobody settles',
    inHook('const l = []; for (;;) l.push(new Promise(() => {}).then(() => 1));'),
    outOfMemory,
  ),
  row(
    'heap-promise-all',
    'Promise.all of an endless generator',
    inHook('return Promise.all((function* () { for (;;) yield 1; })());'),
    outOfMemory,
  ),
  row(
    'heap-generators',
    'generators that wait',
    inHook(
      'const l = []; for (;;) { const g = (function* () { yield new Array(100); })(); g.next(); l.push(g); }',
    ),
    outOfMemory,
  ),
  row(
    'heap-json',
    'a JSON text of a hundred million',
    inHook('JSON.parse("[" + "[],".repeat(3e7) + "0]");'),
    outOfMemory,
  ),
  row(
    'heap-regexp',
    'a regular expression of a million groups',
    inHook('new RegExp("(a)".repeat(1e6)).exec("a".repeat(1e6));'),
    bounded,
  ),
  row(
    'heap-functions',
    'functions made from text',
    inHook(
      'const l = []; for (let i = 0; ; i++) l.push(new Function("return [" + "1,".repeat(1000) + i + "]"));',
    ),
    bounded,
  ),
  row(
    'heap-timer',
    'memory filled in a timer',
    inTimer('const l = []; for (;;) l.push(new Array(1000).fill(1));'),
    { ...outOfMemory, answer: ['ok', 'gone'] },
    { by: 'timer' },
  ),
  row(
    'heap-initialize',
    'memory filled in initialize',
    inInitialize('const l = []; for (;;) l.push(new Array(1000).fill(1));'),
    { end: 'refused', by: 'start', child: 'may' },
    { by: 'start' },
  ),
  row(
    'heap-import',
    'a module that is nothing but large arrays',
    'export const all = Array.from({ length: 2e8 }, (_, i) => [i]); export const initialize = () => {};',
    { end: 'refused', by: 'start', child: 'may' },
    { by: 'start' },
  ),
  row(
    'heap-leak',
    '4 MB left behind by each call',
    inHook('kept.push(new Array(524288).fill(1.5));', 'const kept = [];'),
    bounded,
  ),
  row(
    'buffers',
    'buffers, all kept',
    inHook('const l = []; for (;;) l.push(new ArrayBuffer(1e7));'),
    bounded,
  ),
  row(
    'buffers-filled',
    'buffers filled, so that each page is there',
    inHook('const l = []; for (;;) l.push(new Uint8Array(4e6).fill(7));'),
    bounded,
  ),
  row(
    'buffers-large',
    'one buffer of 8 GB',
    inHook('return { refuse: String(new Uint8Array(2 ** 33).fill(1).length) };'),
    bounded,
  ),
  row(
    'buffers-typed',
    'typed arrays made of typed arrays',
    inHook(
      'let a = new Float64Array(1024).fill(1.5); const l = []; for (;;) { const b = new Float64Array(a.length * 2); b.set(a); b.set(a, a.length); l.push(b); a = b; }',
    ),
    bounded,
  ),
  row(
    'buffers-resize',
    'a buffer that is resized, which no limit sees',
    probe(`
    attempt('resize', () => { const b = new ArrayBuffer(8, { maxByteLength: 2 ** 30 }); b.resize(2 ** 30); new Uint8Array(b).fill(1); return b.byteLength > 8 && b.byteLength; });
    attempt('transfer', () => { const b = new ArrayBuffer(8).transfer(2 ** 30); new Uint8Array(b).fill(1); return b.byteLength > 8 && b.byteLength; });
    attempt('grow', () => typeof SharedArrayBuffer === 'function' && new SharedArrayBuffer(8, { maxByteLength: 2 ** 30 }).grow(2 ** 30));`),
    bounded,
  ),
  row(
    'buffers-views',
    'data views and subclasses, whose memory is not the heap of the isolate',
    inHook(
      'class B extends ArrayBuffer {} const l = []; for (;;) l.push(new DataView(new B(8e6)), Uint8Array.from(new Uint8Array(2e6)), structuredCloneOr(l));',
      'const structuredCloneOr = (x) => typeof structuredClone === "function" ? structuredClone([new Uint8Array(1e6)]) : 0;',
    ),
    bounded,
  ),
  row(
    'buffers-reserved',
    'buffers that may become large, of which each reserves addresses',
    inHook('const l = []; for (;;) l.push(new ArrayBuffer(1, { maxByteLength: 2 ** 32 }));'),
    bounded,
  ),
  row(
    'text-double',
    'a text that doubles and is flattened',
    inHook('let s = "ab"; for (;;) { s += s; s.charCodeAt(s.length >> 1); s = s.replace("a", "b"); }'),
    bounded,
  ),
  row(
    'text-ropes',
    'ropes of ropes, flattened all at once',
    inHook(
      'const l = []; for (;;) { let s = "x"; for (let i = 0; i < 24; i++) s = s + s; l.push(s + l.length); l.at(-1).indexOf("y"); }',
    ),
    bounded,
  ),
  row(
    'text-repeat',
    'the longest text there is, a hundred times',
    inHook(
      'const l = []; for (let i = 0; i < 100; i++) { const s = String(i % 10).repeat(2 ** 29 - 25); s.indexOf("z"); l.push(s); }',
    ),
    bounded,
  ),
  row(
    'text-join',
    'an array joined into more than there can be',
    inHook('return Array(2 ** 25).join("0123456789abcdef".repeat(64));'),
    bounded,
  ),
  row(
    'text-pad',
    'padStart, replaceAll and toWellFormed of giants',
    inHook(
      'const l = []; for (;;) { l.push("x".padStart(1e8, "ab").replaceAll("a", "aa")); l.at(-1).toWellFormed(); }',
    ),
    bounded,
  ),
  row(
    'text-json',
    'JSON.stringify that doubles quotes within quotes',
    inHook('let s = "\\""; for (;;) s = JSON.stringify(s);'),
    bounded,
  ),
  row(
    'text-uri',
    'encodeURIComponent of what it has made',
    inHook('let s = "\\u20ac".repeat(1000); for (;;) s = encodeURIComponent(s);'),
    bounded,
  ),
  row(
    'numbers',
    'a BigInt of a thousand million digits',
    inHook('const l = []; for (let i = 0n; ; i++) l.push(2n ** (2n ** 29n + i));'),
    bounded,
  ),
  row(
    'numbers-shift',
    'a BigInt that is shifted',
    inHook('let x = 1n; for (;;) { x <<= 1000000n; x |= 1n; }'),
    bounded,
  ),
  row(
    'recursion',
    'a function that calls itself',
    inHook('const f = () => f() + 1; return f();'),
    lives('threw', 'cpu', 'timeout'),
  ),
  row(
    'recursion-caught',
    'recursion that is caught at the very end of the stack, again and again',
    inHook('const f = () => { try { f(); } catch { f(); } }; f();'),
    bounded,
  ),
  row(
    'recursion-to-json',
    'an answer whose toJSON is endless',
    inHook('const make = () => ({ toJSON() { return { a: make() }; } }); return make();'),
    bounded,
  ),
  row(
    'recursion-proxy',
    'a proxy of a proxy, 100,000 deep',
    inHook('let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p;'),
    bounded,
  ),
  row(
    'recursion-getter',
    'a getter that gets itself',
    inHook('const o = { get a() { return o.a; } }; return o.a;'),
    lives('threw', 'cpu', 'timeout'),
  ),
  row(
    'recursion-deep-answer',
    'an answer 200,000 objects deep',
    inHook('let o = {}; for (let i = 0; i < 2e5; i++) o = { o }; return { refuse: "x", details: o };'),
    bounded,
  ),
  row(
    'recursion-deep-array',
    'an answer of 100,000 arrays in arrays, as text that is parsed',
    inHook('return { change: { payload: JSON.parse("[".repeat(1e5) + "]".repeat(1e5)) } };'),
    bounded,
  ),
  row(
    'recursion-flat',
    'an array that holds itself, made flat',
    inHook('const a = []; a[0] = a; a.push(a, a); return a.flat(Infinity);'),
    bounded,
  ),
  row(
    'recursion-parser',
    'text of which the parser goes 100,000 deep',
    inHook(
      'for (const [a, b] of [["(", ")"], ["[", "]"], ["{a:", "}"], ["`$" + "{", "}`"], ["()=>", "1"], ["!", "1"]]) { try { (0, eval)(a.repeat(1e5) + "1" + b.repeat(1e5)); } catch {} }',
    ),
    bounded,
  ),
  row(
    'recursion-regexp',
    'a regular expression 100,000 deep',
    inHook(
      'try { new RegExp("(".repeat(1e5) + ")".repeat(1e5)); } catch {} try { new RegExp("(?:a|".repeat(1e5) + ")".repeat(1e5)).test("b"); } catch {}',
    ),
    bounded,
  ),
  row(
    'recursion-classes',
    'a chain of 100,000 classes',
    inHook(
      'let C = class {}; for (let i = 0; i < 1e5; i++) { const B = C; C = class extends B {}; } new C();',
    ),
    bounded,
  ),
  row(
    'recursion-prototypes',
    'a prototype chain of 300,000, and what is not on it',
    inHook(
      'let o = {}; for (let i = 0; i < 3e5; i++) o = Object.create(o); for (let i = 0; i < 1000; i++) o.missing;',
    ),
    bounded,
  ),
  row(
    'recursion-iterators',
    'iterator helpers stacked 100,000 deep',
    inHook('let it = [1].values(); for (let i = 0; i < 1e5; i++) it = it.map((x) => x); it.next();'),
    bounded,
  ),
  row(
    'recursion-bound',
    'a function bound 100,000 times',
    inHook('let f = () => 1; for (let i = 0; i < 1e5; i++) f = f.bind(null, i); f();'),
    bounded,
  ),
  row(
    'memory-little',
    'a plugin that stays within its limits',
    inHook(
      'const list = Array.from({ length: 1e5 }, (_, i) => ({ i })); return list.length === 0 ? { refuse: "no" } : undefined;',
    ),
    harmless,
  ),
];

/** What fills the memory: heap, buffers, texts, numbers, and the stack. */
export const memory: readonly HostilePlugin[] = rows.map((plugin) =>
  plugin.fate.end === 'lives'
    ? plugin
    : { ...plugin, limits: { ...(plugin.fate.end === 'either' ? brief : patient), ...plugin.limits } },
);
