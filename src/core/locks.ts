import type { NewMetadata } from '../../domain/event.ts';
import { isStateKey } from '../../domain/names.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { retrying } from '../bus/subscription/retrying.ts';
import type { CommandData } from '../command/catalog.ts';
import { fault, invalid, ok, type Problem, ProblemError, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Context } from '../nexus-core.ts';
import type { HeldLock, LockApi } from '../nexus-locks.ts';
import type { Call, Done } from './command-call.ts';
import { createLockQueues } from './lock-queues.ts';
import type { Parts } from './parts.ts';
import type { Reads } from './reads.ts';
import { explainState } from './refusals.ts';
import type { StateInput } from './state-commands.ts';

type RunState = (input: StateInput, call: Call) => Promise<Result<Done>>;
type Acquire = { readonly type: 'AcquireLock'; readonly data: CommandData<'AcquireLock'> };

const heldBy = (key: string, { lock, expiresAt = '' }: StateDocument): Problem | undefined =>
  lock === undefined ? undefined : explainState(key)({ code: 'lock_held', ...lock, expiresAt });

/** The metadata of what the hub does on its own for a command: without the id of that. */
const withoutId = ({ commandId: _id, commandHash: _hash, ...metadata }: NewMetadata): NewMetadata => metadata;

/** Acquires locks, waiting for those that are held (docs/adr/0032-expiry-and-locks.md). */
export const createLocks = (
  { runner, logger }: Pick<Parts, 'runner' | 'logger'>,
  run: RunState,
  queues = createLockQueues(),
) => {
  const closing = new AbortController();
  const current = (key: string) => runner.store.read<StateDocument>('state', key);

  const unfollow = runner.onFolded((changes) => {
    if (queues.size === 0) return;
    for (const { model, key, document } of changes) {
      if (model !== 'state' || document === null || !queues.isWaitedFor(key)) continue;
      const why = heldBy(key, document as StateDocument);
      if (why === undefined) queues.freed(key);
      else queues.held(key, why);
    }
  });
  runner.onSwapped(queues.freedAll);

  /** What a command did that came before is told again only while it is so. */
  const stillHeld = (key: string, done: Result<Done>): Result<Done> => {
    if (!done.ok || !done.value.duplicate) return done;
    const version = (done.value.events.at(-1)?.revision ?? -1) + 1;
    const { lock, expiresAt } = current(key) ?? {};
    if (lock?.token !== version)
      return fault(explainState(key)({ code: 'lock_lost', token: version, heldBy: lock?.holder ?? null }));
    const { position } = done.value;
    return ok({ ...done.value, result: { key, ...lock, ...given({ expiresAt }), version, position } });
  };

  /** Of whoever waited and left meanwhile: otherwise all would wait for the TTL of a holder that there is not. */
  const giveBack = async (key: string, { events }: Done, { context, metadata }: Call): Promise<void> => {
    const [acquired] = events;
    if (acquired === undefined) return;
    const release = async (): Promise<void> => {
      const released = await run(
        { type: 'ReleaseLock', data: { key, token: acquired.revision + 1 } },
        { context, metadata: { ...withoutId(metadata), causationId: acquired.id } },
      );
      if (!released.ok && released.problem.code === 'busy') throw new ProblemError(released.problem);
    };
    await retrying(release, closing.signal, (error) => {
      logger.warn({ error, key }, 'a lock that nobody waits for any more could not be released yet');
    });
  };

  const attempt = async (command: Acquire, call: Call): Promise<Result<Done>> =>
    stillHeld(command.data.key, await run(command, call));

  return {
    /** Takes its place in the queue before it returns for the first time. */
    acquire: async (command: Acquire, call: Call): Promise<Result<Done>> => {
      const { key, waitMs } = command.data;
      if (waitMs === 0) return attempt(command, call);
      const entered = queues.enter(key, call.context.subject.id, waitMs, call.context.signal);
      if (!entered.ok) return entered;
      const place = entered.value;
      try {
        for (;;) {
          const turn = await place.turn();
          if (turn !== 'try') return fault(turn);
          const done = await attempt(command, call);
          if (done.ok) {
            if (place.isForsaken && !done.value.duplicate) await giveBack(key, done.value, call);
            return done;
          }
          if (done.problem.code !== 'lock_held') {
            queues.freed(key);
            return done;
          }
          queues.held(key, done.problem);
        }
      } catch (error) {
        queues.freed(key);
        throw error;
      } finally {
        place.leave();
      }
    },

    close: (): void => {
      closing.abort();
      unfollow();
      queues.close();
    },
  };
};

/** Who holds a lock now. */
export const createLockQuery = (reads: Reads): LockApi => ({
  lock: async (key: string, context: Context): Promise<Result<HeldLock>> => {
    if (!isStateKey(key))
      return invalid('/key', 'must be 1 to 512 bytes of UTF-8 without control characters');
    const at = await reads.begin(context, { scope: 'state:read', key });
    if (!at.ok) return at;
    const document = at.value.store.read<StateDocument>('state', key);
    if (document?.lock === undefined)
      return fault(problem('not_found', `nobody holds the key ${key} as a lock`, { key }));
    const { lock, expiresAt, version, updatedAt, position } = document;
    return ok({ key, ...lock, ...given({ expiresAt }), version, updatedAt, position });
  },
});
