import {
  type HostilePlugin,
  inHook,
  inInitialize,
  inMessage,
  inShutdown,
  inTimer,
  killed,
  lives,
  row,
  stopped,
} from './hostile-plugin.ts';

const neverStarts = { end: 'refused', by: 'start', child: 'may' } as const;

/** Endless loops, in every form and place. */
export const loops: readonly HostilePlugin[] = [
  row('loop-while', 'a loop without an end', inHook('while (true);'), stopped),
  row(
    'loop-finally',
    'a loop that goes on when it is thrown at',
    inHook('for (;;) { try { for (;;); } catch { continue; } finally { continue; } }'),
    stopped,
  ),
  row('loop-await', 'awaiting for ever', inHook('return (async () => { for (;;) await null; })();'), stopped),
  row(
    'loop-microtasks',
    'promises that make promises',
    inHook('const next = () => Promise.resolve().then(next); next(); return new Promise(() => {});'),
    stopped,
  ),
  row(
    'loop-microtasks-left',
    'an answer, and microtasks that go on behind it',
    inHook('const next = () => Promise.resolve().then(next); next(); return undefined;'),
    { ...stopped, answer: ['ok', 'cpu', 'timeout'] },
  ),
  row(
    'loop-getter',
    'an answer with a getter that loops',
    inHook('return { get refuse() { for (;;); } };'),
    stopped,
  ),
  row(
    'loop-proxy',
    'an answer that is a proxy whose traps loop',
    inHook(
      'return new Proxy({}, { ownKeys() { for (;;); }, get(_, key) { if (key === "toJSON") for (;;); } });',
    ),
    stopped,
  ),
  row(
    'loop-then',
    'an answer whose `then` is a getter that loops',
    inHook('return { get then() { for (;;); } };'),
    stopped,
  ),
  row('loop-thenable', 'an answer whose `then` loops', inHook('return { then() { for (;;); } };'), stopped),
  row(
    'loop-thenables',
    'a thenable that resolves to the next, for ever',
    inHook('const make = () => ({ then(resolve) { resolve(make()); } }); return make();'),
    stopped,
  ),
  row('loop-to-json', 'an answer whose toJSON loops', inHook('return { toJSON() { for (;;); } };'), stopped),
  row('loop-sort', 'a comparator that loops', inHook('[3, 2, 1].sort(() => { for (;;); });'), stopped),
  row(
    'loop-reviver',
    'a reviver of JSON.parse that loops',
    inHook('JSON.parse("[1]", () => { for (;;); });'),
    stopped,
  ),
  row('loop-replacer', 'a callback of replace', inHook('"a".replace(/a/, () => { for (;;); });'), stopped),
  row(
    'loop-regexp',
    'a regular expression that backtracks for ages',
    inHook('/^(a+)+$/.test("a".repeat(40) + "!");'),
    stopped,
  ),
  row(
    'loop-regexp-lookbehind',
    'another one, with a lookbehind and a back reference',
    inHook('/(?<=((?:x+x+)+))\\1y/.test("x".repeat(64));'),
    { ...stopped, answer: ['cpu', 'timeout', 'ok'] },
  ),
  row(
    'loop-generator',
    'a generator that never ends',
    inHook('for (const _ of (function* () { for (;;) yield 1; })());'),
    stopped,
  ),
  row(
    'loop-async-iterator',
    'an asynchronous iterator that never ends',
    inHook(
      'return (async () => { for await (const _ of (async function* () { for (;;) yield 1; })()); })();',
    ),
    stopped,
  ),
  row(
    'loop-species',
    'an array whose species loops',
    inHook(
      'const list = [1]; list.constructor = { [Symbol.species]: function () { for (;;); } }; list.map((x) => x);',
    ),
    stopped,
  ),
  row(
    'loop-prepare-stack-trace',
    'a formatter of stack traces that loops, and an error',
    inHook('throw new Error("x");', 'Error.prepareStackTrace = () => { for (;;); };'),
    { ...stopped, answer: ['cpu', 'timeout', 'threw'] },
  ),
  row(
    'loop-thrown-getter',
    'a thrown thing whose message loops',
    inHook('throw { get message() { for (;;); }, get stack() { for (;;); }, get name() { for (;;); } };'),
    { ...stopped, answer: ['cpu', 'timeout', 'threw'] },
  ),
  row(
    'loop-thrown-proxy',
    'a thrown proxy whose traps loop',
    inHook('throw new Proxy(new Error("x"), { get() { for (;;); }, getPrototypeOf() { for (;;); } });'),
    { ...stopped, answer: ['cpu', 'timeout', 'threw'] },
  ),
  row(
    'loop-to-string',
    'a refusal whose reason loops when it becomes text',
    inHook('return { refuse: { toString() { for (;;); }, toJSON() { for (;;); } } };'),
    stopped,
  ),
  row(
    'loop-argument',
    'a topic and a payload that loop when the runtime looks at them',
    inHook(
      'return context.messageBus.publish({ toString() { for (;;); }, toJSON() { for (;;); } }, { get a() { for (;;); } });',
    ),
    { ...stopped, answer: ['cpu', 'timeout', 'threw'] },
  ),
  row(
    'loop-bigint',
    'powers of a BigInt, which no interrupt ends',
    inHook('let x = 3n; for (;;) x *= x;'),
    killed,
    {
      limits: { memoryMb: 128 },
    },
  ),
  row(
    'loop-bigint-text',
    'a BigInt of millions of digits as text',
    inHook('const x = 7n ** 12000000n; for (;;) x.toString();'),
    killed,
    { limits: { memoryMb: 128 } },
  ),
  row(
    'loop-native-search',
    'a search for a text that takes the square of its length',
    inHook('const half = "a".repeat(4e6); for (;;) (half + half).lastIndexOf("b" + half);'),
    killed,
    { limits: { memoryMb: 128 } },
  ),
  row(
    'loop-native-array',
    'an array method over a length of 2^53 - 1',
    inHook('Array.prototype.includes.call({ length: Number.MAX_SAFE_INTEGER }, 1);'),
    { end: 'either', answer: ['cpu', 'timeout', 'gone'], causes: ['cpu', 'hang'] },
  ),
  row(
    'loop-native-typed',
    'typed arrays sorted, compared and filled for ever',
    inHook('const a = new Float64Array(4e5).map((_, i) => -i); for (;;) a.slice().sort();'),
    stopped,
  ),
  row(
    'loop-normalize',
    'texts normalized and compared for ever',
    inHook('const s = "\\u1E9B\\u0323".repeat(2e6); for (;;) s.normalize("NFKD").localeCompare(s);'),
    {
      end: 'either',
      answer: ['cpu', 'timeout', 'gone', 'threw'],
      causes: ['cpu', 'hang', 'memory', 'crash'],
    },
    { limits: { memoryMb: 128 } },
  ),
  row(
    'loop-import',
    'a loop while it is imported',
    'for (;;); export const initialize = () => {};',
    neverStarts,
    {
      by: 'start',
    },
  ),
  row(
    'loop-import-await',
    'a top-level await that never settles',
    'await new Promise(() => {}); export const initialize = () => {};',
    neverStarts,
    { by: 'start' },
  ),
  row('loop-initialize', 'a loop in initialize', inInitialize('for (;;);'), neverStarts, { by: 'start' }),
  row(
    'loop-initialize-await',
    'an endless await in initialize',
    inInitialize('for (;;) await null;'),
    neverStarts,
    {
      by: 'start',
    },
  ),
  row(
    'loop-initialize-never',
    'an initialize that never ends',
    inInitialize('await new Promise(() => {});'),
    neverStarts,
    {
      by: 'start',
      long: true,
    },
  ),
  row('loop-message', 'a loop in the handler of a message', inMessage('for (;;);'), stopped, {
    by: 'message',
  }),
  row('loop-timer', 'a loop in a timer', inTimer('for (;;);'), { ...stopped, answer: [] }, { by: 'timer' }),
  row(
    'loop-timers',
    'timers that loop, again and again',
    'export const initialize = (context) => { context.timers.every(10, () => { for (;;); }); };',
    { end: 'either', answer: ['ok'], causes: ['cpu', 'hang', 'flood'] },
    { by: 'timer' },
  ),
  row('loop-shutdown', 'a loop in shutdown', inShutdown('for (;;);'), lives('ok', 'gone'), { by: 'stop' }),
  row(
    'loop-shutdown-never',
    'a shutdown that never ends',
    inShutdown('return new Promise(() => {});'),
    lives('ok', 'gone'),
    {
      by: 'stop',
    },
  ),
  row('never-settles', 'an answer that never comes', inHook('return new Promise(() => {});'), {
    end: 'lives',
    answer: ['timeout'],
    limit: ['timeoutMs'],
  }),
  row('never-settles-thenable', 'a thenable that never resolves', inHook('return { then() {} };'), {
    end: 'lives',
    answer: ['timeout'],
    limit: ['timeoutMs'],
  }),
  row(
    'answers-late-and-twice',
    'a thenable that resolves twice, throws, and resolves again later',
    inHook(
      'return { then(resolve, reject) { resolve(undefined); reject(new Error("no")); resolve({ refuse: "twice" }); setTimeout(() => resolve({ refuse: "late" }), 20); throw new Error("after"); } };',
    ),
    lives('ok'),
  ),
];
