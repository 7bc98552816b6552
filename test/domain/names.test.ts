import test from 'ava';
import fc from 'fast-check';
import {
  isMethod,
  isPlainTopic,
  isReservedKey,
  isServiceId,
  isServiceName,
  isStateKey,
  isStatePrefix,
  isTopic,
  isTopicPattern,
  patternContains,
  topicMatches,
} from '../../domain/names.ts';
import { seeded } from '../support/arbitraries.ts';

const many = { ...seeded, numRuns: 2_000 };
const segments = (count: number): string => Array.from({ length: count }, () => 'a').join('.');

/** The grammar of the contract as it reads, to compare with. */
const topicGrammar = /^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,31}$/;
const patternGrammar = /^(?:(?:[A-Za-z0-9_-]{1,64}|\*)\.){0,31}(?:[A-Za-z0-9_-]{1,64}|\*|>)$/;

const nearTopics = fc.oneof(
  fc.array(fc.constantFrom('a', 'B', '9', '_', '-', '.', '.', '*', '>', '..', ' ', 'é', '\n'), {
    maxLength: 9,
  }),
  fc.array(fc.constantFrom('orders.', '*.', '>', 'x'), { maxLength: 40 }),
);

test('topic › is one exactly when it follows the grammar', (t) => {
  const property = fc.property(nearTopics, (parts) => {
    const text = parts.join('');
    t.is(isTopic(text), topicGrammar.test(text));
    t.is(isTopicPattern(text), patternGrammar.test(text));
    t.is(isTopicPattern(text) && isPlainTopic(text), isTopic(text));
  });
  t.notThrows(() => fc.assert(property, many));
});

test('topic › has 32 segments of 64 characters at most', (t) => {
  t.true(isTopic(segments(32)));
  t.false(isTopic(segments(33)));
  t.true(isTopic('a'.repeat(64)));
  t.false(isTopic('a'.repeat(65)));
  const longest = Array.from({ length: 32 }, () => 'a'.repeat(64)).join('.');
  t.true(isTopic(longest));
  t.false(isTopic(`${longest}a`));
  t.true(isTopicPattern(`${segments(31)}.>`));
  t.false(isTopicPattern(`${segments(32)}.>`));
});

const examples: readonly (readonly [pattern: string, topic: string, matches: boolean])[] = [
  ['user.*', 'user.created', true],
  ['user.*', 'user.created.eu', false],
  ['user.*', 'user', false],
  ['user.>', 'user.created', true],
  ['user.>', 'user.created.eu', true],
  ['user.>', 'user', false],
  ['*.created', 'user.created', true],
  ['*.*', 'user', false],
  ['>', 'user', true],
  ['user.created', 'user.created', true],
  ['user.created', 'user.creates', false],
  ['user', 'users', false],
  ['users', 'user', false],
];
for (const [pattern, topic, matches] of examples) {
  test(`${pattern} ${matches ? 'matches' : 'does not match'} ${topic}`, (t) => {
    t.is(topicMatches(pattern, topic), matches);
  });
}

test('a wildcard in the first place does not stand for _reply', (t) => {
  for (const pattern of ['>', '*', '*.*', '*.>', '*.node']) {
    t.false(topicMatches(pattern, '_reply.node'), pattern);
    t.false(topicMatches(pattern, '_reply'), pattern);
    t.false(patternContains(pattern, '_reply.>'), pattern);
  }
  for (const pattern of ['_reply.>', '_reply.*', '_reply.node']) {
    t.true(topicMatches(pattern, '_reply.node'), pattern);
    t.true(patternContains('_reply.>', pattern), pattern);
  }
  t.true(topicMatches('>', '_replying.node'));
  t.true(topicMatches('>', 'a._reply'));
  t.true(patternContains('>', '>'));
});

test('a wildcard subscription is contained in a wider one only', (t) => {
  t.true(patternContains('orders.>', 'orders.*'));
  t.true(patternContains('orders.*', 'orders.*'));
  t.false(patternContains('orders.*', 'orders.>'));
  t.false(patternContains('orders.*', '>'));
  t.false(patternContains('*.>', '>'));
  t.false(patternContains('orders.a', 'orders.*'));
});

/** Matching as the contract puts it, segment by segment, without the code under test. */
const matchesByHand = (pattern: readonly string[], topic: readonly string[]): boolean => {
  const [head] = pattern;
  if ((head === '>' || head === '*') && topic[0] === '_reply') return false;
  return restMatchesByHand(pattern, topic);
};
const restMatchesByHand = (pattern: readonly string[], topic: readonly string[]): boolean => {
  const [head, ...tail] = pattern;
  if (head === undefined) return topic.length === 0;
  if (head === '>') return topic.length > 0;
  const [first, ...others] = topic;
  return first !== undefined && (head === '*' || head === first) && restMatchesByHand(tail, others);
};
const alphabet = ['a', 'b', 'ab', '_reply'];
const anyTopic = fc.array(fc.constantFrom(...alphabet), { minLength: 1, maxLength: 5 });
const anyPattern = fc
  .tuple(
    fc.array(fc.constantFrom(...alphabet, '*', '*'), { maxLength: 4 }),
    fc.constantFrom('a', 'b', '*', '>'),
  )
  .map(([front, last]) => [...front, last]);

