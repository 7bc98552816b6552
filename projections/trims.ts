import { streamKey } from '../domain/event.ts';
import type { TopicTrimmedEvent } from '../domain/retention/retention.ts';
import type { TrimDocument } from './documents.ts';
import type { Projection } from './projection.ts';

/** Up to where the messages of each topic were removed: one document per topic that ever was trimmed. */
export const trims: Projection<TrimDocument, TopicTrimmedEvent> = {
  name: 'trims',
  version: 1,
  category: 'trim',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    TopicTrimmed: (_document, { data, position }) => ({
      before: data.before,
      removedTo: data.position,
      position,
    }),
  },
};
