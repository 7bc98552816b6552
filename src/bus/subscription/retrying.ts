import { setTimeout as delay } from 'node:timers/promises';

const firstRetryMs = 100;
const maxRetryMs = 5_000;

/** Runs `task` until it resolves or `signal` aborts, with growing pauses; `troubled` hears of each failure. */
export const retrying = async (
  task: () => Promise<void>,
  signal: AbortSignal,
  troubled: (error: unknown) => void,
): Promise<void> => {
  for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(maxRetryMs, waitMs * 2)) {
    try {
      await task();
      return;
    } catch (error) {
      if (signal.aborted) return;
      troubled(error);
    }
    await delay(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
};
