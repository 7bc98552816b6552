import { streamKey } from '../domain/event.ts';
import type { StateEvent } from '../domain/state/state.ts';
import type { ExpiringDocument } from './documents.ts';
import type { Projection } from './projection.ts';

/** Nothing is written for the many keys that never expire. */
const removed = (document: ExpiringDocument | undefined): null | undefined =>
  document === undefined ? undefined : null;

/** The keys that have an expiry now: one document each, gone once the key is deleted or set to stay. */
export const expiring: Projection<ExpiringDocument, StateEvent> = {
  name: 'expiring',
  version: 1,
  category: 'state',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    StateSet: (document, { data, revision, position }) =>
      data.expiresAt === undefined
        ? removed(document)
        : { expiresAt: data.expiresAt, version: revision + 1, position },
    StateDeleted: removed,
  },
};
