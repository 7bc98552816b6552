import type { Lock } from '../domain/state/state.ts';
import type { Result } from './errors.ts';
import type { Context } from './nexus-core.ts';

/** A key that somebody holds as a lock. */
export type HeldLock = Lock & {
  readonly key: string;
  /** When it is lost unless it is renewed before. */
  readonly expiresAt?: string;
  /** Of the key: the token is the version by which the lock was taken, and each renewal makes another version. */
  readonly version: number;
  /** When it was taken or last renewed. */
  readonly updatedAt: string;
  readonly position: string;
};

export type LockApi = {
  /** `not_found` when nobody holds it. */
  lock(key: string, context: Context): Promise<Result<HeldLock>>;
};
