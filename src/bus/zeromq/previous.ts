import { asStreamId, type Position } from '../../../domain/event.ts';
import { BoundedMap } from '../../bounded-map.ts';
import type { Context, Message, NexusCore } from '../../nexus-core.ts';

const maxTopics = 50_000;
/** Events behind a message that are looked through for the one before it, when its topic is not remembered. */
const lookBack = 1_000;

/**
 * Tells for each message of a feed the position of the one before it on the same topic: from memory, else from the
 * log. Null for a topic's first message, and when more than `lookBack` newer ones hide the one before.
 */
export const createPrevious = (core: Pick<NexusCore, 'stream'>, context: Context) => {
  const newest = new BoundedMap<string, Position>(maxTopics);

  const find = async ({ topic, position }: Message): Promise<Position | null> => {
    const stream = asStreamId(`topic-${topic}`);
    const page = await core.stream(stream, { direction: 'backwards', limit: lookBack }, context);
    if (!page.ok) return null;
    return page.value.events.find((event) => event.position < position)?.position ?? null;
  };

  /** A promise only when the log is asked. Messages must come in log order, each once. */
  return (message: Message): Position | null | Promise<Position | null> => {
    const { topic, position } = message;
    const known = newest.get(topic);
    newest.set(topic, position);
    return known ?? find(message);
  };
};
