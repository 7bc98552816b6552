import type { DeadLetter, MessageCopy } from '../../../domain/subscription/subscription.ts';
import { LogError } from '../../log/event-log.ts';
import type { Entry } from './entry.ts';
import { createFifo } from './fifo.ts';
import { retrying } from './retrying.ts';

/** Records dead letters, several at a time, and goes on until the log has taken them. */
export type Graveyard = {
  /** Entries that are given up and not recorded yet. */
  readonly waiting: number;
  add(entry: Entry): void;
  stop(): void;
};

export type GraveyardOptions = {
  /** `lost`: this node no longer serves the subscription, and the letters were refused. */
  readonly bury: (letters: readonly DeadLetter[]) => Promise<'done' | 'lost'>;
  readonly buried: (entries: readonly Entry[]) => void;
  readonly lost: () => void;
  readonly troubled: (error: unknown) => void;
};

const maxLetters = 64;
/** Of an append's 1,000,000: the rough weight of an entry is more than what its JSON takes. */
const maxBytes = 400_000;

/** Said in the headers of a copy whose payload did not fit beside its history; the original has it. */
export const payloadOmitted = 'nexus-payload-omitted';

const copyOf = ({ message }: Entry): MessageCopy => ({
  messageId: message.messageId,
  topic: message.topic,
  payload: message.payload,
  priority: message.priority,
  ...(message.key === undefined ? {} : { key: message.key }),
  headers: message.headers,
  publishedAt: message.publishedAt,
  publisher: message.publisher,
  position: message.position,
});

export const letterOf = (entry: Entry): DeadLetter => ({
  messageId: entry.message.messageId,
  position: entry.message.position,
  attempts: entry.attemptsBefore + entry.attempts,
  error: entry.failures.at(-1)?.reason ?? 'unknown',
  errors: entry.failures,
  redrives: entry.redrives,
  message: copyOf(entry),
});

const withoutPayload = (letter: DeadLetter): DeadLetter => ({
  ...letter,
  errors: letter.errors.slice(-1),
  message: {
    ...letter.message,
    payload: null,
    headers: { ...letter.message.headers, [payloadOmitted]: 'true' },
  },
});

const isTooLarge = (error: unknown): boolean => error instanceof LogError && error.code === 'too_large';

export const createGraveyard = ({ bury, buried, lost, troubled }: GraveyardOptions): Graveyard => {
  const queue = createFifo<Entry>();
  const stopping = new AbortController();
  let underWay = 0;
  let running = false;

  const nextBatch = (): Entry[] => {
    const batch: Entry[] = [];
    let bytes = 0;
    for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
      bytes += next.bytes;
      if (batch.length > 0 && (batch.length === maxLetters || bytes > maxBytes)) break;
      batch.push(next);
      queue.shift();
    }
    return batch;
  };

  const buryOne = async (letter: DeadLetter): Promise<'done' | 'lost'> => {
    try {
      return await bury([letter]);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      return bury([withoutPayload(letter)]);
    }
  };

  const buryAll = async (batch: readonly Entry[]): Promise<void> => {
    const letters = batch.map(letterOf);
    let outcome: 'done' | 'lost' = 'done';
    try {
      outcome = await bury(letters);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      for (const letter of letters) if (outcome === 'done') outcome = await buryOne(letter);
    }
    if (stopping.signal.aborted) return;
    if (outcome === 'done') buried(batch);
    else lost();
  };

  const run = async (): Promise<void> => {
    running = true;
    while (queue.length > 0 && !stopping.signal.aborted) {
      const batch = nextBatch();
      underWay = batch.length;
      await retrying(() => buryAll(batch), stopping.signal, troubled);
      underWay = 0;
    }
    running = false;
  };

  return {
    get waiting() {
      return queue.length + underWay;
    },
    add(entry) {
      queue.push(entry);
      if (!running) void run();
    },
    stop: () => stopping.abort(),
  };
};
