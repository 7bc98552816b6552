import { streamKey } from '../domain/event.ts';
import type { MessageEvent } from '../domain/message/message.ts';
import type { TopicDocument } from './documents.ts';
import type { Projection } from './projection.ts';

/**
 * The topics that were ever published on. `messages` counts those that retention took, too; `firstAt` is the time of
 * the oldest one that was folded.
 */
export const topics: Projection<TopicDocument, MessageEvent> = {
  name: 'topics',
  version: 1,
  category: 'topic',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    MessagePublished: (document, { data, metadata, revision, position }) => ({
      topic: data.topic,
      messages: revision + 1,
      firstAt: document?.firstAt ?? metadata.recordedAt,
      lastAt: metadata.recordedAt,
      revision,
      position,
    }),
  },
};
