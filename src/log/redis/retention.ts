import type { Revision, StreamId } from '../../../domain/event.ts';
import { LogError } from '../event-log.ts';
import type { Caller } from './caller.ts';
import type { Keys } from './keys.ts';
import type { Limits } from './limits.ts';
import { scripts } from './scripts.ts';

export type Retention = {
  /** @throws {LogError} `invalid`, `log_unavailable`. */
  truncate(stream: StreamId, before: Revision): Promise<void>;
  /** Goes step by step until nothing is left or `signal` aborts. */
  scavenge(options?: {
    readonly signal?: AbortSignal;
  }): Promise<{ readonly events: number; readonly bytes: number }>;
};

export const createRetention = (caller: Caller, keys: Keys, limits: Limits): Retention => ({
  truncate: async (stream, before) => {
    if (!Number.isSafeInteger(before) || before < 0) {
      throw new LogError('invalid', 'a stream is truncated before a revision from 0', { stream, before });
    }
    await caller.script(
      scripts.truncate,
      [keys.meta, keys.heads, keys.marks, keys.pending],
      [stream, before],
    );
  },
  scavenge: async (options) => {
    let events = 0;
    let bytes = 0;
    while (!options?.signal?.aborted) {
      const step = await caller.script(
        scripts.scavenge,
        [keys.log, keys.meta, keys.heads, keys.marks, keys.kinds, keys.pending],
        [limits.scavengeEvents],
      );
      events += Number(step[2]);
      bytes += Number(step[3]);
      if (step[4] === 0) break;
    }
    return { events, bytes };
  },
});
