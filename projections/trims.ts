import { asPosition, type RecordedEvent, streamKey } from '../domain/event.ts';
import type { TrimmedEvent } from '../domain/retention/trims.ts';
import type { TrimDocument } from './documents.ts';
import type { Projection } from './projection.ts';
import { state } from './state.ts';

const documentOf = ({ data, position }: RecordedEvent<TrimmedEvent>): TrimDocument => ({
  before: data.before,
  removedTo: data.position,
  position,
});

/** Up to where the messages of each topic and the versions of each state key were removed: by the id of the record. */
export const trims: Projection<TrimDocument, TrimmedEvent> = {
  name: 'trims',
  version: 2,
  category: 'trim',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    TopicTrimmed: (_document, event) => documentOf(event),
    StateTrimmed: (_document, event) => documentOf(event),
  },
  forgets: ({ type, data }) =>
    type === 'StateTrimmed' ? { model: state.name, key: data.key, to: asPosition(data.position) } : undefined,
};
