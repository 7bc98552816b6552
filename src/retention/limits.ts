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
