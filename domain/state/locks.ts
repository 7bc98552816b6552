import { accept, type Decision, reject } from '../decider.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from './state.ts';

type Decided = Decision<StateEvent, StateRejection>;
type Command<Type extends StateCommand['type']> = Extract<StateCommand, { readonly type: Type }>;

const lost = (token: number, { lock }: StateState): Decided =>
  reject({ code: 'lock_lost', token, heldBy: lock?.holder ?? null });

const set = (holder: string, token: number, expiresAt: string): Decided =>
  accept({ type: 'StateSet', data: { value: { holder, token }, expiresAt, lock: { holder, token } } });

/** The token is the version that this event makes, so a later holder's is always greater. */
export const acquireLock = ({ holder, expiresAt }: Command<'AcquireLock'>, state: StateState): Decided => {
  if (!state.exists) return set(holder, state.version + 1, expiresAt);
  if (state.lock === undefined) return reject({ code: 'not_a_lock', currentVersion: state.version });
  return reject({ code: 'lock_held', ...state.lock, expiresAt: state.expiresAt ?? '' });
};

export const renewLock = ({ token, expiresAt }: Command<'RenewLock'>, state: StateState): Decided =>
  state.lock?.token === token ? set(state.lock.holder, token, expiresAt) : lost(token, state);

export const releaseLock = ({ token }: Command<'ReleaseLock'>, state: StateState): Decided => {
  if (token !== null && state.lock?.token !== token) return lost(token, state);
  return state.lock === undefined
    ? reject({ code: 'not_found' })
    : accept({ type: 'StateDeleted', data: { reason: 'released' } });
};
