import { setTimeout as delay } from 'node:timers/promises';
import type { LogEvent } from '../../../domain/event.ts';
import { bytesOf, decodeRaw, type RawEntry } from './decode.ts';
import { faultOf } from './faults.ts';
import type { History } from './history.ts';
import type { Keys } from './keys.ts';
import type { Limits } from './limits.ts';
import type { Link } from './link.ts';
import { createPacer } from './pacer.ts';
import { visible } from './reader.ts';

export type FollowOptions = {
  /** A connection of its own, which the server may block; the caller closes it. */
  readonly link: Link;
  readonly history: History;
  readonly keys: Keys;
  readonly limits: Limits;
  readonly server: string;
  /** Exclusive. */
  readonly after: number;
  /** Aborts when the watcher is to end. The caller closes the link at the same moment, which ends a blocked read. */
  readonly signal: AbortSignal;
  readonly onTrouble: (reason: string) => void;
};

/** What one blocking read has found, none of it when it waited in vain. */
type Found = { readonly reached: number; readonly events: readonly LogEvent[] };

/** Everything behind `after`, in order, once. Asks the server only when it is asked itself. */
export const follow = async function* (
  options: FollowOptions,
): AsyncGenerator<readonly LogEvent[], void, undefined> {
  const { link, history, keys, limits, signal } = options;
  const pacer = createPacer(limits.page);
  let reached = options.after;

  const next = async (): Promise<Found> => {
    const { redis, generation } = await link.ready(limits.graceMs);
    const known = history.known();
    try {
      const blocked = redis.xread(
        'COUNT',
        pacer.next(),
        'BLOCK',
        limits.blockMs,
        'STREAMS',
        keys.log,
        `${reached}-0`,
      );
      const [found, state, marks] = await Promise.all([
        blocked,
        redis.hmget(keys.meta, 'epoch', 'sequence'),
        redis.hlen(keys.marks),
      ]);
      history.observe(known, state[0] ?? '', Number(state[1] ?? 0));
      const raw: readonly RawEntry[] = found?.[0]?.[1] ?? [];
      pacer.saw(raw.length, bytesOf(raw));
      const last = raw.at(-1);
      if (last === undefined) return { reached, events: [] };
      const events = raw.map(decodeRaw);
      return {
        reached: Number.parseInt(last[0], 10),
        events: marks === 0 ? events : await visible(redis, keys, events),
      };
    } catch (error) {
      const fault = faultOf(error, options.server);
      link.reset(generation, 'error' in fault ? fault.error.message : fault.reason);
      throw 'error' in fault ? fault.error : error;
    }
  };

  while (!signal.aborted) {
    let found: Found;
    try {
      found = await next();
    } catch (error) {
      if (signal.aborted) return;
      options.onTrouble(error instanceof Error ? error.message : String(error));
      // Outlasts the wait for the link, which ends at once when the server has been away for long.
      await delay(limits.retryMs.most / 4, undefined, { signal }).catch(() => undefined);
      continue;
    }
    reached = found.reached;
    if (found.events.length > 0 && !signal.aborted) yield found.events;
  }
};
