import type { Json } from '../event.ts';
import type { PatchOperation } from '../json-patch.ts';
import type { Resolver } from './resolvers.ts';

/** How a conflict was settled: `resolver` made the event's value of these three. */
export type Resolution = {
  readonly resolver: string;
  /** The value that the writer saw; null when it saw none. */
  readonly base: Json;
  readonly current: Json;
  readonly incoming: Json;
};

/** Who holds a key as a lock. `token` fences: it is the version by which the lock was taken, and only ever grows. */
export type Lock = { readonly holder: string; readonly token: number };

export type StateEvent =
  | {
      readonly type: 'StateSet';
      readonly data: {
        readonly value: Json;
        readonly resolution?: Resolution;
        /** RFC 3339: the key is deleted then, unless it is set again. */
        readonly expiresAt?: string;
        readonly lock?: Lock;
      };
    }
  | { readonly type: 'StateDeleted'; readonly data: { readonly reason?: 'expired' | 'released' } };

export type StatePatch =
  /** RFC 7396; of a key that does not exist it makes one. */
  | { readonly format: 'merge-patch'; readonly patch: Json }
  /** RFC 6902; the key must exist. */
  | { readonly format: 'json-patch'; readonly patch: readonly PatchOperation[] };

/** `expectedVersion` 0: the key must not exist. Absent: whatever it is. */
export type StateCommand =
  | {
      readonly type: 'SetState';
      readonly value: Json;
      readonly expectedVersion?: number;
      readonly expiresAt?: string;
    }
  /** As SetState, but what meets another value than `base` is settled. `keepsExpiry`: as PatchState. */
  | {
      readonly type: 'ResolveState';
      readonly incoming: Json;
      readonly base?: Json;
      readonly resolver: string;
      readonly resolve: Resolver;
      /** Absent: whatever is there is another value. */
      readonly expectedVersion?: number;
      /** The version that `resolve` knows of: another one is a conflict that is not settled. Absent: whatever is there. */
      readonly resolvedVersion?: number;
      readonly expiresAt?: string;
      readonly keepsExpiry: boolean;
    }
  /** Keeps the time at which the key expires. */
  | ({ readonly type: 'PatchState'; readonly expectedVersion?: number } & StatePatch)
  /** Adds to the number that is there, 0 when there is none. Without `expiresAt` keeps the time at which the key expires. */
  | {
      readonly type: 'IncrementState';
      readonly by: number;
      readonly expectedVersion?: number;
      readonly expiresAt?: string;
    }
  | { readonly type: 'DeleteState'; readonly expectedVersion?: number }
  /** The hub's own: the time has come at which this version expires. */
  | { readonly type: 'ExpireState'; readonly expectedVersion: number }
  | { readonly type: 'AcquireLock'; readonly holder: string; readonly expiresAt: string }
  | { readonly type: 'RenewLock'; readonly token: number; readonly expiresAt: string }
  /** `token` null: whoever holds it, by an operator. */
  | { readonly type: 'ReleaseLock'; readonly token: number | null };

/** Why a resolver has not settled a conflict; `conflicts`: JSON pointers to the places that it could not. */
export type Unsettled = {
  readonly resolver: string;
  readonly reason: string;
  readonly conflicts?: readonly string[];
};

export type VersionConflict = {
  readonly code: 'version_conflict';
  /** Absent when the write named none and its resolver refused. */
  readonly expectedVersion?: number;
  /** 0 when the key does not exist. */
  readonly currentVersion: number;
  readonly currentValue: Json;
  readonly unsettled?: Unsettled;
};

export type StateRejection =
  | { readonly code: 'not_found' }
  | VersionConflict
  /** `index`: of the operation that could not be carried out. */
  | {
      readonly code: 'patch_failed';
      readonly index: number;
      readonly detail: string;
      readonly currentVersion: number;
    }
  | { readonly code: 'not_a_number'; readonly detail: string; readonly currentVersion: number }
  | ({ readonly code: 'lock_held'; readonly expiresAt: string } & Lock)
  /** The key has a value, and is no lock. */
  | { readonly code: 'not_a_lock'; readonly currentVersion: number }
  /** The lock was released, expired, or another holder's since. `heldBy`: null for none. */
  | { readonly code: 'lock_lost'; readonly token: number; readonly heldBy: string | null };

/** `version` counts every event of the key, deletions too, so it never comes twice. */
export type StateState = {
  readonly exists: boolean;
  readonly version: number;
  readonly value: Json;
  readonly expiresAt?: string;
  readonly lock?: Lock;
};
