import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { LogEvent } from '../../../domain/event.ts';
import { type Priority, priorities } from '../../../domain/message/message.ts';
import { ofPriority } from '../../watch/filter.ts';
import type { Hub } from '../../watch/hub.ts';
import type { LaneSource } from './lane-source.ts';

/** Counts the messages that a subscription's lanes have not met yet: only while somebody asks, at the cost of one watcher. */
export type Lag = {
  /** Exact once they are counted, else (a backlog that takes longer than 2 s) at least so many. */
  behind(): Promise<number>;
  stop(): void;
};

export type LagOptions = {
  readonly hub: Pick<Hub, 'watch'>;
  readonly topic: string;
  readonly lanes: Readonly<Record<Priority, LaneSource>>;
};

const countMs = 2_000;
/** A count that nobody has asked for so long is given up. */
const idleMs = 60_000;

type Counter = {
  behind(): number;
  /** Resolves once what stood in the log at the beginning is counted. */
  readonly counted: Promise<void>;
  readonly stop: () => void;
};

export const createLag = ({ hub, topic, lanes }: LagOptions): Lag => {
  let counter: Counter | undefined;
  let idle: NodeJS.Timeout | undefined;
  let stopped = false;

  const open = (): Counter => {
    const stopping = new AbortController();
    const counted = Promise.withResolvers<void>();
    const parts = priorities.map((priority) => {
      const lane = lanes[priority];
      return { lane, priority, after: lane.accepted, metBefore: lane.met, seen: 0 };
    });
    const after = parts.map((part) => part.after).reduce((left, right) => (left < right ? left : right));

    const count = (event: LogEvent): void => {
      for (const part of parts) {
        if (event.position <= part.after) continue;
        if (ofPriority({ type: 'topics', pattern: topic, priority: part.priority }, event)) part.seen++;
      }
    };
    const follow = async (): Promise<void> => {
      for await (const step of hub.watch({ filter: { topic }, after, signal: stopping.signal })) {
        if (step.type === 'items') for (const event of step.items) count(event);
        else if (step.type === 'caughtUp') counted.resolve();
      }
    };
    follow()
      .catch(() => {
        // It is counted anew when somebody asks again.
        if (counter === own) counter = undefined;
      })
      .finally(counted.resolve);
    const own: Counter = {
      behind: () =>
        parts.reduce((sum, { lane, metBefore, seen }) => sum + Math.max(0, seen - (lane.met - metBefore)), 0),
      counted: counted.promise,
      stop: () => stopping.abort(),
    };
    return own;
  };

  const stop = (): void => {
    clearTimeout(idle);
    counter?.stop();
    counter = undefined;
  };

  return {
    async behind() {
      if (stopped) return 0;
      // In a turn of its own, so that a lane's place and what it has met belong together.
      await nextTurn();
      counter ??= open();
      const own = counter;
      clearTimeout(idle);
      idle = setTimeout(stop, idleMs).unref();
      const limit = new AbortController();
      const late = delay(countMs, undefined, { signal: limit.signal, ref: false }).catch(() => undefined);
      await Promise.race([own.counted, late]);
      limit.abort();
      await nextTurn();
      return own.behind();
    },
    stop() {
      stopped = true;
      stop();
    },
  };
};
