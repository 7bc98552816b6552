/**
 * One call of a history. Times are any numbers that order calls and answers as one observer saw them.
 * `returnedAt` Infinity: nobody knows how it ended, so it may have had its effect at any time after the call, or never.
 */
export type Call<Operation> = {
  readonly operation: Operation;
  readonly calledAt: number;
  readonly returnedAt: number;
};

/** What one object does, one operation after the other. */
export type Model<State, Operation> = {
  readonly initial: State;
  /**
   * The state behind `operation`: the very same object when it changes nothing, and undefined when what it was
   * answered does not fit `state`. Of unknown outcome: the state that it makes when it has its effect.
   */
  step(state: State, operation: Operation): State | undefined;
  /** Equal for equal states, and only for them. */
  textOf(state: State): string;
};

/** The longest beginning of the history for which there is an order, and what fits behind none of them. */
export type NoOrder<State, Operation> = {
  readonly linearizable: false;
  readonly ordered: number;
  readonly state: State;
  /** Newest last. */
  readonly before: readonly Operation[];
  readonly stuck: readonly Operation[];
};

export type Verdict<State, Operation> = { readonly linearizable: true } | NoOrder<State, Operation>;

/** A place in the doubly linked list of calls and answers, in order of time. */
type Entry<Operation> = {
  readonly id: number;
  readonly call: Call<Operation>;
  readonly isAnswer: boolean;
  /** The answer to a call; undefined when there was none. */
  answer: Entry<Operation> | undefined;
  previous: Entry<Operation> | undefined;
  next: Entry<Operation> | undefined;
};

type Taken<State, Operation> = {
  readonly entry: Entry<Operation>;
  readonly before: State;
  /** It changed nothing: where an order exists at all, one exists in which it stands here. */
  readonly forced: boolean;
};

const shown = 8;

/** The list behind a head of its own. */
const listOf = <Operation>(calls: readonly Call<Operation>[]): Entry<Operation> => {
  type Moment = { readonly at: number; readonly entry: Entry<Operation> };
  const moments: Moment[] = [];
  for (const [id, call] of calls.entries()) {
    const place = { id, call, previous: undefined, next: undefined };
    const answer: Entry<Operation> = { ...place, isAnswer: true, answer: undefined };
    const known = call.returnedAt !== Number.POSITIVE_INFINITY;
    moments.push({
      at: call.calledAt,
      entry: { ...place, isAnswer: false, answer: known ? answer : undefined },
    });
    if (known) moments.push({ at: call.returnedAt, entry: answer });
  }
  moments.sort((left, right) => left.at - right.at);
  const [first] = calls;
  if (first === undefined) throw new Error('a history without calls');
  const place = { id: -1, call: first, previous: undefined, next: undefined };
  const head: Entry<Operation> = { ...place, isAnswer: false, answer: undefined };
  let last = head;
  for (const { entry } of moments) {
    last.next = entry;
    entry.previous = last;
    last = entry;
  }
  return head;
};

const unlink = <Operation>(entry: Entry<Operation>): void => {
  if (entry.previous !== undefined) entry.previous.next = entry.next;
  if (entry.next !== undefined) entry.next.previous = entry.previous;
};

const relink = <Operation>(entry: Entry<Operation>): void => {
  if (entry.previous !== undefined) entry.previous.next = entry;
  if (entry.next !== undefined) entry.next.previous = entry;
};

/** Calls that stand before the first answer: exactly they may come next. */
const candidatesOf = <Operation>(head: Entry<Operation>): Entry<Operation>[] => {
  const found: Entry<Operation>[] = [];
  let entry = head.next;
  for (; entry !== undefined && !entry.isAnswer; entry = entry.next) found.push(entry);
  // The answer too: with it they say which calls have been taken, as all that were answered before it have.
  if (entry !== undefined) found.push(entry);
  return found;
};

/**
 * Whether the calls on one object can be put into an order that keeps to time (a call that was answered before another
 * began stands before it) and in which each was answered as `model` says: Herlihy and Wing's linearisability. The search
 * is that of Wing and Gong, "Testing and verifying concurrent objects", 1993; configurations that led nowhere are
 * remembered as in Lowe, "Testing for linearizability", 2017.
 */
export const findOrder = <State, Operation>(
  model: Model<State, Operation>,
  calls: readonly Call<Operation>[],
): Verdict<State, Operation> => {
  if (calls.length === 0) return { linearizable: true };
  const head = listOf(calls);
  const seen = new Set<string>();
  const taken: Taken<State, Operation>[] = [];
  let open = calls.filter(({ returnedAt }) => returnedAt !== Number.POSITIVE_INFINITY).length;
  let state = model.initial;
  let deepest: NoOrder<State, Operation> | undefined;

  const configuration = (after: State): string =>
    `${candidatesOf(head)
      .map(({ id, isAnswer }) => (isAnswer ? `-${id}` : id))
      .join()} ${model.textOf(after)}`;

  const take = (entry: Entry<Operation>): void => {
    unlink(entry);
    if (entry.answer === undefined) return;
    unlink(entry.answer);
    open--;
  };

  const giveBack = (entry: Entry<Operation>): void => {
    if (entry.answer !== undefined) {
      relink(entry.answer);
      open++;
    }
    relink(entry);
  };

  const note = (): void => {
    if (deepest !== undefined && deepest.ordered >= taken.length) return;
    const stuck = candidatesOf(head).filter(({ isAnswer }) => !isAnswer);
    deepest = {
      linearizable: false,
      ordered: taken.length,
      state,
      before: taken.slice(-shown).map(({ entry }) => entry.call.operation),
      stuck: stuck.map(({ call }) => call.operation),
    };
  };

  /** Takes `entry` next if it fits and leads to where the search has not been. */
  const tryNext = (entry: Entry<Operation>): boolean => {
    const after = model.step(state, entry.call.operation);
    const forced = after === state;
    if (after === undefined || (forced && entry.answer === undefined)) return false;
    take(entry);
    if (!forced) {
      const place = configuration(after);
      if (seen.has(place)) {
        giveBack(entry);
        return false;
      }
      seen.add(place);
    }
    taken.push({ entry, before: state, forced });
    state = after;
    return true;
  };

  let entry = head.next;
  while (open > 0) {
    if (entry !== undefined && !entry.isAnswer) {
      entry = tryNext(entry) ? head.next : entry.next;
      continue;
    }
    note();
    for (;;) {
      const last = taken.pop();
      if (last === undefined) return deepest ?? { linearizable: true };
      giveBack(last.entry);
      state = last.before;
      if (last.forced) continue;
      entry = last.entry.next;
      break;
    }
  }
  return { linearizable: true };
};
