import { isDeepStrictEqual } from 'node:util';
import { type Call, findOrder, type Model, type NoOrder } from './linearizability.ts';

/** What a client asked of one key, and what it was told; `told` is absent when nobody knows. */
export type StateOperation = { readonly client: number; readonly key: string } & (
  | { readonly type: 'get'; readonly told?: Read }
  | { readonly type: 'put'; readonly value: string; readonly told?: Written }
  /** `expected` 0: the key must not exist. */
  | {
      readonly type: 'cas';
      readonly expected: number;
      readonly value: string;
      readonly told?: Written | Conflict;
    }
  | { readonly type: 'delete'; readonly expected?: number; readonly told?: Removed | Absent | Conflict }
);

export type Absent = { readonly outcome: 'absent' };
export type Read = { readonly outcome: 'found'; readonly version: number; readonly value: unknown } | Absent;
export type Written = { readonly outcome: 'written'; readonly version: number };
export type Removed = { readonly outcome: 'removed' };
/** `current` 0: the key does not exist. */
export type Conflict = { readonly outcome: 'conflict'; readonly current: number; readonly value: unknown };

export type StateCall = Call<StateOperation>;

/** `value` is undefined when the key does not exist; its version goes on counting. */
type KeyState = { readonly version: number; readonly value: string | undefined };

const currentOf = ({ version, value }: KeyState): number => (value === undefined ? 0 : version);

const conflicted = (state: KeyState, told: Conflict): KeyState | undefined =>
  told.current === currentOf(state) && isDeepStrictEqual(told.value, state.value ?? null) ? state : undefined;

/** A key as docs/state.md promises it: each change makes the next version. */
const keyModel: Model<KeyState, StateOperation> = {
  initial: { version: 0, value: undefined },
  textOf: ({ version, value }) => `${version} ${value ?? ''}`,
  step: (state, operation) => {
    const written = (value: string | undefined): KeyState => ({ version: state.version + 1, value });
    switch (operation.type) {
      case 'get': {
        const { told } = operation;
        if (told === undefined) return state;
        const fits =
          told.outcome === 'absent'
            ? state.value === undefined
            : state.value !== undefined && told.version === state.version && told.value === state.value;
        return fits ? state : undefined;
      }
      case 'put': {
        const { told, value } = operation;
        return told === undefined || told.version === state.version + 1 ? written(value) : undefined;
      }
      case 'cas': {
        const { told, value, expected } = operation;
        const fits = expected === currentOf(state);
        if (told === undefined) return fits ? written(value) : state;
        if (told.outcome === 'conflict') return fits ? undefined : conflicted(state, told);
        return fits && told.version === state.version + 1 ? written(value) : undefined;
      }
      case 'delete': {
        const { told, expected } = operation;
        const fits = expected === undefined || expected === currentOf(state);
        const there = state.value !== undefined;
        if (told === undefined) return fits && there ? written(undefined) : state;
        if (told.outcome === 'conflict') return fits ? undefined : conflicted(state, told);
        if (told.outcome === 'absent') return fits && !there ? state : undefined;
        return fits && there ? written(undefined) : undefined;
      }
    }
  },
};

export type KeyFault = NoOrder<KeyState, StateOperation> & { readonly key: string };

/** Keys of which the history is not linearisable; that of all keys is when that of each is (Herlihy and Wing, theorem 1). */
export const stateFaults = (history: readonly StateCall[]): readonly KeyFault[] => {
  const faults: KeyFault[] = [];
  for (const [key, calls] of Map.groupBy(history, ({ operation }) => operation.key)) {
    const verdict = findOrder(keyModel, calls);
    if (!verdict.linearizable) faults.push({ key, ...verdict });
  }
  return faults;
};
