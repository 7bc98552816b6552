import type { Json, Position, StreamId } from '../../domain/event.ts';
import type { PolicyRejection } from '../../domain/policies.ts';
import type { Handler } from '../command/handle.ts';
import type { Handled } from '../command/stream-states.ts';
import { ok, type Problem, type Result } from '../errors.ts';
import { type Call, type Done, notShown, optionsOf, ownReadModelsMs } from './command-call.ts';
import type { Parts } from './parts.ts';
import { mismatchOf, refusalOf, writtenBy } from './refusals.ts';

/** What tells one kind of policies from another in the answer to a command. */
export type PolicyAnswer<State> = {
  readonly explain: (rejection: PolicyRejection) => Problem;
  readonly result: (position: Position) => Json;
  /** True when the command made a policy that `before` did not have. */
  readonly created: (before: State) => boolean;
};

/** Runs the commands that set and remove policies: all policies of one kind stand in one stream. */
export const createPolicyWrites =
  ({ log, runner }: Pick<Parts, 'log' | 'runner'>, handler: Handler) =>
  async <State, Command, Event extends { readonly type: string; readonly data: unknown }>(
    handled: Handled<State, Command, Event, PolicyRejection>,
    stream: StreamId,
    command: Command,
    call: Call,
    { explain, result, created }: PolicyAnswer<State>,
  ): Promise<Result<Done>> => {
    const outcome = await handler.handle(handled, stream, command, optionsOf(call, stream));
    if (outcome.outcome === 'repeated') {
      const refused = mismatchOf(outcome.recorded[0], call.metadata);
      if (refused !== undefined) return refused;
    } else if (outcome.outcome !== 'done' && outcome.outcome !== 'unchanged') {
      return refusalOf(outcome, stream, explain);
    }
    const { events, duplicate } = writtenBy(stream, outcome);
    const position = events.at(-1)?.position ?? (await log.position());
    if (!(await runner.reached(position, ownReadModelsMs))) return notShown(position);
    return ok({
      events,
      position,
      result: result(position),
      created: outcome.outcome === 'done' && created(outcome.before),
      duplicate,
    });
  };

export type PolicyWrites = ReturnType<typeof createPolicyWrites>;
