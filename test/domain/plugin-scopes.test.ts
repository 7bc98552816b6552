import test from 'ava';
import fc from 'fast-check';
import { allows, type Requirement } from '../../domain/access.ts';
import { patternContains } from '../../domain/names.ts';
import { noPermissions, type PluginPermissions } from '../../domain/plugin/manifest.ts';
import { pluginSubject } from '../../domain/plugin/scopes.ts';
import { seeded } from '../support/arbitraries.ts';

const keys = [
  'app',
  'app/a',
  'app/a/b',
  'apple',
  'nexus',
  'nexus/nodes',
  'plugin',
  'plugin/',
  'plugin/me',
  'plugin/me/',
  'plugin/me/a',
  'plugin/mean/a',
  'plugin/other/a',
] as const;
const prefixes = [
  '',
  'a',
  'app',
  'app/',
  'n',
  'nexus/',
  'p',
  'plugin/',
  'plugin/me',
  'plugin/me/',
  'plugin/o',
];
const topics = ['orders', 'orders.new', 'orders.new.eu', 'mail.new', '_reply.n'] as const;
const patterns = ['orders.*', 'orders.>', '>', '*', '*.new'] as const;
const services = ['billing', 'bill', 'mail'] as const;

const someOf = <Text extends string>(...texts: readonly Text[]) =>
  fc.subarray([...texts], { maxLength: Math.min(3, texts.length) });
const keyPatterns = someOf(...keys, ...prefixes.map((prefix) => `${prefix}*`));
const topicPatterns = someOf(...topics, ...patterns);
const permissions: fc.Arbitrary<PluginPermissions> = fc.record({
  publish: topicPatterns,
  subscribe: topicPatterns,
  state: fc.record({ read: keyPatterns, write: keyPatterns }),
  services: fc.record({ list: fc.boolean(), invoke: someOf(...services, 'bill*', '*') }),
  fetch: someOf('https://example.com'),
  hooks: fc.constant({}),
  resolvers: someOf('newest'),
});

const requirements: readonly Requirement[] = [
  ...keys.flatMap((key): readonly Requirement[] => [
    { scope: 'state:read', key },
    { scope: 'state:write', key },
  ]),
  ...prefixes.map((prefix): Requirement => ({ scope: 'state:read', prefix })),
  ...[...topics, ...patterns].flatMap((topic): readonly Requirement[] => [
    { scope: 'events:read', topic },
    { scope: 'events:publish', topic },
  ]),
  ...services.map((service): Requirement => ({ scope: 'services:invoke', service })),
  ...(['services:read', 'services:write', 'log:read', 'plugins:admin', 'admin'] as const).map(
    (scope): Requirement => ({ scope }),
  ),
];

const isOf = (pattern: string, text: string): boolean =>
  pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : pattern === text;

const isForeign = (key: string): boolean => /^(?:nexus|plugin)\//.test(key) && !key.startsWith('plugin/me/');

/** The permissions read as words, without scopes. */
const expected = (granted: PluginPermissions, requirement: Requirement): boolean => {
  switch (requirement.scope) {
    case 'events:publish':
      return granted.publish.some((pattern) => patternContains(pattern, requirement.topic));
    case 'events:read':
      return granted.subscribe.some((pattern) => patternContains(pattern, requirement.topic));
    case 'services:invoke':
      return granted.services.invoke.some((pattern) => isOf(pattern, requirement.service));
    case 'services:read':
      return granted.services.list;
    case 'state:write': {
      const { key } = requirement;
      if (key.startsWith('plugin/me/')) return true;
      return !isForeign(key) && granted.state.write.some((pattern) => isOf(pattern, key));
    }
    case 'state:read': {
      if ('key' in requirement) {
        const { key } = requirement;
        if (key.startsWith('plugin/me/')) return true;
        return !isForeign(key) && granted.state.read.some((pattern) => isOf(pattern, key));
      }
      const { prefix } = requirement;
      if (prefix.startsWith('plugin/me/')) return true;
      const reaches = ['nexus/x', 'plugin/x', 'plugin/', 'nexus/'].some((key) => key.startsWith(prefix));
      if (reaches || isForeign(prefix)) return false;
      return granted.state.read.some((pattern) => pattern.endsWith('*') && isOf(pattern, prefix));
    }
    default:
      return false;
  }
};

test('the scopes of a plugin allow what its permissions say and its own keys, and nothing else', (t) => {
  let allowed = 0;
  fc.assert(
    fc.property(permissions, (granted) => {
      const subject = pluginSubject('me', granted);
      for (const requirement of requirements) {
        const is = allows(subject, requirement);
        if (is !== expected(granted, requirement))
          throw new Error(`${JSON.stringify(requirement)} is ${is ? 'allowed' : 'refused'}`);
        if (is) allowed++;
      }
    }),
    seeded,
  );
  t.true(allowed > 1_000, 'hardly anything was allowed');
});

test('a plugin without permissions has the keys under its name, to read and to write, and nothing else', (t) => {
  const subject = pluginSubject('me', noPermissions);
  t.is(subject.id, 'plugin:me');
  const allowed = requirements.filter((requirement) => allows(subject, requirement));
  t.deepEqual(
    allowed.map(({ scope, ...rest }) => `${scope} ${Object.values(rest).join()}`),
    [
      'state:read plugin/me/',
      'state:write plugin/me/',
      'state:read plugin/me/a',
      'state:write plugin/me/a',
      'state:read plugin/me/',
    ],
  );
});

test('a permission that is no pattern makes no other scope', (t) => {
  const odd = ['admin', ' admin', 'x admin', '', 'a b', '*:admin'];
  const subject = pluginSubject('me', {
    ...noPermissions,
    publish: odd,
    subscribe: odd,
    state: { read: odd, write: odd },
    services: { list: false, invoke: odd },
  });
  t.false(subject.scopes.includes('admin'));
  t.deepEqual(
    requirements.filter(
      (requirement) =>
        allows(subject, requirement) && !allows(pluginSubject('me', noPermissions), requirement),
    ),
    [],
  );
});

test('other subjects read the reserved keys as before', (t) => {
  const ann = { id: 'ann', scopes: ['state:read:*'] };
  t.true(allows(ann, { scope: 'state:read', key: 'plugin/other/a' }));
  t.true(allows(ann, { scope: 'state:read', prefix: '' }));
});
