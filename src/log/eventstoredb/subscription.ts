import type { AllStreamSubscription } from '@eventstore/db-client';
import type { StoredEvent } from './codec.ts';
import { Fault, faultOf } from './fault.ts';
import { storedOf } from './stored.ts';

/** Pull-based: nothing is taken from the server beyond a few hundred events that nobody asked for. */
export type Subscription = {
  /**
   * The next events, 1 … `limit`, as many as are here. What came before a fault is handed out first.
   *
   * @throws {Fault} when the server ended it, whatever the reason; it is of no use then.
   */
  next(limit: number): Promise<readonly StoredEvent[]>;
  close(): void;
};

const ignore = (): void => undefined;

/**
 * @param startMs How long the server may take to confirm it. Later silence is normal; a dead connection is noticed
 *   by the keep-alive of the connection string.
 * @param signal Ends it with a fault.
 */
export const openSubscription = (
  source: AllStreamSubscription,
  startMs: number,
  signal: AbortSignal,
): Subscription => {
  let failure: Fault | undefined;
  let wake: () => void = ignore;

  const fail = (error: unknown): void => {
    failure ??= faultOf(error);
    wake();
  };
  const starting = setTimeout(
    () => fail(new Fault('unavailable', `the subscription was not confirmed within ${startMs} ms`)),
    startMs,
  );
  const stop = (): void => fail(new Fault('unavailable', 'the watch was ended'));
  const awaken = (): void => wake();
  // Stays for good: the client may emit an error long after the last event was taken.
  source.on('error', fail);
  source.on('confirmation', () => clearTimeout(starting));
  source.on('end', () => fail(new Error('the server ended the subscription')));
  source.on('close', () => fail(new Error('the subscription was closed')));
  source.on('readable', awaken);
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });

  const take = (limit: number): StoredEvent[] => {
    const events: StoredEvent[] = [];
    while (events.length < limit) {
      const resolved: Parameters<typeof storedOf>[0] | null = source.read();
      if (resolved === null) break;
      const stored = storedOf(resolved);
      if (stored !== undefined) events.push(stored);
    }
    return events;
  };

  return {
    next: async (limit) => {
      for (;;) {
        const events = take(limit);
        if (events.length > 0) return events;
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => {
      clearTimeout(starting);
      signal.removeEventListener('abort', stop);
      source.unsubscribe().catch(ignore);
      source.destroy();
    },
  };
};
