import type { Json } from '../../../domain/event.ts';
import { problem } from '../../errors.ts';
import type { StateChange, StateEntry, StateVersion } from '../../nexus-core.ts';
import type { HeldLock } from '../../nexus-locks.ts';
import type { StateDifference } from '../../nexus-state.ts';
import { raise } from './faults.ts';
import { command, given, got, gotOrNull, limitOf, type Resolve } from './resolving.ts';
import { asField, itemsOf, type Subscribe } from './watch-source.ts';

const state: Resolve<{ key: string; version: number; asOf: string }, StateEntry | null> = async (
  _,
  args,
  { core, context },
) => {
  const { key = '', ...options } = given(args);
  return gotOrNull(await core.state(key, options, context));
};

type StatesArgs = { prefix: string; first: number; after: string; asOf: string };
const states: Resolve<StatesArgs, readonly StateEntry[]> = async (_, args, { core, context }) => {
  const { first, ...options } = given(args);
  return got(await core.states({ ...options, ...limitOf('first', first) }, context)).entries;
};

const stateHistory: Resolve<{ key: string; last: number; before: number }, readonly StateVersion[]> = async (
  _,
  args,
  { core, context },
) => {
  const { key = '', last, ...options } = given(args);
  const found = await core.stateHistory(key, { ...options, ...limitOf('last', last) }, context);
  return gotOrNull(found)?.history ?? [];
};

const lock: Resolve<{ key: string }, HeldLock | null> = async (_, { key }, { core, context }) =>
  gotOrNull(await core.lock(key ?? '', context));

const stateDifference: Resolve<{ key: string; from: string; to: string }, StateDifference | null> = async (
  _,
  args,
  { core, context },
) => {
  const { key = '', from = '', ...options } = given(args);
  return gotOrNull(await core.stateDifference(key, { from, ...options }, context));
};

export const stateQueries = { state, states, stateHistory, stateDifference, lock } as const;

/** `value: null` is a value, so only the other arguments are looked at for null. */
const setState: Resolve<
  { key: string; value: Json; expectedVersion: number; resolver: string },
  object
> = async (_, args, at) => {
  const { value, ...rest } = args;
  return command('SetState', { ...given(rest), ...(value === undefined ? {} : { value }) }, at);
};

const deleteState: Resolve<{ key: string; expectedVersion: number }, object> = async (_, args, at) =>
  command('DeleteState', given(args), at);

type PatchArgs = {
  key: string;
  patch: Json;
  format: 'MERGE_PATCH' | 'JSON_PATCH';
  expectedVersion: number;
  resolver: string;
};
const patchState: Resolve<PatchArgs, object> = async (_, args, at) => {
  const { patch, format, ...rest } = args;
  const data = {
    ...given(rest),
    format: format === 'JSON_PATCH' ? 'json-patch' : 'merge-patch',
    ...(patch === undefined ? {} : { patch }),
  };
  return command('PatchState', data, at);
};

/** The command whose data are the arguments as they are. */
const asCommand =
  <Shape>(type: string): Resolve<Shape, object> =>
  async (_, args, at) =>
    command(type, given(args), at);

const acquireLock: Resolve<{ key: string; ttlMs: number; holder: string; waitMs: number }, object> = async (
  _,
  args,
  at,
) =>
  at.whileAsked((signal) =>
    command('AcquireLock', given(args), { ...at, context: { ...at.context, signal } }),
  );

export const stateMutations = {
  setState,
  patchState,
  incrementState: asCommand<{ key: string; by: number; ttlMs: number; expectedVersion: number }>(
    'IncrementState',
  ),
  deleteState,
  acquireLock,
  renewLock: asCommand<{ key: string; token: number; ttlMs: number }>('RenewLock'),
  releaseLock: asCommand<{ key: string; token: number }>('ReleaseLock'),
} as const;

const stateChanged: Subscribe<{ key: string; prefix: string; after: string }> = async (
  _,
  args,
  { core, context },
) => {
  const { key, prefix, after } = given(args);
  if (key !== undefined && prefix !== undefined) raise(problem('invalid', 'either key or prefix, not both'));
  const selector = key === undefined ? { prefix: prefix ?? '' } : { key };
  return itemsOf(
    (signal) => core.watchState(selector, { after, signal }, context),
    asField<StateChange>('stateChanged'),
    asField('stateChanged'),
  );
};

export const stateSubscriptions = { stateChanged } as const;
