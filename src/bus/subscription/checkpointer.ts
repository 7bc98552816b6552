import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import { retrying } from './retrying.ts';

/** Decides when what a dispatcher remembers is written to the log. */
export type Checkpointer = {
  /**
   * Something was settled or has failed, or a source has moved: it is written within a second, or at once when enough has
   * come together.
   */
  settled(): void;
  /** Resolves once everything that was settled before the call is written; false when it never will be. */
  flushed(): Promise<boolean>;
  /** Writes what is not written yet, within 2 s or not at all, then stops. */
  close(): Promise<void>;
  stop(): void;
};

export type CheckpointerOptions = {
  readonly clock: Clock;
  /** Writes what is remembered now. `lost`: another owner's checkpoint stands there. Called in a turn of its own. */
  readonly save: () => Promise<'done' | 'lost'>;
  readonly lost: () => void;
  readonly troubled: (error: unknown) => void;
};

export const checkpointEveryMs = 1_000;
export const checkpointEverySettled = 1_000;
const closeMs = 2_000;

export const createCheckpointer = ({ clock, save, lost, troubled }: CheckpointerOptions): Checkpointer => {
  const stopping = new AbortController();
  /** Settled since the last save began. */
  let fresh = 0;
  let saving: Promise<boolean> | undefined;
  let cancel: (() => void) | undefined;

  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  const write = async (): Promise<boolean> => {
    cancel?.();
    cancel = undefined;
    let outcome: 'done' | 'lost' | undefined;
    await retrying(
      async () => {
        await nextTurn();
        if (stopping.signal.aborted) return;
        const before = fresh;
        fresh = 0;
        try {
          outcome = await save();
        } catch (error) {
          fresh += before;
          throw error;
        }
      },
      stopping.signal,
      troubled,
    );
    if (outcome === 'lost') lost();
    return outcome === 'done';
  };

  const begin = (): Promise<boolean> => {
    saving ??= write().finally(() => {
      saving = undefined;
      if (fresh > 0) schedule();
    });
    return saving;
  };

  const schedule = (): void => {
    if (stopping.signal.aborted) return;
    if (fresh >= checkpointEverySettled) {
      if (saving === undefined) void begin();
    } else {
      cancel ??= clock.after(checkpointEveryMs, () => {
        cancel = undefined;
        void begin();
      });
    }
  };

  const flushed = async (): Promise<boolean> => {
    // What is being written may have been looked at before the call.
    if (saving !== undefined && fresh > 0) await saving;
    if (fresh === 0 && saving === undefined) return !stopping.signal.aborted;
    return begin();
  };

  return {
    settled() {
      fresh++;
      if (cancel === undefined || fresh === checkpointEverySettled) schedule();
    },
    flushed,
    async close() {
      const limit = new AbortController();
      const late = delay(closeMs, undefined, { signal: limit.signal, ref: false }).catch(() => undefined);
      if (!stopping.signal.aborted) await Promise.race([flushed(), late]);
      limit.abort();
      stopping.abort();
      cancel?.();
    },
    stop() {
      stopping.abort();
      cancel?.();
    },
  };
};
