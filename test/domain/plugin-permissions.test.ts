import test from 'ava';
import fc from 'fast-check';
import { matchesKey, topicMatches } from '../../domain/names.ts';
import {
  defaultLimits,
  type HookDeclaration,
  noPermissions,
  type PluginLimits,
  type PluginPermissions,
} from '../../domain/plugin/manifest.ts';
import { effectiveLimits, effectivePermissions } from '../../domain/plugin/permissions.ts';
import { seeded } from '../support/arbitraries.ts';

const segment = fc.constantFrom('a', 'b', '*');
const topicPattern = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([segments, open]) => [...segments, ...(open ? ['>'] : [])].join('.'));
const topic = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('.'));
const key = fc
  .array(fc.constantFrom('a', 'b', '/'), { minLength: 1, maxLength: 4 })
  .map((all) => all.join(''));
const keyPattern = fc.tuple(key, fc.boolean()).map(([text, open]) => (open ? `${text}*` : text));
const listOf = (pattern: fc.Arbitrary<string>) => fc.array(pattern, { maxLength: 4 });
const hookOf = (pattern: fc.Arbitrary<string>): fc.Arbitrary<HookDeclaration> =>
  fc.record({
    match: fc.array(pattern, { minLength: 1, maxLength: 3 }),
    order: fc.integer({ min: -1_000, max: 1_000 }),
    timeoutMs: fc.integer({ min: 1, max: 10_000 }),
    onFailure: fc.constantFrom('skip', 'refuse'),
  });
const anyPermissions: fc.Arbitrary<PluginPermissions> = fc.record({
  publish: listOf(topicPattern),
  subscribe: listOf(topicPattern),
  state: fc.record({ read: listOf(keyPattern), write: listOf(keyPattern) }),
  services: fc.record({ list: fc.boolean(), invoke: listOf(keyPattern) }),
  fetch: listOf(fc.constantFrom('https://a.example', 'https://b.example')),
  hooks: fc.record(
    { before_publish: hookOf(topicPattern), before_state_change: hookOf(keyPattern) },
    { requiredKeys: [] },
  ),
  resolvers: listOf(fc.constantFrom('one', 'two')),
});

/** What a hook, or a list of patterns, is for. */
const covers =
  (patterns: readonly string[] | undefined, matches: (pattern: string, item: string) => boolean) =>
  (item: string): boolean =>
    (patterns ?? []).some((pattern) => matches(pattern, item));

const areas = (permissions: PluginPermissions) => ({
  publish: covers(permissions.publish, topicMatches),
  subscribe: covers(permissions.subscribe, topicMatches),
  hook: covers(permissions.hooks.before_publish?.match, topicMatches),
  read: covers(permissions.state.read, matchesKey),
  write: covers(permissions.state.write, matchesKey),
  invoke: covers(permissions.services.invoke, matchesKey),
  change: covers(permissions.hooks.before_state_change?.match, matchesKey),
});
const topics = ['publish', 'subscribe', 'hook'] as const;
const keys = ['read', 'write', 'invoke', 'change'] as const;

test('effectivePermissions › never give what is not both asked for and granted', (t) => {
  fc.assert(
    fc.property(anyPermissions, anyPermissions, topic, key, (asked, granted, aTopic, aKey) => {
      const both = effectivePermissions(asked, granted);
      const [own, given, met] = [areas(asked), areas(granted), areas(both)];
      for (const area of topics) if (met[area](aTopic)) t.true(own[area](aTopic) && given[area](aTopic));
      for (const area of keys) if (met[area](aKey)) t.true(own[area](aKey) && given[area](aKey));
      t.true(both.fetch.every((origin) => asked.fetch.includes(origin) && granted.fetch.includes(origin)));
      t.is(both.services.list, asked.services.list && granted.services.list);
    }),
    seeded,
  );
  t.pass();
});

test('effectivePermissions › of a list of keys give all that is asked for and granted', (t) => {
  fc.assert(
    fc.property(anyPermissions, anyPermissions, key, (asked, granted, aKey) => {
      const [own, given, met] = [areas(asked), areas(granted), areas(effectivePermissions(asked, granted))];
      for (const area of keys) t.is(met[area](aKey), own[area](aKey) && given[area](aKey));
    }),
    seeded,
  );
});

test('effectivePermissions › granted what is asked for, give that', (t) => {
  fc.assert(
    fc.property(anyPermissions, topic, key, (asked, aTopic, aKey) => {
      const [own, met] = [areas(asked), areas(effectivePermissions(asked, asked))];
      for (const area of topics) t.is(met[area](aTopic), own[area](aTopic));
      for (const area of keys) t.is(met[area](aKey), own[area](aKey));
    }),
    seeded,
  );
});

test('effectivePermissions › a hook runs in the order and by the policy that was granted, and waits for the shorter time', (t) => {
  const asked: HookDeclaration = { match: ['orders.>'], order: 5, timeoutMs: 100, onFailure: 'skip' };
  const granted: HookDeclaration = {
    match: ['orders.*', 'other'],
    order: 9,
    timeoutMs: 500,
    onFailure: 'refuse',
  };
  const { hooks } = effectivePermissions(
    { ...noPermissions, hooks: { before_publish: asked, after_publish: asked } },
    { ...noPermissions, hooks: { before_publish: granted } },
  );
  t.deepEqual(hooks, {
    before_publish: { match: ['orders.*'], order: 9, timeoutMs: 100, onFailure: 'refuse' },
  });
});

test('effectiveLimits › are the lesser of each', (t) => {
  const granted: PluginLimits = { ...defaultLimits, memoryMb: 8, callsPerSec: 100_000 };
  t.deepEqual(effectiveLimits(defaultLimits, granted), { ...defaultLimits, memoryMb: 8 });
});

test('effectivePermissions › a manifest that asks for any origin gets those that are granted by name', (t) => {
  fc.assert(
    fc.property(anyPermissions, anyPermissions, (asked, granted) => {
      const both = effectivePermissions(
        { ...asked, fetch: [...asked.fetch, '*'] },
        { ...granted, fetch: ['*', ...granted.fetch] },
      );
      t.deepEqual(both.fetch, [...new Set(granted.fetch)]);
      t.deepEqual(effectivePermissions(asked, { ...granted, fetch: ['*'] }).fetch, []);
    }),
    seeded,
  );
});
