import type { PolicyRejection } from '../policies.ts';

/** What a topic may keep; null is no limit of that kind. */
export type Limits = {
  /** Messages that were recorded longer ago are removed. */
  readonly maxAgeSec: number | null;
  readonly maxMessages: number | null;
  /** Of the messages as the log encodes them: id, type, data and metadata. */
  readonly maxBytes: number | null;
};

/** The limits of every topic that matches the pattern `topic`, each topic by itself. */
export type RetentionPolicy = Limits & { readonly topic: string };

export type RetentionEvent =
  | { readonly type: 'RetentionSet'; readonly data: RetentionPolicy }
  | { readonly type: 'RetentionRemoved'; readonly data: { readonly topic: string } };

/** Setting replaces all limits that the pattern had. */
export type RetentionCommand =
  | ({ readonly type: 'SetRetention' } & RetentionPolicy)
  | { readonly type: 'RemoveRetention'; readonly topic: string };

export type RetentionRejection = PolicyRejection;

/** In the order in which the patterns were first set. */
export type RetentionState = { readonly policies: readonly RetentionPolicy[] };

/**
 * Messages of a topic were removed, in the stream `trim-{topic}`, of which the newest event is kept. It is recorded
 * before they are hidden, so that no reader passes them without a word.
 */
export type TopicTrimmedEvent = {
  readonly type: 'TopicTrimmed';
  readonly data: {
    readonly topic: string;
    /** Revision of the oldest message that is left. */
    readonly before: number;
    /** Position of the newest message that was removed. */
    readonly position: string;
  };
};
