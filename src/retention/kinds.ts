import type { StreamId } from '../../domain/event.ts';
import { streamId } from '../../domain/event.ts';
import type { Limits } from '../../domain/retention/retention.ts';
import type { RetentionDocument, TopicDocument } from '../../projections/documents.ts';
import { retention, retentionKey } from '../../projections/retention.ts';
import { topics } from '../../projections/topics.ts';
import type { Runner } from '../projection/runner.ts';
import { createTopicLimits, type TopicLimits, withDefaults } from './limits.ts';

/** An id, and the revision of the newest event of its stream. */
export type Candidate = readonly [id: string, newest: number];

/** What retention cuts: streams of one kind, each named by an id, with limits of their own. */
export type Kind = {
  /** Read model that has a document for each id. */
  readonly model: string;
  /** An event is as old as the one this many revisions behind it: 0 counts from its own recording, 1 from its replacement. */
  readonly agesBy: 0 | 1;
  streamOf(id: string): StreamId;
  newestOf(id: string): number | undefined;
  /** Takes over what was set since. True when limits are others than at the last call; the first call always is. */
  refresh(): boolean;
  /** Undefined for an id without limits, and while they are not known. */
  limitsOf(id: string): Limits | undefined;
  /** Prefixes of all ids that may have limits; none is a prefix of another. */
  prefixes(): readonly string[];
  /** In the order of the ids; lazy, and valid only until the caller awaits. */
  range(prefix: string, after: string | undefined): Iterable<Candidate>;
  close(): void;
};

/** Topics, and the policies of `PUT /retention/{pattern}`. */
export const createTopicKind = (runner: Runner, onPolicies: () => void): Kind => {
  let limits: TopicLimits | undefined;
  /** Revision of the policies that `limits` are of. */
  let limitsAt: number | undefined;
  const unfollow = runner.onFolded((changes) => {
    if (changes.some(({ model }) => model === retention.name)) onPolicies();
  });

  return {
    model: topics.name,
    agesBy: 0,
    streamOf: (topic) => streamId('topic', topic),
    newestOf: (topic) => runner.store.read<TopicDocument>(topics.name, topic)?.revision,
    refresh() {
      const document = runner.store.read<RetentionDocument>(retention.name, retentionKey);
      if (limits !== undefined && document?.revision === limitsAt) return false;
      limitsAt = document?.revision;
      limits = createTopicLimits(withDefaults(document?.policies ?? []));
      return true;
    },
    limitsOf: (topic) => limits?.of(topic),
    prefixes: () => [''],
    *range(prefix, after) {
      const options = after === undefined ? { prefix } : { prefix, after };
      for (const [topic, { revision }] of runner.store.range<TopicDocument>(topics.name, options))
        yield [topic, revision];
    },
    close: unfollow,
  };
};
