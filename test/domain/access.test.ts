import test from 'ava';
import fc from 'fast-check';
import { allows, describeRequirement, isScope, type Requirement, type Subject } from '../../domain/access.ts';
import { topicMatches } from '../../domain/names.ts';
import { seeded } from '../support/arbitraries.ts';

const holding = (...scopes: readonly string[]): Subject => ({ id: 'ann', scopes });

const read = (key: string): Requirement => ({ scope: 'state:read', key });
const write = (key: string): Requirement => ({ scope: 'state:write', key });
const prefix = (text: string): Requirement => ({ scope: 'state:read', prefix: text });
const hear = (topic: string): Requirement => ({ scope: 'events:read', topic });
const publish = (topic: string): Requirement => ({ scope: 'events:publish', topic });
const invoke = (service: string): Requirement => ({ scope: 'services:invoke', service });

const plain: readonly Requirement[] = (
  ['services:read', 'services:write', 'log:read', 'plugins:admin', 'admin'] as const
).map((scope) => ({ scope }));
const every: readonly Requirement[] = [
  ...plain,
  read('app/x'),
  write('app/x'),
  write('nexus/x'),
  prefix(''),
  hear('>'),
  publish('a.b'),
  invoke('memory'),
];

const granted: readonly (readonly [scope: string, requirement: Requirement])[] = [
  ['services:invoke:memory', invoke('memory')],
  ['services:invoke:mem*', invoke('memory')],
  ['services:invoke:*', invoke('memory')],
  ['events:publish:orders.created', publish('orders.created')],
  ['events:publish:orders.*', publish('orders.created')],
  ['events:read:orders.>', hear('orders.*')],
  ['events:read:>', hear('>')],
  ['events:read:_reply.>', hear('_reply.node')],
  ['state:read:app/x', read('app/x')],
  ['state:read:app/*', read('app/x')],
  ['state:read:*', read('nexus/nodes')],
  ['state:read:a:b*', read('a:b/c')],
  ['state:read:app/*', prefix('app/')],
  ['state:read:app/*', prefix('app/x')],
  ['state:read:*', prefix('')],
  ['state:write:app/*', write('app/x')],
  ['state:write:*', write('nexus')],
];
for (const [scope, requirement] of granted) {
  test(`${scope} covers ${JSON.stringify(requirement)}`, (t) => {
    t.true(allows(holding(scope), requirement));
    t.true(allows(holding('log:read', scope), requirement));
  });
}

const refused: readonly (readonly [scope: string, requirement: Requirement])[] = [
  ['events:read:>', hear('_reply.node')],
  ['events:read:*.*', hear('_reply.*')],
  ['events:publish:>', publish('_reply.node')],
  ['services:invoke:memory', invoke('memory2')],
  ['services:invoke:memory*', invoke('mem')],
  ['services:invoke:m*y', invoke('m*y')],
  ['services:invoke:m*y', invoke('memory')],
  ['services:invoke:m**', invoke('memory')],
  ['services:invoke', invoke('memory')],
  ['services:invoke:', invoke('')],
  ['events:read:orders.*', hear('orders.>')],
  ['events:read:orders.*', hear('>')],
  ['events:read:orders.*', publish('orders.created')],
  ['events:read:*', hear('orders.created')],
  ['events:publish:orders.>.x', publish('orders.a.x')],
  ['events:publish:a..b', publish('a..b')],
  ['events:publish:', publish('')],
  ['events:publish', publish('a')],
  ['events:publish:or*', publish('orders')],
  ['state:read:app/x', read('app/xy')],
  ['state:read:app/x', read('app/')],
  ['state:read:app/x', prefix('app/x')],
  ['state:read:app/x*', prefix('app/')],
  ['state:read:app/*', prefix('')],
  ['state:read:', read('')],
  ['state:read', read('x')],
  ['state:read:*', write('x')],
  ['state:write:*', read('x')],
  ['state:write:*', write('nexus/x')],
  ['state:write:*', write('plugin/x')],
  ['state:write:nexus/*', write('nexus/x')],
  ['state:write:nexus/x', write('nexus/x')],
  ['state:read:a\nb*', read('a\nbc')],
  ['state:read:a\nb*', prefix('a\nbc')],
  ['services:invoke:M*', invoke('Memory')],
  ['services:read:x', { scope: 'services:read' }],
  ['services:readx', { scope: 'services:read' }],
  ['services', { scope: 'services:read' }],
  ['services:write', { scope: 'services:read' }],
  ['plugins:admin', { scope: 'admin' }],
  ['admin:x', { scope: 'admin' }],
  ['Admin', { scope: 'admin' }],
  ['', { scope: 'admin' }],
];
for (const [scope, requirement] of refused) {
  test(`${JSON.stringify(scope)} does not cover ${JSON.stringify(requirement)}`, (t) => {
    t.false(allows(holding(scope), requirement));
  });
}

