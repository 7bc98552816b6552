import type { Position } from '../domain/event.ts';
import type { PatchStep } from '../domain/json-difference.ts';
import type { Result } from './errors.ts';
import type { AsOf, Context, Page, StateEntry } from './nexus-core.ts';
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

export type StateListQuery = {
  readonly prefix?: string;
  readonly limit?: number;
  /** A key: go on behind it, on the list as it is now (or at `asOf`). */
  readonly after?: string;
  /** What a page gave: go on behind it, on the list as that page showed it. */
  readonly cursor?: string;
  readonly asOf?: AsOf;
  /** The page ends once its values take about so much memory; a few MiB unless given. */
  readonly maxBytes?: number;
};

export type StateList = Page<'entries', StateEntry> & {
  readonly cursor?: string;
  /** Keys that were looked at for the page, deleted ones too. */
  readonly scanned: number;
};

export type StateApi = {
  states(options: StateListQuery, context: Context): Promise<Result<StateList>>;
  /** What settles conflicts of writers on one key. */
  readonly stateResolvers: ResolverApi;
  /** @param options a version, a position or an RFC 3339 time each; `to` absent: now. */
  stateDifference(
    key: string,
    options: { readonly from: string; readonly to?: string },
    context: Context,
  ): Promise<Result<StateDifference>>;
};
