import { asRevision, type Json, type Position, type Revision, type StreamId } from '../../domain/event.ts';
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

const pageEvents = 1_000;

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
    /** The state that the stream had in front of `revision`: it is short, as only operators write to it. */
    const stateBefore = async (revision: Revision): Promise<State> => {
      let state = handled.decider.initial;
      for (let next = 0; next < revision; ) {
        const page = await log.readStream(stream, { from: asRevision(next), limit: pageEvents });
        for (const event of page) {
          next = event.revision + 1;
          const decoded = event.revision < revision ? handled.decode(event) : undefined;
          if (decoded === undefined) continue;
          const { actor } = event.metadata;
          state = handled.decider.evolve(state, decoded, { revision: event.revision, actor });
        }
        if (page.length < pageEvents) break;
      }
      return state;
    };

    const outcome = await handler.handle(handled, stream, command, optionsOf(call, stream));
    let before = outcome.outcome === 'done' ? outcome.before : undefined;
    if (outcome.outcome === 'repeated') {
      const [first] = outcome.recorded;
      const refused = mismatchOf(first, call.metadata);
      if (refused !== undefined) return refused;
      if (first !== undefined) before = await stateBefore(first.revision);
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
      created: before !== undefined && created(before),
      duplicate,
    });
  };

export type PolicyWrites = ReturnType<typeof createPolicyWrites>;
