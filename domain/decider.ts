import type { Revision } from './event.ts';

/** What a decider answers: events to append, or a refusal. Never an exception. */
export type Decision<Event, Rejection> =
  | { readonly ok: true; readonly events: readonly Event[] }
  | { readonly ok: false; readonly rejection: Rejection };

/** Facts about a recorded event that `evolve` may use beside the event itself. */
export type Recorded = { readonly revision: Revision; readonly actor: string };

/**
 * The rules of one kind of stream, as three pure values: no clock, no randomness, no I/O.
 *
 * `decide` never throws, whatever the state; `evolve` is total over `Event` (a forgotten event does not
 * compile) and never mutates the state it is given.
 */
export type Decider<State, Command, Event, Rejection> = {
  readonly initial: State;
  decide(command: Command, state: State): Decision<Event, Rejection>;
  evolve(state: State, event: Event, recorded: Recorded): State;
};

export const accept = <Event>(...events: readonly Event[]): Decision<Event, never> => ({ ok: true, events });

export const reject = <Rejection>(rejection: Rejection): Decision<never, Rejection> => ({
  ok: false,
  rejection,
});

/** Ends a `switch` over a union: a new member does not compile until it is handled. */
export const unreachable = (value: never): never => {
  throw new TypeError(`unreachable: ${JSON.stringify(value)}`);
};
