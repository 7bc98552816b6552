import test from 'ava';
import type { Json } from '../../domain/event.ts';
import type { Resolver } from '../../domain/state/resolvers.ts';
import { attachedBy, parseAttached } from '../../src/state/attachments.ts';
import { createResolvers } from '../../src/state/resolvers.ts';
import { openHub } from '../support/hub.ts';

const context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

test('a registered function › resolves conflicts until it is taken away', async (t) => {
  const hub = await openHub({ stateResolvers: ['sums/*=sum'] });
  t.teardown(() => hub.close());
  const put = (key: string, value: Json, rest: object = {}) =>
    hub.core.execute({ type: 'SetState', data: { key, value, ...rest } }, context);
  const takeAway = hub.core.stateResolvers.register('sum', ({ current, incoming }) => ({
    ok: true,
    value: Number(current ?? 0) + Number(incoming),
  }));
  await put('sums/a', 1);
  const summed = await put('sums/a', 2);
  t.like(summed.ok && summed.value.result, { value: 3, resolution: { resolver: 'sum' } });
  const asked = await put('elsewhere', 1, { resolver: 'sum' });
  t.true(asked.ok);
  t.true(hub.core.stateResolvers.names().includes('sum'));
  takeAway();
  const unknown = await put('elsewhere', 1, { resolver: 'sum' });
  t.like(unknown, { ok: false, problem: { code: 'invalid' } });
  const attached = await put('sums/a', 2);
  t.like(attached, { ok: false, problem: { code: 'version_conflict', facts: { currentVersion: 2 } } });
});

test('a dry run’s check › refuses what a write would be refused for its resolver', async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  const dry = await hub.core.dryRun(
    { topic: 'a.>', from: 'start', to: 'now' },
    undefined,
    AbortSignal.timeout(60_000),
    context,
  );
  if (!dry.ok) return t.fail(dry.problem.detail);
  t.teardown(() => dry.value.release());
  const set = (resolver: string) =>
    dry.value.execute({ type: 'SetState', data: { key: 'k', value: 1, resolver } }, context);
  t.like(await set('nobody'), { ok: false, problem: { code: 'invalid' } });
  t.true((await set('max')).ok);
});

const cyclic: { self?: unknown } = {};
cyclic.self = cyclic;
const deep = Array.from({ length: 100 }).reduce<Json>((value) => [value], 1);
/** What no resolver should give. */
const wrong: readonly (readonly [name: string, answer: unknown])[] = [
  ['nothing', undefined],
  ['a text', 'ok'],
  ['a promise', Promise.resolve({ ok: true, value: 1 })],
  ['no value', { ok: true }],
  ['not a number', { ok: true, value: Number.NaN }],
  ['a function', { ok: true, value: () => 1 }],
  ['a date', { ok: true, value: new Date(0) }],
  ['a hole', { ok: true, value: [undefined] }],
  ['a cycle', { ok: true, value: cyclic }],
  ['what is too deep', { ok: true, value: deep }],
  ['what is too large', { ok: true, value: 'x'.repeat(1_000_001) }],
  ['a dangerous name', { ok: true, value: JSON.parse('{"a":{"__proto__":1}}') }],
  ['half a character', { ok: true, value: '\ud800' }],
  ['a refusal without a reason', { ok: false }],
  ['strange conflicts', { ok: false, reason: 1, conflicts: [1, '/a', {}] }],
  [
    'a getter that throws',
    {
      ok: true,
      get value() {
        throw new Error('no');
      },
    },
  ],
];

test('a function that throws or gives no JSON › has refused', (t) => {
  const resolvers = createResolvers([]);
  const refused = (resolve: Resolver) => {
    const takeAway = resolvers.register('custom', resolve);
    const resolved = resolvers.resolverOf('custom')({ current: 1, incoming: 2 });
    takeAway();
    t.false(resolved.ok);
    t.is(resolved.ok ? 'undefined' : typeof resolved.reason, 'string');
    return resolved;
  };
  for (const [, answer] of wrong) refused(() => answer as ReturnType<Resolver>);
  t.deepEqual(
    refused(() => wrong.find(([name]) => name === 'strange conflicts')?.[1] as never),
    {
      ok: false,
      reason: 'it gave no reason',
      conflicts: ['/a'],
    },
  );
  t.like(
    refused(() => {
      throw new Error('my own fault');
    }),
    { reason: 'it failed: my own fault' },
  );
  refused(() => {
    throw Object.create(null);
  });
  refused(function again(conflict): never {
    return again(conflict);
  });
});

test('a function that changes what it gets › changes copies', (t) => {
  const resolvers = createResolvers([]);
  resolvers.register('push', ({ current, incoming }) => {
    (current as Json[]).push(incoming);
    return { ok: true, value: current ?? null };
  });
  const current: Json = [1];
  t.deepEqual(resolvers.resolverOf('push')({ current, incoming: 2 }), { ok: true, value: [1, 2] });
  t.deepEqual(current, [1]);
});

test('a name › is taken once, and has its form', (t) => {
  const resolvers = createResolvers([]);
  const never: Resolver = () => ({ ok: false, reason: 'never' });
  const takeAway = resolvers.register('mine', never);
  for (const name of ['mine', 'max', 'reject', '', 'Mine', '__proto__', 'a b', 'x'.repeat(65)])
    t.throws(() => resolvers.register(name, never), { instanceOf: RangeError }, name);
  takeAway();
  takeAway();
  resolvers.register('mine', never);
  takeAway();
  t.true(resolvers.isKnown('mine'), 'what was taken away is not taken away twice');
});

test('patterns › a key goes before prefixes, a longer prefix before a shorter one', (t) => {
  const attached = [
    '*=max',
    'a/*=max',
    'a/*=set-union',
    'a/b/*=deep-merge',
    'a/b/c=reject',
    'x=y=max',
    'é*=reject',
  ];
  const of = attachedBy(attached);
  for (const [key, resolver] of [
    ['a/b/c', 'reject'],
    ['a/b/cd', 'deep-merge'],
    ['a/bc', 'set-union'],
    ['a', 'max'],
    ['x=y', 'max'],
    ['école', 'reject'],
  ] as const)
    t.is(of(key), resolver, key);
  t.is(attachedBy([])('a'), undefined);
  for (const text of ['', '=', 'a', 'a=', '=max', 'a=Max', 'a=b c', 'a\n=max', `${'a'.repeat(513)}=max`])
    t.is(parseAttached(text), undefined, text);
});
