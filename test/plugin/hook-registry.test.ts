import test from 'ava';
import fc from 'fast-check';
import * as z from 'zod';
import { streamId } from '../../domain/event.ts';
import type { HookName } from '../../domain/plugin/manifest.ts';
import { ok } from '../../src/errors.ts';
import { createLogger } from '../../src/logger.ts';
import { verdicts } from '../../src/plugin/hooks/answers.ts';
import type { HookEntry } from '../../src/plugin/hooks/hooks.ts';
import { compileMatch } from '../../src/plugin/hooks/matching.ts';
import { createHooks } from '../../src/plugin/hooks/registry.ts';
import type { ReadTold } from '../../src/plugin/hooks/telling.ts';
import type { CallAnswer, CallFault } from '../../src/plugin/sandbox/sandbox.ts';
import { seeded } from '../support/arbitraries.ts';
import { entryOf, type Handler } from '../support/hooks.ts';
import { until } from '../support/until.ts';

const silent = createLogger('silent');
const open = (readTold: ReadTold = async () => undefined) => createHooks({ logger: silent, readTold });
type Hooks = ReturnType<typeof open>;

const answers = verdicts(z.strictObject({ value: z.string() }));
const ask = (hooks: Hooks, value: string, { subject = 'ann', name = 'a.b' } = {}) =>
  hooks.ask({
    hook: 'before_publish',
    name,
    subject,
    value,
    answers,
    input: (now) => ({ value: now, subject }),
    change: (_, change) => ok(change.value),
  });

const failing = (plugin: string, fault: CallFault, onFailure: 'skip' | 'refuse', order = 0): HookEntry => ({
  ...entryOf(plugin, 'before_publish', () => null, { order, onFailure }),
  call: async () => ({ ok: false, fault, message: '' }),
});

test('a hook without entries is undefined, and is so again when the last one is gone', async (t) => {
  const hooks = open();
  t.is(hooks.before_publish, undefined);
  t.false(hooks.concerns('before_publish', 'a', 'ann'));
  hooks.set('a', [entryOf('a', 'before_publish', () => null)]);
  t.is(hooks.before_publish?.length, 1);
  t.is(hooks.after_publish, undefined);
  hooks.set('a', [entryOf('a', 'after_publish', () => null)]);
  t.is(hooks.before_publish, undefined);
  hooks.remove('a');
  t.is(hooks.after_publish, undefined);
  t.deepEqual(await ask(hooks, 'x'), ok('x'));
});

test('patterns are of topics, of keys, of services and of paths', (t) => {
  const matched = (hook: HookName, patterns: readonly string[], names: readonly string[]) =>
    names.filter(compileMatch(hook, patterns));
  t.deepEqual(
    matched(
      'before_publish',
      ['a.b', 'c.*', 'd.>'],
      ['a.b', 'a.c', 'c.x', 'c.x.y', 'd.x.y', 'd', '_reply.d'],
    ),
    ['a.b', 'c.x', 'd.x.y'],
  );
  t.deepEqual(matched('after_publish', ['>'], ['a', '_reply.a']), ['a']);
  t.deepEqual(matched('before_state_change', ['a', 'b/*'], ['a', 'a/b', 'b/', 'b/c', 'b']), [
    'a',
    'b/',
    'b/c',
  ]);
  t.deepEqual(matched('before_service_invoke', ['bill*', 'pay'], ['billing', 'pay', 'payer']), [
    'billing',
    'pay',
  ]);
  t.deepEqual(matched('on_request', ['/state/*', '/ws'], ['/state/a', '/state', '/ws', '/wss']), [
    '/state/a',
    '/ws',
  ]);
  const hostile = '(a+)+$';
  t.deepEqual(matched('before_state_change', [hostile], [hostile, 'aaaaaaaaaaaaaaaaaaaa!']), [hostile]);
});

/** What a plugin does when it is asked, and what the hub is to make of it. */
type Behaviour = 'pass' | 'append' | 'refuse' | 'throw' | 'wrong';
const anyPlugin = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  order: fc.integer({ min: -2, max: 2 }),
  behaviour: fc.constantFrom<Behaviour>('pass', 'append', 'append', 'refuse', 'throw', 'wrong'),
  onFailure: fc.constantFrom<'skip' | 'refuse'>('skip', 'refuse'),
  matches: fc.boolean(),
});
const anyPlugins = fc.uniqueArray(anyPlugin, { selector: ({ name }) => name, maxLength: 6 });

const doing =
  (name: string, behaviour: Behaviour): Handler =>
  ({ value }) => {
    switch (behaviour) {
      case 'pass':
        return undefined;
      case 'append':
        return { change: { value: `${value}${name}` } };
      case 'refuse':
        return { refuse: `${name} says no` };
      case 'throw':
        throw new Error('broken');
      case 'wrong':
        return { change: { value: 1 } };
    }
  };

