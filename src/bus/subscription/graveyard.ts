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
  /** Resolves once all that were added before the call are recorded; false when they never will be, by this one. */
  recorded(): Promise<boolean>;
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
  ...(entry.message.replay === true ? { replay: true } : {}),
  message: copyOf(entry),
});

/** For a letter that one append does not hold: what is known of the last failure alone. */
const withLastError = (letter: DeadLetter): DeadLetter => ({ ...letter, errors: letter.errors.slice(-1) });

const withoutPayload = (letter: DeadLetter): DeadLetter => ({
  ...withLastError(letter),
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
  const { signal } = stopping;
  /** What is being recorded: those that are recorded leave it. */
  let underWay: readonly Entry[] = [];
  let running = false;
  /** How many were added, and how many of them are recorded: in the same order. */
  let added = 0;
  let done = 0;
  let waiters: { readonly at: number; readonly resolve: (recorded: boolean) => void }[] = [];

  const wake = (): void => {
    const isDue = ({ at }: { readonly at: number }): boolean => signal.aborted || at <= done;
    for (const waiter of waiters.filter(isDue)) waiter.resolve(!signal.aborted);
    waiters = waiters.filter((waiter) => !isDue(waiter));
  };

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

  const conclude = (outcome: 'done' | 'lost', batch: readonly Entry[]): void => {
    if (signal.aborted) return;
    if (outcome === 'lost') {
      lost();
      return;
    }
    underWay = underWay.slice(batch.length);
    done += batch.length;
    buried(batch);
    wake();
  };

  const buryOne = async (entry: Entry): Promise<'done' | 'lost'> => {
    const letter = letterOf(entry);
    for (const shorter of [letter, withLastError(letter)]) {
      try {
        return await bury([shorter]);
      } catch (error) {
        if (!isTooLarge(error)) throw error;
      }
    }
    return bury([withoutPayload(letter)]);
  };

  const buryAll = async (): Promise<void> => {
    const batch = underWay;
    try {
      conclude(await bury(batch.map(letterOf)), batch);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      for (const entry of batch) if (!signal.aborted) conclude(await buryOne(entry), [entry]);
    }
  };

  const run = async (): Promise<void> => {
    running = true;
    while (queue.length > 0 && !signal.aborted) {
      underWay = nextBatch();
      await retrying(buryAll, signal, troubled);
    }
    running = false;
  };

  return {
    get waiting() {
      return queue.length + underWay.length;
    },
    add(entry) {
      queue.push(entry);
      added++;
      if (!running) void run();
    },
    recorded() {
      if (signal.aborted || done === added) return Promise.resolve(!signal.aborted);
      return new Promise((resolve) => waiters.push({ at: added, resolve }));
    },
    stop() {
      stopping.abort();
      wake();
    },
  };
};
