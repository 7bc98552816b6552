import type { Position } from '../domain/event.ts';
import type { PatchStep } from '../domain/json-difference.ts';
import type { Result } from './errors.ts';
import type { Context } from './nexus-core.ts';
import type { ResolverApi } from './state/resolvers.ts';

/** A key at one moment: `version` 0 when it did not exist, and `position` of the event that made it so, where there is one. */
export type StateMoment = { readonly version: number; readonly position: Position };

export type StateDifference = {
  readonly key: string;
  readonly from: StateMoment;
  readonly to: StateMoment;
  /** RFC 6902: makes of the value at `from` the one at `to`. */
  readonly patch: readonly PatchStep[];
};

export type StateApi = {
  /** What settles conflicts of writers on one key. */
  readonly stateResolvers: ResolverApi;
  /** @param options a version, a position or an RFC 3339 time each; `to` absent: now. */
  stateDifference(
    key: string,
    options: { readonly from: string; readonly to?: string },
    context: Context,
  ): Promise<Result<StateDifference>>;
};
