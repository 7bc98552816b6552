import test from 'ava';
import fc from 'fast-check';
import { topicMatches } from '../../domain/names.ts';
import { createTopicTrie, type TopicTrie } from '../../src/watch/topic-trie.ts';
import { seeded } from '../support/arbitraries.ts';

type Watcher = { readonly name: string };

const namesFor = (trie: TopicTrie<Watcher>, topic: string): readonly string[] => {
  const names: string[] = [];
  trie.match(topic, ({ name }) => names.push(name));
  return names.toSorted();
};

/** Each pattern stands for itself: what a match visits is the list of the patterns that match. */
const trieOf = (...patterns: readonly string[]): TopicTrie<Watcher> => {
  const trie = createTopicTrie<Watcher>();
  for (const name of patterns) trie.add(name, { name });
  return trie;
};

test('match › visits exact patterns, single wildcards and open ends', (t) => {
  const patterns = ['user.created', 'user.*', 'user.>', '>', '*.*', '*', 'user', 'order.>', '*.created.>'];
  const trie = trieOf(...patterns);
  t.deepEqual(namesFor(trie, 'user.created'), ['*.*', '>', 'user.*', 'user.>', 'user.created']);
  t.deepEqual(namesFor(trie, 'user.created.eu'), ['*.created.>', '>', 'user.>']);
  t.deepEqual(namesFor(trie, 'user'), ['*', '>', 'user']);
  t.deepEqual(namesFor(trie, 'other.thing.else'), ['>']);
});

test('match › of a reply topic visits those alone who name its first segment', (t) => {
  const trie = trieOf('>', '*', '*.>', '*.n1', '_reply.>', '_reply.*', '_reply.n1', '_reply');
  t.deepEqual(namesFor(trie, '_reply.n1'), ['_reply.*', '_reply.>', '_reply.n1']);
  t.deepEqual(namesFor(trie, '_reply'), ['_reply']);
  t.deepEqual(namesFor(trieOf('>'), '_reply.n1'), []);
});

test('match › visits every value of a pattern, and a value once per pattern that matches', (t) => {
  const trie = createTopicTrie<Watcher>();
  const [ann, bob] = [{ name: 'ann' }, { name: 'bob' }];
  trie.add('a.*', ann);
  trie.add('a.*', bob);
  trie.add('a.b', ann);
  t.deepEqual(namesFor(trie, 'a.b'), ['ann', 'ann', 'bob']);
});

test('add › of the same value under the same pattern counts once', (t) => {
  const trie = createTopicTrie<Watcher>();
  const [ann, bob] = [{ name: 'ann' }, { name: 'bob' }];
  t.true(trie.add('a', ann));
  t.false(trie.add('a', ann));
  t.true(trie.add('a', bob));
  t.false(trie.add('a', bob));
  t.is(trie.size, 2);
});

test('delete › of what does not stand there changes nothing', (t) => {
  const trie = createTopicTrie<Watcher>();
  const ann = { name: 'ann' };
  trie.add('a.b', ann);
  for (const pattern of ['a', 'a.*', 'a.>', 'a.b.c', 'x']) t.false(trie.delete(pattern, ann));
  t.false(trie.delete('a.b', { name: 'ann' }));
  t.is(trie.size, 1);
  t.deepEqual(namesFor(trie, 'a.b'), ['ann']);
  t.true(trie.delete('a.b', ann));
  t.is(trie.size, 0);
});

test('a visit may delete what it visits', (t) => {
  const trie = createTopicTrie<Watcher>();
  for (const name of ['one', 'two', 'three']) trie.add('a.>', { name });
  const seen: string[] = [];
  trie.match('a.b', (watcher) => {
    seen.push(watcher.name);
    trie.delete('a.>', watcher);
  });
  t.is(seen.length, 3);
  t.is(trie.size, 0);
});

const pattern = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'c', '*'), { maxLength: 3 }), fc.constantFrom('a', 'b', '*', '>'))
  .map(([front, last]) => [...front, last].join('.'));
const topic = fc
  .array(fc.constantFrom('a', 'b', 'c', 'd', '_reply'), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join('.'));

test('after any adds and deletes, a match visits exactly the patterns that match', (t) => {
  const steps = fc.array(fc.tuple(fc.boolean(), pattern, fc.nat({ max: 2 })), { maxLength: 40 });
  const watchers = ['x', 'y', 'z'].map((name) => ({ name }));
  const property = fc.property(steps, fc.array(topic, { minLength: 1, maxLength: 5 }), (changes, asked) => {
    const trie = createTopicTrie<Watcher>();
    const expected = new Map<string, readonly [pattern: string, name: string]>();
    for (const [add, text, index] of changes) {
      const watcher = watchers[index];
      if (watcher === undefined) continue;
      const id = `${text} ${watcher.name}`;
      t.is(add ? trie.add(text, watcher) : trie.delete(text, watcher), add !== expected.has(id));
      if (add) expected.set(id, [text, watcher.name]);
      else expected.delete(id);
    }
    t.is(trie.size, expected.size);
    for (const one of asked) {
      const wanted = [...expected.values()].filter(([text]) => topicMatches(text, one));
      t.deepEqual(namesFor(trie, one), wanted.map(([, name]) => name).toSorted());
    }
  });
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 500 }));
});

test('delete › leaves no empty node behind', (t) => {
  const trie = createTopicTrie<Watcher>();
  const patterns = ['a', 'a.b.c.d', 'a.*.c', 'a.*.>', 'a.b.>', '*.*.*', '>', 'b.c', 'b.d', 'b.e'];
  const watchers = patterns.map((name) => ({ name }));
  for (const watcher of watchers) trie.add(watcher.name, watcher);
  const full = trie.nodes;
  t.true(full > 0);
  trie.delete('a.b.c.d', watchers[1] ?? { name: '' });
  t.is(trie.nodes, full - 2);
  for (const watcher of watchers) trie.delete(watcher.name, watcher);
  t.is(trie.nodes, 0);
});