test('plugins are asked by order and name, each on what those before made, up to the first that ends it', async (t) => {
  await fc.assert(
    fc.asyncProperty(anyPlugins, fc.constantFrom('ann', 'plugin:a'), async (plugins, subject) => {
      const hooks = open();
      const asked: string[] = [];
      for (const { name, order, behaviour, onFailure, matches } of plugins) {
        const handler: Handler = (input) => {
          asked.push(name);
          return doing(name, behaviour)(input);
        };
        const declaration = { order, onFailure, match: [matches ? '>' : 'other'] };
        hooks.set(name, [entryOf(name, 'before_publish', handler, declaration)]);
      }
      const expected: string[] = [];
      let value = '';
      let end: object | undefined;
      const meant = plugins.filter(({ name, matches }) => matches && subject !== `plugin:${name}`);
      meant.sort((one, other) => one.order - other.order || (one.name < other.name ? -1 : 1));
      for (const { name, behaviour, onFailure } of meant) {
        expected.push(name);
        if (behaviour === 'append') value += name;
        if (behaviour === 'refuse') end = { code: 'plugin_refused', reason: `${name} says no` };
        if ((behaviour === 'throw' || behaviour === 'wrong') && onFailure === 'refuse')
          end = { code: 'plugin_failed', plugin: name };
        if (end !== undefined) break;
      }
      const result = await ask(hooks, '', { subject });
      t.deepEqual(asked, expected);
      if (result.ok) t.deepEqual([result.value, undefined], [value, end]);
      else t.like({ code: result.problem.code, ...result.problem.facts }, end ?? { code: 'none' });
      const faulty = meant.slice(0, expected.length).filter(({ behaviour }) => /throw|wrong/.test(behaviour));
      const counted = hooks.counts().reduce((sum, { skipped, failed }) => sum + skipped + failed, 0);
      t.is(counted, faulty.length);
    }),
    { ...seeded, numRuns: 200 },
  );
});

for (const fault of ['threw', 'timeout', 'cpu', 'too_large', 'no_handler', 'gone', 'overloaded'] as const) {
  test(`a plugin that is ${fault} › is skipped and counted, or refuses with its name alone`, async (t) => {
    const hooks = open();
    hooks.set('a', [failing('a', fault, 'skip')]);
    hooks.set('b', [entryOf('b', 'before_publish', ({ value }) => ({ change: { value: `${value}b` } }))]);
    t.deepEqual(await ask(hooks, 'x'), ok('xb'));
    t.deepEqual(hooks.counts(), [{ plugin: 'a', hook: 'before_publish', skipped: 1, failed: 0, dropped: 0 }]);
    hooks.set('a', [failing('a', fault, 'refuse')]);
    const refused = await ask(hooks, 'x');
    t.like(refused, {
      ok: false,
      problem: { code: 'plugin_failed', facts: { plugin: 'a', hook: 'before_publish' } },
    });
    t.like(hooks.counts(), [{ failed: 1 }]);
  });
}

