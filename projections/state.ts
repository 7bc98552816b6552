import { type Json, type RecordedEvent, streamKey } from '../domain/event.ts';
import type { StateEvent, StateState } from '../domain/state/state.ts';
import type { StateDocument } from './documents.ts';
import type { Projection } from './projection.ts';

const documentOf = (event: RecordedEvent<StateEvent>, value: Json, deleted: boolean): StateDocument => ({
  value,
  version: event.revision + 1,
  deleted,
  updatedAt: event.metadata.recordedAt,
  updatedBy: event.metadata.actor,
  eventId: event.id,
  position: event.position,
});

/** The versioned state: one document per key, deleted ones included (`value: null`). */
export const state: Projection<StateDocument, StateEvent> = {
  name: 'state',
  version: 1,
  category: 'state',
  keepsHistory: true,
  keys: (event) => [streamKey(event.stream)],
  on: {
    StateSet: (_document, event) => documentOf(event, event.data.value, false),
    StateDeleted: (_document, event) => documentOf(event, null, true),
  },
};

/** The decider's state as of revision `document.version - 1`, so that a command need not fold the stream. */
export const restoreState = (document: StateDocument): StateState => ({
  exists: !document.deleted,
  version: document.version,
  value: document.value,
});
