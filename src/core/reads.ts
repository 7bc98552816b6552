import type { Requirement } from '../../domain/access.ts';
import type { Position } from '../../domain/event.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import type { Context } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import { outsideTransaction, positionOf, resolveAsOf } from './as-of.ts';
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
  /** Authorises a read of the log itself, and waits for what the context asks as other reads do. */
  allow(context: Context, requirement: Requirement): Promise<Result<undefined>>;
  /** For reads whose scope depends on what they find: waits for what the context asks, and gives what to read from. */
  ready(context: Context): Promise<Result<ReadFrom>>;
  /** As `begin`, of a read of what is true now, when it has nothing to wait for; undefined when it has. */
  beginNow(context: Context, requirement: Requirement): Result<ReadFrom> | undefined;
  /** Authorises, waits for what the context asks and for `asOf`, and gives what to read from. */
  begin(context: Context, requirement: Requirement, asOf?: string): Promise<Result<ReadFrom>>;
};

export const createReads = ({ log, hub, runner }: Pick<Parts, 'log' | 'hub' | 'runner'>): Reads => {
  const wait = async (position: Position): Promise<Result<undefined>> => {
    if (await runner.reached(position, minPositionMs)) return ok(undefined);
    return fault(
      problem('not_caught_up', 'the read models have not reached the position', {
        position,
        reached: runner.position,
      }),
    );
  };

  /** Where the log was when a request of several reads first asked: what came before the request came before that. */
  const asked = new WeakMap<Context, Promise<Position>>();
  const logPosition = (context: Context): Promise<Position> => {
    if (context.together !== true) return log.position();
    const known = asked.get(context);
    if (known !== undefined) return known;
    const position = log.position();
    asked.set(context, position);
    return position;
  };

  const caughtUp = async (context: Context): Promise<Result<undefined>> => {
    const { minPosition, consistency } = context;
    if (minPosition !== undefined) {
      const wanted = positionOf(log, 'X-Nexus-Min-Position', minPosition);
      const reached = wanted.ok ? await wait(wanted.value) : wanted;
      if (!reached.ok) return reached;
    }
    return consistency === 'strong' ? wait(await logPosition(context)) : ok(undefined);
  };

  const current = (): ReadFrom => ({ store: runner.store, position: runner.position, asOf: undefined });

  const ready = async (context: Context): Promise<Result<ReadFrom>> => {
    if (!runner.ready) return fault(problem('not_ready', 'the read models are being rebuilt from the log'));
    // What was acknowledged before this process began is shown too (docs/adr/0033-linearisable-state.md).
    const found = runner.position < hub.began ? await wait(hub.began) : ok(undefined);
    const reached = found.ok ? await caughtUp(context) : found;
    return reached.ok ? ok(current()) : reached;
  };

  return {
    ready,
    allow: async (context, requirement) => demand(context, requirement) ?? caughtUp(context),
    beginNow: (context, requirement) => {
      const { minPosition, consistency } = context;
      const waits = minPosition !== undefined || consistency !== undefined;
      if (waits || !runner.ready || runner.position < hub.began) return undefined;
      return demand(context, requirement) ?? ok(current());
    },
    begin: async (context, requirement, asOfText) => {
      const denied = demand(context, requirement);
      if (denied !== undefined) return denied;
      const from = await ready(context);
      if (!from.ok) return from;
      let asOf: Position | undefined;
      if (asOfText !== undefined) {
        const resolved = await resolveAsOf(log, runner.store, asOfText);
        if (!resolved.ok) return resolved;
        const shown = await wait(resolved.value);
        if (!shown.ok) return shown;
        asOf = await outsideTransaction(log, resolved.value);
      }
      return ok({ store: runner.store, position: runner.position, asOf });
    },
  };
};