test('answers are not believed › each of these is a fault of the plugin, told to its host', async (t) => {
  const deep = JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`);
  const wrong: readonly unknown[] = [
    1,
    'text',
    [],
    {},
    { change: {} },
    { change: { value: 1 } },
    { change: { value: 'x', more: 1 } },
    { change: { value: 'x' }, refuse: 'x' },
    { refuse: 1 },
    { refuse: 'x', more: 1 },
    JSON.parse('{ "change": { "value": "x", "__proto__": { "polluted": true } } }'),
    JSON.parse('{ "refuse": "x", "details": { "constructor": 1 } }'),
    { change: { value: 'x'.repeat(2_000_000) } },
    { refuse: 'x', details: deep },
    { refuse: 'x', details: 'x\ud800' },
  ];
  for (const answer of wrong) {
    const hooks = open();
    const told: string[] = [];
    const call = async () => ({ ok: true, value: answer }) as CallAnswer;
    const entry = { ...entryOf('a', 'before_publish', () => null), call };
    hooks.set('a', [{ ...entry, unusable: (reason: string) => told.push(reason) }]);
    const result = await ask(hooks, 'x');
    t.like(result, { ok: false, problem: { code: 'plugin_failed' } }, JSON.stringify(answer)?.slice(0, 99));
    t.is(told.length, 1);
  }
  t.is(({} as { polluted?: unknown }).polluted, undefined);
});

test('what a plugin gives as a reason is cut and cleaned, and details that are too large are left out', async (t) => {
  const hooks = open();
  const refuse = `a\r\n\u0000\u009b${'x'.repeat(600)}`;
  hooks.set('a', [entryOf('a', 'before_publish', () => ({ refuse, details: 'y'.repeat(20_000) }))]);
  const result = await ask(hooks, 'x');
  if (result.ok) return t.fail();
  const { reason, details } = result.problem.facts ?? {};
  t.is(reason, `a    ${'x'.repeat(507)}`);
  t.is(details, undefined);
  t.is(result.problem.code, 'plugin_refused');
});

test('an entry that never answers, rejects or throws › is held to its time and its policy', async (t) => {
  for (const call of [
    () => new Promise<CallAnswer>(() => {}),
    () => Promise.reject(new Error('x')),
    () => {
      throw new Error('x');
    },
  ]) {
    const hooks = open();
    hooks.set('a', [{ ...entryOf('a', 'before_publish', () => null, { timeoutMs: 5 }), call }]);
    t.like(await ask(hooks, 'x'), { ok: false, problem: { code: 'plugin_failed' } });
  }
});

test('a version that is gone because another took its place › has its question put to that; one that is taken away does not count', async (t) => {
  const hooks = open();
  const replace = (next: () => void): HookEntry => ({
    ...failing('a', 'gone', 'refuse'),
    call: async () => {
      next();
      return { ok: false, fault: 'gone', message: '' };
    },
  });
  const better = entryOf('a', 'before_publish', () => ({ change: { value: 'new' } }));
  hooks.set('a', [replace(() => hooks.set('a', [better]))]);
  t.deepEqual(await ask(hooks, 'x'), ok('new'));
  hooks.set('a', [replace(() => hooks.remove('a'))]);
  t.deepEqual(await ask(hooks, 'x'), ok('x'));
  t.deepEqual(hooks.counts(), []);
});

/** Each plugin publishes under its own name while it is asked, and says what came of it. */
const circle = (hooks: Hooks, names: readonly string[], results: string[]): void => {
  for (const name of names) {
    const handler: Handler = async () => {
      const result = await ask(hooks, name, { subject: `plugin:${name}` });
      results.push(result.ok ? 'ok' : result.problem.code);
      return result.ok ? undefined : { refuse: 'the other refused' };
    };
    hooks.set(name, [entryOf(name, 'before_publish', handler)]);
  }
};

test('two plugins that answer each other’s hooks › end after four steps, by refusals and not by time-outs', async (t) => {
  const hooks = open();
  const results: string[] = [];
  circle(hooks, ['a', 'b'], results);
  const outcome = await ask(hooks, 'x', { subject: 'ann' });
  t.like(outcome, { ok: false, problem: { code: 'plugin_refused' } });
  t.is(results[0], 'plugin_failed', 'the innermost one is refused');
  t.true(results.length <= 5);
  const alone = open();
  circle(alone, ['a'], []);
  t.deepEqual(await ask(alone, 'x'), ok('x'), 'nobody is asked about what it does itself');
});

test('a circle of three under a hundred clients at once › ends for each of them, with a bounded number of calls', async (t) => {
  const hooks = open();
  const results: string[] = [];
  circle(hooks, ['a', 'b', 'c'], results);
  const outcomes = await Promise.all(Array.from({ length: 100 }, () => ask(hooks, 'x')));
  t.true(outcomes.every(({ ok: isOk }) => !isOk));
  t.true(results.length <= 100 * 2 ** 5);
  hooks.set('a', []);
  hooks.set('b', []);
  t.deepEqual(await ask(hooks, 'x'), ok('x'), 'and nothing is left of it: a lone plugin is a circle of none');
});

test('a plugin has 1,000 questions under way at most, and what is beyond is a fault of it', async (t) => {
  const hooks = open();
  const gate = Promise.withResolvers<void>();
  hooks.set('a', [entryOf('a', 'before_publish', () => gate.promise)]);
  const asked = Array.from({ length: 1_001 }, () => ask(hooks, 'x'));
  t.like(await asked.at(-1), { ok: false, problem: { code: 'plugin_failed' } });
  gate.resolve();
  t.deepEqual(new Set((await Promise.all(asked)).map(({ ok: isOk }) => isOk)), new Set([true, false]));
  t.deepEqual(await ask(hooks, 'x'), ok('x'));
});

test('what a plugin is told › comes in order, one at a time; the oldest goes when too much waits, and that is counted', async (t) => {
  const warned: string[] = [];
  const logger = { ...silent, warn: (_facts: object, message: string) => warned.push(message) };
  const read: ReadTold = async ({ revision }) => {
    if (revision === 10_499) throw new Error('the log is away');
    return revision === 10_498 ? undefined : { revision };
  };
  const hooks = createHooks({ logger, readTold: read });
  const gate = Promise.withResolvers<void>();
  const told: unknown[] = [];
  let atOnce = 0;
  const see: Handler = async ({ revision }) => {
    t.is(++atOnce, 1);
    await gate.promise;
    told.push(revision);
    atOnce--;
    if (revision === 600) throw new Error('it may fail');
  };
  hooks.set('a', [entryOf('a', 'after_publish', see, { timeoutMs: 10_000 })]);
  const tell = (revision: number, subject = 'ann') =>
    hooks.tell({ hook: 'after_publish', name: 'x', subject, stream: streamId('topic', 'x'), revision });
  tell(0, 'plugin:a');
  for (let revision = 0; revision < 10_500; revision++) tell(revision);
  gate.resolve();
  await until(() => told.length === 9_999);
  t.deepEqual(told.slice(0, 3), [0, 500, 501]);
  t.is(told.at(-1), 10_497);
  await until(() => warned.length === 2);
  t.deepEqual(hooks.counts(), [
    { plugin: 'a', hook: 'after_publish', skipped: 1, failed: 0, dropped: 499 + 1 },
  ]);
  hooks.close();
  tell(1);
  t.is(told.length, 9_999);
});
