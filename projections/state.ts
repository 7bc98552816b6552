import { type RecordedEvent, streamKey } from '../domain/event.ts';
import type { StateEvent, StateState } from '../domain/state/state.ts';
import type { StateDocument } from './documents.ts';
import type { Projection } from './projection.ts';

/** Of a document, what the event that made it says. */
export type WhatItSets = Pick<StateDocument, 'value' | 'deleted' | 'expiresAt' | 'lock' | 'resolvedBy'>;

const documentOf = (
  event: RecordedEvent<StateEvent>,
  { value, deleted, ...rest }: WhatItSets,
): StateDocument => ({
  value,
  version: event.revision + 1,
  deleted,
  updatedAt: event.metadata.recordedAt,
  updatedBy: event.metadata.actor,
  eventId: event.id,
  position: event.position,
  ...rest,
});

export const whatItSets = ({
  value,
  expiresAt,
  lock,
  resolution,
}: Extract<StateEvent, { type: 'StateSet' }>['data']): WhatItSets => ({
  value,
  deleted: false,
  ...(expiresAt === undefined ? {} : { expiresAt }),
  ...(lock === undefined ? {} : { lock }),
  ...(resolution === undefined ? {} : { resolvedBy: resolution.resolver }),
});

/** The versioned state: one document per key, deleted ones included (`value: null`). */
export const state: Projection<StateDocument, StateEvent> = {
  name: 'state',
  version: 1,
  category: 'state',
  keepsHistory: true,
  keys: (event) => [streamKey(event.stream)],
  on: {
    StateSet: (_document, event) => documentOf(event, whatItSets(event.data)),
    StateDeleted: (_document, event) => documentOf(event, { value: null, deleted: true }),
  },
};

/** The decider's state as of revision `document.version - 1`, so that a command need not fold the stream. */
export const restoreState = ({ deleted, version, value, expiresAt, lock }: StateDocument): StateState => ({
  exists: !deleted,
  version,
  value,
  ...(expiresAt === undefined ? {} : { expiresAt }),
  ...(lock === undefined ? {} : { lock }),
});
