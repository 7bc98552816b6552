import type { MessageEvent } from '../domain/message/message.ts';
import type { ScheduledDocument } from './documents.ts';
import type { Projection } from './projection.ts';

/** Before every key of a message that is due at `time` (RFC 3339 UTC with milliseconds) or later. */
export const scheduledFrom = (time: string): string => time;
export const dueOfKey = (key: string): string => key.slice(0, key.indexOf('/'));

/**
 * Messages that were to be delivered later than they were published, by the time at which they are due, then by
 * position. A message that was due when it was recorded is none of them.
 */
export const scheduled: Projection<ScheduledDocument, MessageEvent> = {
  name: 'scheduled',
  version: 1,
  category: 'topic',
  keepsHistory: false,
  keys: ({ data, metadata, position }) =>
    data.deliverAt !== undefined && data.deliverAt > metadata.recordedAt
      ? [`${data.deliverAt}/${position}`]
      : [],
  on: {
    MessagePublished: (_document, { data, revision, position }) => ({
      topic: data.topic,
      revision,
      priority: data.priority,
      position,
    }),
  },
};
