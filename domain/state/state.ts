import type { Json } from '../event.ts';

/** How a conflict was settled (issue of the resolvers); absent when there was none. */
export type Resolution = {
  readonly resolver: string;
  readonly base: Json;
  readonly current: Json;
  readonly incoming: Json;
};

export type StateEvent =
  | { readonly type: 'StateSet'; readonly data: { readonly value: Json; readonly resolution?: Resolution } }
  | { readonly type: 'StateDeleted'; readonly data: Record<string, never> };

/** `expectedVersion` 0: the key must not exist. Absent: whatever it is. */
export type StateCommand =
  | { readonly type: 'SetState'; readonly value: Json; readonly expectedVersion?: number }
  | { readonly type: 'DeleteState'; readonly expectedVersion?: number };

export type StateRejection =
  | { readonly code: 'not_found' }
  | {
      readonly code: 'version_conflict';
      readonly expectedVersion: number;
      /** 0 when the key does not exist. */
      readonly currentVersion: number;
      readonly currentValue: Json;
    };

/** `version` counts every event of the key, deletions too, so it never comes twice. */
export type StateState = { readonly exists: boolean; readonly version: number; readonly value: Json };
