import type { ExecutionContext } from 'ava';
import type { Decider } from '../../domain/decider.ts';
import { asRevision } from '../../domain/event.ts';

/** An event, and who caused it. */
export type By<Event> = { readonly actor: string; readonly event: Event };

export const by = <Event>(actor: string, event: Event): By<Event> => ({ actor, event });

/** The state that a history leads to; the n-th event has revision n, counted from `first`. */
export const foldAll = <State, Event>(
  decider: Pick<Decider<State, never, Event, unknown>, 'initial' | 'evolve'>,
  history: readonly By<Event>[],
  first = 0,
): State =>
  history.reduce(
    (state, { actor, event }, index) =>
      decider.evolve(state, event, { revision: asRevision(first + index), actor }),
    decider.initial,
  );

/** `given(t, decider, …history).when(command).thenEvents(…)`: a decision as a sentence. */
export const given = <State, Command, Event, Rejection>(
  t: ExecutionContext,
  decider: Decider<State, Command, Event, Rejection>,
  ...history: readonly By<Event>[]
) => ({
  when: (command: Command) => {
    const decision = decider.decide(command, foldAll(decider, history));
    return {
      /** Exactly these, in this order; none means that nothing happened and nothing was refused. */
      thenEvents: (...events: readonly Event[]) => t.deepEqual(decision, { ok: true, events: [...events] }),
      thenRejected: (rejection: Rejection) => t.deepEqual(decision, { ok: false, rejection }),
    };
  },
  thenState: (state: State) => t.deepEqual(foldAll(decider, history), state),
});
