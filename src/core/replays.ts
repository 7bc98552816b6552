import type { LogEvent } from '../../domain/event.ts';
import { createPace, createSleeper } from '../bus/replay/pace.ts';
import { createRanges, type Range } from '../bus/replay/range.ts';
import { type Clock, steadyNow, systemClock } from '../clock.ts';
import { replaySchema } from '../command/subscription-schemas.ts';
import { ok } from '../errors.ts';
import type { ReplayApi, ReplayStep } from '../nexus-replays.ts';
import type { DeliveredMessage } from '../nexus-subscriptions.ts';
import { resolveStretch } from './as-of.ts';
import { demand } from './demand.ts';
import { messageFrom } from './logs.ts';
import { openReplays } from './open-replays.ts';
import type { Parts } from './parts.ts';
import type { Reads } from './reads.ts';
import { findSubscription } from './subscriptions.ts';
import { validate } from './validate.ts';

const steadyClock: Clock = { ...systemClock, now: steadyNow };

const replayed = (event: LogEvent): readonly DeliveredMessage[] => {
  const message = messageFrom(event);
  return message === undefined ? [] : [{ ...message, replay: true }];
};

/** @param clock Steady; the system's unless given. */
export const createReplayApi = (
  parts: Pick<Parts, 'log' | 'hub' | 'runner' | 'clock'>,
  reads: Reads,
  clock: Clock = steadyClock,
): Omit<ReplayApi, 'dryRun'> => {
  const { log, runner } = parts;
  const ranges = createRanges(log, parts.hub);

  async function* paced(
    range: Range,
    speed: number,
    signal: AbortSignal,
  ): AsyncGenerator<ReplayStep, void, undefined> {
    const pace = createPace({ speed, clock, wallMs: parts.clock });
    const sleeper = createSleeper(clock);
    signal.addEventListener('abort', sleeper.wake, { once: true });
    try {
      for await (const step of ranges.read(range, signal)) {
        if (step.type === 'gap') {
          yield step;
          continue;
        }
        const { events, position } = step;
        if (speed === 0) {
          yield { type: 'items', items: events.flatMap(replayed), position };
          continue;
        }
        for (const event of events) {
          const publishedMs = Date.parse(event.metadata.recordedAt);
          for (;;) {
            if (signal.aborted) return;
            const waitMs = pace.waitMs(publishedMs);
            if (waitMs === 0) break;
            await sleeper.sleep(waitMs);
          }
          yield { type: 'items', items: replayed(event), position: event.position };
        }
        yield { type: 'items', items: [], position };
      }
    } finally {
      signal.removeEventListener('abort', sleeper.wake);
    }
  }

  return {
    async replays(name, context) {
      const at = await reads.ready(context);
      if (!at.ok) return at;
      const found = findSubscription(parts, name, context);
      if (!found.ok) return found;
      const open = await openReplays(parts, found.value);
      return ok({ subscription: name, replays: open.map(({ request: _request, ...view }) => view) });
    },

    async replay(data, signal, context) {
      const input = validate(replaySchema, data);
      if (!input.ok) return input;
      const { topic, speed, ...ends } = input.value;
      const denied = demand(context, { scope: 'events:read', topic });
      if (denied !== undefined) return denied;
      const stretch = await resolveStretch(log, runner.store, ends);
      if (!stretch.ok) return stretch;
      const range = { topic, ...stretch.value };
      return ok({ ...range, speed, steps: paced(range, speed, signal) });
    },
  };
};
