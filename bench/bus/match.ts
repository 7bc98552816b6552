import { topicMatches } from '../../domain/names.ts';
import { createTopicTrie, type TopicTrie } from '../../src/watch/topic-trie.ts';
import { median, print } from '../support/measure.ts';
import type { PartOptions } from './part.ts';

const few = 1_000;
const many = 1_000_000;
const depths = [2, 4, 8, 16, 32];
/** Patterns that every topic is held against, at the root of the trie: wildcards in use at each level. */
const wide = ['*.*', '*.b0.>', '*.*.c.>'];

type Value = { readonly pattern: string };

/** The `n`-th topic: the depths come in turn, the first two segments tell those of one depth apart. */
const segmentsOf = (n: number): string[] => {
  const depth = depths[n % depths.length] ?? 4;
  const own = Math.floor(n / depths.length);
  const rest = Array.from({ length: depth - 2 }, () => 'c');
  return [`a${own % 1_000}`, `b${Math.floor(own / 1_000)}`, ...rest];
};

/** Matches the `n`-th topic and no other one: as it is, with a `*`, or with a `>` at the end. */
const patternOf = (n: number): string => {
  const segments = segmentsOf(n);
  const kind = Math.floor(n / depths.length) % 4;
  if (segments.length > 2 && kind === 1) segments[segments.length - 2] = '*';
  if (segments.length > 2 && kind === 3) segments[segments.length - 1] = '>';
  return segments.join('.');
};

const patternsOf = (size: number): string[] => [
  ...wide,
  ...Array.from({ length: size - wide.length }, (_, n) => patternOf(n)),
];

const trieOf = (patterns: readonly string[]): TopicTrie<Value> => {
  const trie = createTopicTrie<Value>();
  for (const pattern of patterns) trie.add(pattern, { pattern });
  return trie;
};

/** Nanoseconds per call of `work` with one topic after the other. */
const perCall = (topics: readonly string[], calls: number, work: (topic: string) => void): number => {
  const started = performance.now();
  for (let index = 0; index < calls; index++) work(topics[index % topics.length] ?? '');
  return ((performance.now() - started) * 1e6) / calls;
};

/**
 * Matching a topic against 1,000 and against 1,000,000 patterns, of which the same match, beside looking at each of the
 * 1,000. The topics are those of the first 1,000 patterns.
 */
export const benchMatch = async ({ rounds, scale }: PartOptions): Promise<void> => {
  const calls = Math.round(500_000 * scale);
  print(`\nTopic matching, ${calls} matches each`);
  const fewPatterns = patternsOf(few);
  const small = trieOf(fewPatterns);
  const started = performance.now();
  const large = trieOf(patternsOf(many));
  const seconds = (performance.now() - started) / 1_000;
  print(`  ${many} patterns: ${large.nodes} nodes, added in ${seconds.toFixed(1)} s`);
  let found = 0;
  const count = (): void => {
    found++;
  };
  for (const [kind, depth] of depths.entries()) {
    const topics = Array.from({ length: (few - wide.length) / depths.length }, (_, index) =>
      segmentsOf(index * depths.length + kind).join('.'),
    );
    const times = { few: [] as number[], many: [] as number[], each: [] as number[] };
    const matches = { few: 0, many: 0 };
    for (let round = 0; round < rounds; round++) {
      found = 0;
      times.few.push(perCall(topics, calls, (topic) => small.match(topic, count)));
      matches.few = found / calls;
      found = 0;
      times.many.push(perCall(topics, calls, (topic) => large.match(topic, count)));
      matches.many = found / calls;
      times.each.push(
        perCall(topics, Math.ceil(calls / 1_000), (topic) => {
          for (const pattern of fewPatterns) if (topicMatches(pattern, topic)) count();
        }),
      );
    }
    const [ofFew, ofMany, each] = [median(times.few), median(times.many), median(times.each)];
    print(
      `  depth ${String(depth).padStart(2)}: ${ofFew.toFixed(0)} ns against ${few} (${matches.few.toFixed(1)} match), ` +
        `${ofMany.toFixed(0)} ns against ${many} (${matches.many.toFixed(1)} match), ratio ${(ofMany / ofFew).toFixed(2)}; ` +
        `looking at each of ${few}: ${each.toFixed(0)} ns`,
    );
  }
};
