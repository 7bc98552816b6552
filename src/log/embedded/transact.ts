import { setTimeout as delay } from 'node:timers/promises';

type Batching = { batch(action: () => void): Promise<boolean> };

const causeWithinMs = 100;

/**
 * Runs `action` as one asynchronous lmdb transaction; resolves once it is committed.
 *
 * lmdb rejects with a general error and holds the cause back in a promise of its own, which goes unhandled unless
 * someone takes it, and which it may leave unsettled. The rejection here carries the cause when it comes in time.
 */
export const transact = async (env: Batching, action: () => void): Promise<void> => {
  try {
    await env.batch(action);
  } catch (error) {
    if (error === null || typeof error !== 'object' || !('commitError' in error)) throw error;
    const cause = Promise.resolve(error.commitError).then(
      () => error,
      (reason: unknown) => reason,
    );
    throw await Promise.race([cause, delay(causeWithinMs, error, { ref: false })]);
  }
};
