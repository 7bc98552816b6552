import { replySegment } from '../../domain/names.ts';
import type { Limits, RetentionPolicy } from '../../domain/retention/retention.ts';
import { createTopicTrie } from '../watch/topic-trie.ts';

/** The lesser one; null is no limit. */
const stricter = (left: number | null, right: number | null): number | null =>
  left === null || right === null ? (left ?? right) : Math.min(left, right);

/** Of several patterns that match a topic, the strictest limit of each kind holds. */
export type TopicLimits = {
  /** Undefined for a topic that no pattern matches. */
  of(topic: string): Limits | undefined;
};

/** Replies are of no use once their asker has them; the log knows a second reply by the first for as long. */
const repliesPattern = `${replySegment}.>`;
const repliesMaxAgeSec = 3_600;

/** The policies that hold where nobody has set one for the very pattern: replies to requests are kept for an hour. */
export const withDefaults = (policies: readonly RetentionPolicy[]): readonly RetentionPolicy[] =>
  policies.some(({ topic }) => topic === repliesPattern)
    ? policies
    : [
        ...policies,
        { topic: repliesPattern, maxAgeSec: repliesMaxAgeSec, maxMessages: null, maxBytes: null },
      ];

export const createTopicLimits = (policies: readonly RetentionPolicy[]): TopicLimits => {
  const trie = createTopicTrie<RetentionPolicy>();
  for (const policy of policies) trie.add(policy.topic, policy);
  return {
    of(topic) {
      let limits: Limits | undefined;
      trie.match(topic, (policy) => {
        limits = {
          maxAgeSec: stricter(limits?.maxAgeSec ?? null, policy.maxAgeSec),
          maxMessages: stricter(limits?.maxMessages ?? null, policy.maxMessages),
          maxBytes: stricter(limits?.maxBytes ?? null, policy.maxBytes),
        };
      });
      return limits;
    },
  };
};