test('a topic matches a pattern exactly as the contract puts it', (t) => {
  const property = fc.property(anyPattern, anyTopic, (pattern, topic) => {
    t.is(topicMatches(pattern.join('.'), topic.join('.')), matchesByHand(pattern, topic));
  });
  t.notThrows(() => fc.assert(property, many));
});

/** All topics of up to 4 segments; `c` stands for every segment that no pattern names. */
const named = ['a', 'b', '_reply', 'c'];
const allTopics: readonly (readonly string[])[] = [1, 2, 3, 4].flatMap((length) =>
  Array.from({ length: 4 ** length }, (_, code) =>
    Array.from({ length }, (__, place) => named[Math.floor(code / 4 ** place) % 4] ?? 'c'),
  ),
);
const shortPattern = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'b', '_reply', '*'), { maxLength: 2 }),
    fc.constantFrom('a', 'b', '*', '>'),
  )
  .map(([front, last]) => [...front, last]);

test('a pattern contains another exactly when every topic that matches the inner matches the outer', (t) => {
  const property = fc.property(shortPattern, shortPattern, (outer, inner) => {
    const all = allTopics.every((topic) => !matchesByHand(inner, topic) || matchesByHand(outer, topic));
    t.is(patternContains(outer.join('.'), inner.join('.')), all);
  });
  t.notThrows(() => fc.assert(property, many));
});

test('key › has 1 to 512 bytes of UTF-8, however many characters they are', (t) => {
  t.false(isStateKey(''));
  t.true(isStateKey('k'.repeat(512)));
  t.false(isStateKey('k'.repeat(513)));
  t.true(isStateKey('é'.repeat(256)));
  t.false(isStateKey(`${'é'.repeat(256)}k`));
  t.true(isStateKey('😀'.repeat(128)));
  t.false(isStateKey(`${'😀'.repeat(128)}k`));
});

test('key › has no control character', (t) => {
  for (const code of [0, 9, 10, 13, 31, 127, 128, 159])
    t.false(isStateKey(`a${String.fromCodePoint(code)}b`));
  for (const code of [32, 160, 0x2028]) t.true(isStateKey(`a${String.fromCodePoint(code)}b`));
});

test('key › is well-formed: no half of a surrogate pair', (t) => {
  t.true(isStateKey('\u{1F600}'));
  for (const half of ['\uD83D', '\uDE00', 'a\uD83D', '\uDE00\uD83D', '\uDE00\uDE00'])
    t.false(isStateKey(half));
});

/** Code units too that are no character by themselves. */
const anyUnit = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code));

test('key › is one exactly when its bytes decode to it again, within bounds', (t) => {
  const property = fc.property(fc.string({ unit: anyUnit, minLength: 1, maxLength: 40 }), (text) => {
    const bytes = Buffer.from(text, 'utf8');
    const wellFormed = bytes.toString('utf8') === text;
    const controls = [...text].some((character) => /\p{Cc}/u.test(character));
    t.is(isStateKey(text), wellFormed && !controls && bytes.length <= 512);
  });
  t.notThrows(() => fc.assert(property, many));
});

test('prefix › is a key, or empty', (t) => {
  t.true(isStatePrefix(''));
  t.true(isStatePrefix('app/'));
  t.false(isStatePrefix('a\nb'));
});

test('key › under nexus/ and plugin/ is reserved, and only there', (t) => {
  for (const key of ['nexus/', 'nexus/a', 'plugin/x/y']) t.true(isReservedKey(key));
  for (const key of ['nexus', 'plugins/x', 'a/nexus/', 'Nexus/a']) t.false(isReservedKey(key));
});

test('service name, id and method › keep to their grammar', (t) => {
  for (const name of ['a', '0', 'memory-store.v2_x', `a${'b'.repeat(63)}`]) t.true(isServiceName(name));
  for (const name of ['', '-a', 'A', 'a b', 'a\n', `a${'b'.repeat(64)}`]) t.false(isServiceName(name));
  for (const id of ['a', '.', '-A_9', 'x'.repeat(128)]) t.true(isServiceId(id));
  for (const id of ['', 'a/b', 'a b', 'é', 'x'.repeat(129)]) t.false(isServiceId(id));
  const longest = Array.from({ length: 8 }, () => 'm'.repeat(64)).join('/');
  for (const method of ['run', 'v1/run', longest]) t.true(isMethod(method));
  for (const method of ['', '/run', 'run/', 'a//b', 'a.b', '..', `${longest}/a`, `${longest}m`])
    t.false(isMethod(method));
});
