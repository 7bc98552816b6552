import { type Fate, type HostilePlugin, inHook, inInitialize, lives, probe, row } from './hostile-plugin.ts';

const all = {
  publish: ['flood.>'],
  subscribe: ['flood.>', 'attack.>'],
  services: { list: true, invoke: ['*'] },
  fetch: ['http://127.0.0.1:9'],
};
const more = { permissions: all, limits: { callsPerSec: 100 } };
/** What it asks for beyond its budget is refused, or it is ended for it. */
const held: Fate = {
  end: 'either',
  answer: ['ok', 'threw', 'cpu', 'timeout', 'gone'],
  causes: ['flood', 'cpu', 'hang', 'memory', 'crash'],
};
const oversized: Fate = { end: 'lives', answer: ['too_large', 'threw', 'cpu', 'timeout'] };
/** The engine takes so long with it that it may have to be ended. */
const unwieldy: Fate = {
  end: 'either',
  answer: ['ok', 'too_large', 'threw', 'cpu', 'timeout', 'gone'],
  causes: ['cpu', 'hang', 'memory', 'crash', 'flood'],
};

/** Too many of everything, and each of them too large. */
export const floods: readonly HostilePlugin[] = [
  row(
    'flood-publish',
    'publishing without waiting',
    inHook('for (let i = 0; i < 1e5; i++) context.messageBus.publish("flood.a", { i }).catch(() => {});'),
    held,
    more,
  ),
  row(
    'flood-dense',
    'messages of 100,000 numbers, as many as it may send',
    inHook(
      'const zeros = Array(1e5).fill(0); for (let i = 0; i < 24; i++) context.messageBus.publish("flood.a", zeros).catch(() => {});',
    ),
    held,
    more,
  ),
  row(
    'flood-dense-keys',
    'values of 16,000 members, as many as it may write',
    inHook(
      'const wide = Object.fromEntries(Array.from({ length: 16e3 }, (_, i) => ["k" + i, i])); for (let i = 0; i < 24; i++) context.state.set(context.state.prefix + i, wide).catch(() => {});',
    ),
    held,
    more,
  ),
  row(
    'flood-dense-answers',
    'answers of 100,000 numbers',
    inHook('return { change: { payload: Array(1e5).fill(0) } };'),
    oversized,
  ),
  row(
    'flood-wide-answers',
    'answers of 16,000 members',
    inHook(
      'return { change: { payload: Object.fromEntries(Array.from({ length: 16e3 }, (_, i) => ["k" + i, i])) } };',
    ),
    oversized,
  ),
  row(
    'flood-echoes',
    'messages that come back to 60 subscriptions',
    inHook(
      'return (async () => { for (let i = 0; i < 60; i++) await context.messageBus.subscribe("flood.>", () => {}); for (let i = 0; i < 24; i++) context.messageBus.publish("flood.a", Array(15e3).fill(i)).catch(() => {}); })();',
    ),
    held,
    more,
  ),
  row(
    'flood-echoes-long',
    'long messages that come back to 60 subscriptions',
    inHook(
      'return (async () => { for (let i = 0; i < 60; i++) await context.messageBus.subscribe("flood.>", () => {}); for (let i = 0; i < 24; i++) context.messageBus.publish("flood.a", "x".repeat(2e5)).catch(() => {}); })();',
    ),
    held,
    more,
  ),
  row(
    'flood-refused-answers',
    'reading for ever what is too large',
    inHook(
      '(async () => { const { prefix } = context.state; await Promise.all(Array.from({ length: 50 }, (_, i) => context.state.set(prefix + i, Array(15e3).fill(1000)).catch(() => {}))); for (;;) await Promise.allSettled(Array.from({ length: 100 }, () => context.state.list(prefix))); })();',
    ),
    held,
    more,
  ),
  row(
    'flood-watches-wide',
    'sixty watches of a key that is written with as much as a message holds',
    inHook(
      'return (async () => { const { prefix } = context.state; for (let i = 0; i < 60; i++) await context.state.watch(prefix + "wide*", () => {}); for (let i = 0; i < 24; i++) context.state.set(prefix + "wide", Array.from({ length: 13e3 }, Math.random)).catch(() => {}); })();',
    ),
    held,
    more,
  ),
  row(
    'flood-list-doubles',
    'lists of what is far too large',
    inHook(
      '(async () => { const { prefix } = context.state; for (let i = 0; i < 15; i++) await context.state.set(prefix + i, Array.from({ length: 13e3 }, Math.random)).catch(() => {}); for (;;) await Promise.allSettled(Array.from({ length: 8 }, () => context.state.list(prefix))); })();',
    ),
    held,
    more,
  ),
  row(
    'flood-log-slashes',
    'lines of log that are long to look through for passwords',
    inHook(
      'for (let i = 0; i < 100; i++) context.log.error("line", i % 2 ? "/".repeat(8000) : "-eyJ".repeat(2000));',
    ),
    held,
    more,
  ),
  row(
    'flood-get-wide',
    'reading for ever what is wide',
    inHook(
      '(async () => { const key = context.state.prefix + "wide"; await context.state.set(key, Array.from({ length: 4e3 }, (_, i) => ({ i }))); for (;;) { try { await Promise.all(Array.from({ length: 100 }, () => context.state.get(key))); } catch {} } })();',
    ),
    held,
    more,
  ),
  row(
    'flood-list-wide',
    'listing for ever what is wide',
    inHook(
      '(async () => { const { prefix } = context.state; await Promise.all(Array.from({ length: 50 }, (_, i) => context.state.set(prefix + i, Array(700).fill(0)))); for (;;) { try { await Promise.all(Array.from({ length: 100 }, () => context.state.list(prefix))); } catch {} } })();',
    ),
    held,
    more,
  ),
  row(
    'flood-publish-await',
    'publishing for ever, each after the other',
    inHook(
      '(async () => { for (;;) { try { await context.messageBus.publish("flood.a", 1); } catch {} } })();',
    ),
    held,
    more,
  ),
  row(
    'flood-state',
    '100,000 keys',
    inHook(
      'for (let i = 0; i < 1e5; i++) context.state.set(context.state.prefix + i, "x".repeat(100)).catch(() => {});',
    ),
    held,
    more,
  ),
  row(
    'flood-list',
    'lists of the state without waiting',
    inHook('for (let i = 0; i < 1e5; i++) context.state.list(context.state.prefix).catch(() => {});'),
    held,
    more,
  ),
  row(
    'flood-invoke',
    'calls of services without waiting',
    inHook('for (let i = 0; i < 1e5; i++) context.services.invoke("any", "m", {}).catch(() => {});'),
    held,
    more,
  ),
  row(
    'flood-fetch',
    '10,000 requests at once',
    inHook('for (let i = 0; i < 1e4; i++) context.fetch("http://127.0.0.1:9/").catch(() => {});'),
    held,
    more,
  ),
  row(
    'flood-log',
    'a million lines of log',
    inHook('for (let i = 0; i < 1e6; i++) context.log.error("line " + i, { i });'),
    held,
    more,
  ),
  row(
    'flood-log-console',
    'a million lines through console',
    inHook('for (let i = 0; i < 1e6; i++) console.log("line", i);'),
    held,
    more,
  ),
  row(
    'flood-timers',
    'a million timers',
    inHook('for (let i = 0; i < 1e6; i++) setTimeout(() => {}, 1);'),
    held,
    more,
  ),
  row(
    'flood-timers-long',
    'timers of odd times',
    inHook(
      'for (const ms of [-1, 0, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 53, "1", {}, null, undefined, 1e-9]) { for (const make of [setTimeout, setInterval, context.timers.every, context.timers.after]) { try { make(() => {}, ms); make(ms, () => {}); } catch {} } }',
    ),
    held,
    more,
  ),
  row(
    'flood-intervals',
    'thousands of intervals that run as often as they may',
    inHook(
      'for (let i = 0; i < 2000; i++) { try { context.timers.every(10, () => { for (let n = 0; n < 1e5; n++); }); } catch {} }',
    ),
    held,
    more,
  ),
  row(
    'flood-subscribe',
    '10,000 subscriptions',
    inHook(
      'for (let i = 0; i < 1e4; i++) context.messageBus.subscribe("flood.>", () => {}).catch(() => {});',
    ),
    held,
    more,
  ),
  row(
    'flood-subscribe-durable',
    '10,000 durable subscriptions',
    inHook(
      'for (let i = 0; i < 1e4; i++) context.messageBus.subscribe("flood.>", () => {}, { durable: "d" + i }).catch(() => {});',
    ),
    held,
    more,
  ),
  row(
    'flood-watch',
    '10,000 watches',
    inHook(
      'for (let i = 0; i < 1e4; i++) context.state.watch(context.state.prefix + "*", () => {}).catch(() => {});',
    ),
    held,
    more,
  ),
  row(
    'flood-echo',
    'a message that answers itself, two for one',
    'export const initialize = async (context) => { await context.messageBus.subscribe("flood.>", async () => { await context.messageBus.publish("flood.a", 1); await context.messageBus.publish("flood.a", 2); }); context.hooks.register("before_publish", () => { context.messageBus.publish("flood.a", 0).catch(() => {}); }); };',
    held,
    more,
  ),
  row(
    'flood-hook-echo',
    'a hook that publishes what it is asked about',
    inHook('return context.messageBus.publish("attack.flood-hook-echo", 1).then(() => undefined);'),
    held,
    { permissions: { ...all, publish: ['attack.>'] } },
  ),
  row(
    'flood-rejections',
    '100,000 promises rejected, nobody there',
    inHook('for (let i = 0; i < 1e5; i++) Promise.reject(new Error("r" + i));'),
    held,
    more,
  ),
  row(
    'flood-throws',
    'errors thrown in timers, again and again',
    'export const initialize = (context) => { for (let i = 0; i < 50; i++) { try { context.timers.every(10, () => { throw new Error("t"); }); } catch {} } };',
    held,
    { ...more, by: 'timer' },
  ),
  row(
    'flood-hooks',
    'the same hook registered 100,000 times',
    inInitialize(
      'let refused = 0; for (let i = 0; i < 1e5; i++) { try { context.hooks.register("before_publish", () => undefined); } catch { refused++; } } if (refused !== 99999) throw new Error("registered " + (1e5 - refused));',
    ),
    held,
    { ...more, by: 'start' },
  ),
  row(
    'flood-initialize',
    'a flood before initialize has ended',
    inInitialize(
      'for (let i = 0; i < 1e5; i++) context.state.set(context.state.prefix + i, i).catch(() => {});',
    ),
    held,
    { ...more, by: 'start' },
  ),
  row(
    'huge-answer',
    'an answer of 20 MB',
    inHook('return { change: { payload: "x".repeat(2e7) } };'),
    unwieldy,
  ),
  row(
    'huge-answer-escaped',
    'an answer that is six times as long as JSON',
    inHook('return { change: { payload: "\\u0001".repeat(100000) } };'),
    oversized,
  ),
  row(
    'huge-answer-keys',
    'an answer of 300,000 keys',
    inHook(
      'return { change: { payload: Object.fromEntries(Array.from({ length: 3e5 }, (_, i) => ["k" + i, i])) } };',
      '',
    ),
    unwieldy,
  ),
  row('huge-refusal', 'a refusal of 1 MB', inHook('return { refuse: "x".repeat(1e6) };'), oversized),
  row(
    'huge-error',
    'an error whose message, name and stack are 20 MB',
    inHook(
      'const e = new Error("m".repeat(2e7)); e.name = "n".repeat(2e7); e.stack = "s".repeat(2e7); e.code = "c".repeat(2e7); throw e;',
    ),
    unwieldy,
  ),
  row(
    'huge-publish',
    'a payload of 20 MB',
    probe(
      'await attemptLater("published", async () => (await context.messageBus.publish("flood.a", "x".repeat(2e7))).messageId);',
    ),
    unwieldy,
    more,
  ),
  row(
    'huge-topic',
    'a topic of 10 MB, a key of 10 MB, headers of 10 MB',
    probe(
      'const x = "x".repeat(1e7); await attemptLater("topic", () => context.messageBus.publish("flood." + x, 1)); await attemptLater("key", () => context.messageBus.publish("flood.a", 1, { key: x })); await attemptLater("headers", () => context.messageBus.publish("flood.a", 1, { headers: { x } })); await attemptLater("state", () => context.state.set(context.state.prefix + x, 1));',
    ),
    unwieldy,
    more,
  ),
  row(
    'huge-log',
    'a line of log of 20 MB, and fields of as much',
    inHook('context.log.error("x".repeat(2e7), { y: "y".repeat(2e7) });'),
    unwieldy,
  ),
  row(
    'huge-log-odd',
    'fields of log that loop, throw and refer to themselves',
    inHook(
      'const o = {}; o.o = o; for (const f of [o, { a: 1n }, { get a() { throw 1; } }, null, 5, "x", Symbol("s"), () => 1, new Proxy({}, { ownKeys() { throw 1; } }), [[[]]], { toJSON() { return undefined; } }]) { for (const m of ["m", undefined, Symbol("m"), {}, o, 1n]) { try { context.log.info(m, f); } catch {} } }',
    ),
    lives('ok'),
  ),
  row(
    'huge-fetch',
    'a request with a body of 20 MB',
    probe(
      'await attemptLater("sent", async () => (await context.fetch("http://127.0.0.1:9/", { method: "POST", body: "x".repeat(2e7) })).status);',
    ),
    unwieldy,
    more,
  ),
];
