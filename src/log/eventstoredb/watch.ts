import { setTimeout as delay } from 'node:timers/promises';
import type { LogEvent, Position } from '../../../domain/event.ts';
import type { WatchOptions } from '../event-log.ts';
import { eventOf, partsOf, start } from './codec.ts';
import { faultOf } from './fault.ts';
import type { Session } from './session.ts';

const batchEvents = 500;

const asleep = async (ms: number, signal: AbortSignal): Promise<void> => {
  try {
    await delay(ms, undefined, { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
};

/**
 * Follows the log by a subscription to $all without the server's own events. Whenever that ends, whatever the reason
 * (restart, a consumer too slow for the server, a lost connection), a new one goes on behind the last event that was
 * handed out. The server's checkpoints are not used: they only save it a scan after a loss.
 */
export async function* watchLog(
  session: Session,
  { after, signal }: WatchOptions,
): AsyncGenerator<readonly LogEvent[], void, undefined> {
  partsOf(after);
  const { client, limits, health, closed } = session;
  const ended = AbortSignal.any([signal, closed]);
  let handled: Position = after;
  let pauseMs = limits.retryMs;
  let warned = false;
  while (!ended.aborted) {
    const subscription = client.subscribe(handled === start ? undefined : handled, limits.silenceMs);
    const stop = (): void => subscription.close();
    ended.addEventListener('abort', stop, { once: true });
    try {
      while (!ended.aborted) {
        const stored = await subscription.next(batchEvents);
        health.works();
        pauseMs = limits.retryMs;
        warned = false;
        const events: LogEvent[] = [];
        for (const one of stored) {
          // Each once, in order, also if a server began with `handled` itself.
          if (one.position <= handled) continue;
          handled = one.position;
          const event = eventOf(one);
          if (event !== undefined) events.push(event);
        }
        if (events.length > 0 && !ended.aborted) yield events;
      }
    } catch (error) {
      if (ended.aborted) return;
      const fault = faultOf(error);
      if (!warned)
        session.logger.warn(
          { reason: fault.message, after: handled },
          'the watch of EventStoreDB is opened again',
        );
      warned = true;
    } finally {
      ended.removeEventListener('abort', stop);
      subscription.close();
    }
    await asleep(pauseMs, ended);
    pauseMs = Math.min(pauseMs * 2, limits.maxRetryMs);
  }
}