test('admin covers everything, and no scope at all nothing', (t) => {
  for (const requirement of every) {
    t.true(allows(holding('admin'), requirement));
    t.false(allows(holding(), requirement));
  }
});

test('a scope without a pattern covers itself and nothing else', (t) => {
  for (const { scope } of plain.filter((requirement) => requirement.scope !== 'admin'))
    for (const requirement of every) t.is(allows(holding(scope), requirement), requirement.scope === scope);
});

test('what is described is a scope that would do', (t) => {
  for (const requirement of every) t.true(allows(holding(describeRequirement(requirement)), requirement));
  t.is(describeRequirement(write('app/x')), 'state:write:app/x');
  t.is(describeRequirement(prefix('app/')), 'state:read:app/*');
  t.is(describeRequirement(write('nexus/x')), 'admin');
  t.is(describeRequirement(hear('orders.>')), 'events:read:orders.>');
  t.is(describeRequirement(invoke('memory')), 'services:invoke:memory');
});

const segment = fc.constantFrom('a', 'b', '*');
const pattern = fc
  .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom('a', '*', '>'))
  .map(([front, last]) => [...front, last].join('.'));
const topic = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join('.'));

test('whoever may hear a pattern may hear every topic that matches it', (t) => {
  const property = fc.property(pattern, pattern, topic, (scope, wanted, one) => {
    const subject = holding(`events:read:${scope}`);
    t.true(!allows(subject, hear(wanted)) || !topicMatches(wanted, one) || allows(subject, hear(one)));
  });
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 3_000 }));
});

test('whoever may read a prefix may read every key that begins with it', (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', '/', 'é', '*'), maxLength: 4 });
  const property = fc.property(text, fc.boolean(), text, text, (scope, open, wanted, more) => {
    const subject = holding(`state:read:${scope}${open ? '*' : ''}`);
    const key = `${wanted}${more}`;
    t.true(!allows(subject, prefix(wanted)) || key === '' || allows(subject, read(key)));
  });
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 3_000 }));
});

test('no text makes a scope that throws, or that reaches a reserved key', (t) => {
  const scope = fc.oneof(
    fc.string(),
    fc.string().map((text) => `state:write:${text}`),
    fc.string().map((text) => `state:write:nexus/${text}*`),
  );
  const property = fc.property(scope, (text) => {
    t.is(allows(holding(text), write('nexus/nodes')), text === 'admin');
  });
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 1_000 }));
});

test('a scope is what could cover something, and what covers something is a scope', (t) => {
  for (const [scope] of granted) t.true(isScope(scope) || scope.includes(' '), scope);
  for (const requirement of every) t.true(isScope(describeRequirement(requirement)));
  for (const text of [
    '',
    'root',
    'admin ',
    'admin:x',
    'services:read:x',
    'services:invoke',
    'services:invoke:',
    'services:invoke:A*',
    'events:read:a.>.b',
    'events:hear:a',
    'state:read:',
    'state:read:a b',
    'state:write:\u0000',
    '__proto__',
  ])
    t.false(isScope(text), text);
  const text = fc.string({ unit: fc.constantFrom('a', 'A', '/', '.', '*', '>', ':', ' '), maxLength: 4 });
  const name = fc.constantFrom('services:invoke:', 'events:read:', 'events:publish:', 'state:read:', '');
  const property = fc.property(name, text, text, (front, pattern, wanted) => {
    const scope = `${front}${pattern}`;
    const met = [hear(wanted), publish(wanted), invoke(wanted), read(wanted), prefix(wanted)].some((one) =>
      allows(holding(scope), one),
    );
    t.true(!met || isScope(scope) || scope.includes(' '), JSON.stringify([scope, wanted]));
  });
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 3_000 }));
});

test('a plugin writes under its own name without a scope, and nobody else does', (t) => {
  const plugin = { id: 'plugin:cart', scopes: [] };
  t.true(allows(plugin, write('plugin/cart/total')));
  for (const key of [
    'plugin/cart',
    'plugin/cart2/x',
    'plugin//x',
    'plugin/',
    'x',
    'nexus/x',
    'Plugin/cart/x',
  ])
    t.false(allows(plugin, write(key)), key);
  t.false(allows(plugin, read('plugin/cart/total')));
  for (const id of ['cart', 'plugin:', 'plugin:cart/', 'Plugin:cart', 'plugin:carts'])
    t.false(allows({ id, scopes: ['state:write:*'] }, write('plugin/cart/total')), id);
});
