import { setTimeout as delay } from 'node:timers/promises';
import { asStreamId, type Position } from '../../../domain/event.ts';
import { BoundedMap } from '../../bounded-map.ts';
import type { Context, Message, NexusCore } from '../../nexus-core.ts';

const maxTopics = 50_000;
/** Events behind a message that are looked through for the one before it, when its topic is not remembered. */
const lookBack = 1_000;
/** A log that does not answer within this holds up no message: none is asked for a while. */
const lookMs = 1_000;
const restMs = 5_000;

/**
 * Tells for each message of a feed the position of the one before it on the same topic: from memory, else from the
 * log. Null for a topic's first message, when more than `lookBack` newer ones hide the one before, and when the log
 * cannot be asked.
 *
 * @param nowMs of a clock that is never set back.
 */
export const createPrevious = (core: Pick<NexusCore, 'stream'>, context: Context, nowMs: () => number) => {
  const newest = new BoundedMap<string, Position>(maxTopics);
  let askAgainAt = 0;

  const look = async ({ topic, position }: Message): Promise<Position | null> => {
    const stream = asStreamId(`topic-${topic}`);
    const page = await core.stream(stream, { direction: 'backwards', limit: lookBack }, context);
    if (!page.ok) return null;
    return page.value.events.find((event) => event.position < position)?.position ?? null;
  };

  const find = async (message: Message): Promise<Position | null> => {
    if (nowMs() < askAgainAt) return null;
    const limit = new AbortController();
    const found = await Promise.race([
      look(message).catch(() => undefined),
      delay(lookMs, undefined, { signal: limit.signal }).catch(() => undefined),
    ]);
    limit.abort();
    if (found === undefined) askAgainAt = nowMs() + restMs;
    return found ?? null;
  };

  return {
    /** Remembers it. Messages must come in log order, each once, to this or to `of`. */
    saw({ topic, position }: Message): void {
      newest.set(topic, position);
    },
    /** A promise only when the log is asked. */
    of(message: Message): Position | null | Promise<Position | null> {
      const { topic, position } = message;
      const known = newest.get(topic);
      newest.set(topic, position);
      return known ?? find(message);
    },
  };
};
