import { performance } from 'node:perf_hooks';
import { LogError } from '../event-log.ts';

type Batching = { batch(action: () => void): Promise<boolean> };

export type Transact = (action: () => void) => Promise<void>;

const causeWithinMs = 100;

/** Rejects when `work` takes longer than `withinMs`, of which time in which this thread was held up does not count. */
const watched = <Value>(work: Promise<Value>, withinMs: number, refuse: () => Error): Promise<Value> =>
  new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const due = performance.now() + withinMs;
      timer = setTimeout(() => {
        if (performance.now() - due > withinMs / 8) arm();
        else reject(refuse());
      }, withinMs);
    };
    arm();
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });

/**
 * lmdb rejects with a general error and holds the cause back in a promise of its own, which goes unhandled unless
 * someone takes it, and which it may leave unsettled.
 */
const causeOf = async (error: unknown): Promise<unknown> => {
  if (error === null || typeof error !== 'object' || !('commitError' in error)) return error;
  const cause = Promise.resolve(error.commitError).then(
    () => error,
    (reason: unknown) => reason,
  );
  return watched(cause, causeWithinMs, () => new Error('lmdb does not say why')).catch(() => error);
};

/**
 * Transactions of one lmdb environment: each is asynchronous, and resolves once it is committed. After the first that
 * failed, none is begun: lmdb would take a lock and keep it, and the end of the process would wait on it for ever.
 *
 * @param what the environment is, for the message: `the event log in DIR`.
 * @param watchdogMs after which a transaction that has not ended counts as failed.
 * @throws {LogError} `log_failed`: it was not committed, or nobody knows.
 */
export const createTransact = (
  env: Batching,
  what: string,
  facts: Record<string, unknown>,
  watchdogMs: number,
): Transact => {
  let failure: LogError | undefined;
  const hangs = (): LogError =>
    new LogError('log_failed', `a write of ${what} hangs`, { ...facts, watchdogMs });
  return async (action) => {
    if (failure !== undefined) throw failure;
    try {
      await watched(env.batch(action), watchdogMs, hangs);
    } catch (error) {
      const text = `${what} could not be written; it is not used any more`;
      failure ??=
        error instanceof LogError ? error : new LogError('log_failed', text, facts, await causeOf(error));
      throw failure;
    }
  };
};
