import type { Requirement } from '../../domain/access.ts';
import type { Position } from '../../domain/event.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import type { Context } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import { resolveAsOf } from './as-of.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';

const minPositionMs = 5_000;

export const defaultLimit = 100;
export const maxLimit = 1_000;
/** The page size to use for what the client asked: 100 unless given, 1 … 1,000. */
export const clampLimit = (limit: number | undefined): number =>
  Math.min(Math.max(limit ?? defaultLimit, 1), maxLimit);

/** What a read of the read models may rest on. */
export type ReadFrom = {
  readonly store: ReadStore;
  /** How far the read models are. */
  readonly position: Position;
  readonly asOf: Position | undefined;
};

export type Reads = {
  /** Authorises, waits for the context's `minPosition` and for `asOf`, and gives what to read from. */
  begin(context: Context, requirement: Requirement, asOf?: string): Promise<Result<ReadFrom>>;
};

export const createReads = ({ log, runner }: Pick<Parts, 'log' | 'runner'>): Reads => {
  const wait = async (position: Position): Promise<Result<undefined>> => {
    if (await runner.reached(position, minPositionMs)) return ok(undefined);
    return fault(
      problem('not_caught_up', 'the read models have not reached the position', {
        position,
        reached: runner.position,
      }),
    );
  };

  return {
    begin: async (context, requirement, asOfText) => {
      const denied = demand(context, requirement);
      if (denied !== undefined) return denied;
      if (!runner.ready) return fault(problem('not_ready', 'the read models are being rebuilt from the log'));
      if (context.minPosition !== undefined) {
        const reached = await wait(context.minPosition);
        if (!reached.ok) return reached;
      }
      let asOf: Position | undefined;
      if (asOfText !== undefined) {
        const resolved = await resolveAsOf(log, runner.store, asOfText);
        if (!resolved.ok) return resolved;
        const reached = await wait(resolved.value);
        if (!reached.ok) return reached;
        asOf = resolved.value;
      }
      return ok({ store: runner.store, position: runner.position, asOf });
    },
  };
};
