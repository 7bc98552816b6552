import { decodeEvent } from '../../../domain/catalog.ts';
import { asPosition, asRevision, type Json, type LogEvent, type StreamId } from '../../../domain/event.ts';
import type { DeadLetter, MessageCopy } from '../../../domain/subscription/subscription.ts';
import { eventAt } from '../../log/event-at.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Message } from '../../nexus-core.ts';
import { type Saved, type SavedSource, savedOf } from './checkpoint.ts';
import { createEntry, type Entry, maxFailures, type Origin, type Place } from './entry.ts';
import { payloadOmitted } from './graveyard.ts';
import { loadEvents } from './load.ts';
import { retrying } from './retrying.ts';
import type { Sink, Source } from './source.ts';
import { createWindow } from './window.ts';

export type RedriveSource = Source & {
  /** The subscription's stream has gone on. */
  poke(): void;
};

export type RedriveSourceOptions = {
  readonly log: Pick<EventLog, 'readStream' | 'readAll' | 'start'>;
  /** The subscription's own. */
  readonly stream: StreamId;
  readonly saved: SavedSource;
  readonly sink: Sink;
  readonly messageFrom: (event: LogEvent) => Message | undefined;
  /** True for a letter whose message has died again since, although the checkpoint does not say so. */
  readonly diedAgain: (dead: DeadLetter, letter: number) => boolean;
};

const windowEntries = 256;
const windowBytes = 4 * 1_048_576;
const pageEvents = 32;
const lettersAtOnce = 64;

/** Said in the headers of a message that was redriven with another payload: the id of the one that it was made of. */
export const redriveOf = 'nexus-redrive-of';

/** The next redrive to look for, and how many of its letters were handed over. */
type Cursor = { readonly revision: number; readonly letter: number };

const parseCursor = (text: string): Cursor => {
  const [revision = 0, letter = 0] = text.split('.').map(Number);
  return { revision, letter };
};

const letterIn = (event: LogEvent | undefined): DeadLetter | undefined => {
  const decoded = event === undefined ? undefined : decodeEvent(event);
  if (decoded?.ok !== true || !decoded.known) return undefined;
  return decoded.event.type === 'MessageDeadLettered' ? decoded.event.data : undefined;
};

/** Failures of before the redrive stand in the letter. */
const savedSince = (entry: Entry): Saved => ({
  ...savedOf(entry),
  failures: entry.attempts === 0 ? [] : entry.failures.slice(-entry.attempts),
});

type Redrive = {
  readonly letters: readonly { readonly letter: number }[];
  readonly payload?: Json;
};

const redriveIn = (event: LogEvent | undefined): Redrive | undefined => {
  const decoded = event === undefined ? undefined : decodeEvent(event);
  if (decoded?.ok !== true || !decoded.known) return undefined;
  return decoded.event.type === 'DeadLettersRedriven' ? decoded.event.data : undefined;
};

type Edit = { readonly payload: Json; readonly by: number };

const withoutMark = ({
  [payloadOmitted]: _mark,
  ...headers
}: MessageCopy['headers']): MessageCopy['headers'] => headers;

/** Delivers dead letters again: follows the subscription's stream for the events that say which. */
export const createRedriveSource = (options: RedriveSourceOptions): RedriveSource => {
  const { log, stream, saved, sink } = options;
  const stopping = new AbortController();
  const window = createWindow(windowEntries, windowBytes);
  const unsettled = new Set<Entry>();
  let { revision, letter } = parseCursor(saved.cursor);
  let wake = Promise.withResolvers<void>();

  const origin: Origin = {
    delivered: () => {},
    settled(entry) {
      if (unsettled.delete(entry)) window.remove(entry.bytes);
    },
  };

  /** With the payload of the original, where that did not fit into the letter and still stands in the log. */
  const whole = async (dead: DeadLetter, edit: Edit | undefined): Promise<DeadLetter> => {
    const { message } = dead;
    if (!Object.hasOwn(message.headers, payloadOmitted)) return dead;
    if (edit !== undefined)
      return { ...dead, message: { ...message, headers: withoutMark(message.headers) } };
    const event = await eventAt(log, asPosition(message.position));
    const original = event === undefined ? undefined : options.messageFrom(event);
    if (original === undefined) return dead;
    const { payload } = original;
    return { ...dead, message: { ...message, payload, headers: withoutMark(message.headers) } };
  };

  const entryOf = async (letter: DeadLetter, place: Place, edit: Edit | undefined): Promise<Entry> => {
    const dead = await whole(letter, edit);
    const { message } = dead;
    const headers =
      edit === undefined ? message.headers : { ...message.headers, [redriveOf]: message.messageId };
    return createEntry({
      origin,
      message: {
        ...message,
        payload: edit === undefined ? message.payload : edit.payload,
        headers,
        position: asPosition(message.position),
        ...(dead.replay === true ? { replay: true } : {}),
      },
      place,
      nowMs: sink.nowMs(),
      editedBy: edit?.by,
      redrives: dead.redrives + 1,
      attemptsBefore: dead.attempts,
      failures: dead.errors,
    });
  };

  const hand = (entries: readonly Entry[], how: Sink['accept']): void => {
    for (const entry of entries) {
      unsettled.add(entry);
      window.add(entry.bytes);
    }
    if (entries.length > 0) how(entries);
  };

  const loadRedriven = async (
    places: readonly Place[],
    edit: Edit | undefined,
  ): Promise<readonly Entry[]> => {
    const events = await loadEvents(log, places);
    const entries: Entry[] = [];
    for (const [index, place] of places.entries()) {
      const dead = letterIn(events[index]);
      if (dead === undefined || options.diedAgain(dead, place.revision)) continue;
      entries.push(await entryOf(dead, place, edit));
    }
    return entries;
  };

  /** Hands over the letters of one redrive, a few at a time; the cursor moves with each step. */
  const carryOut = async (event: LogEvent): Promise<void> => {
    const redrive = redriveIn(event);
    const edit =
      redrive?.payload === undefined ? undefined : { payload: redrive.payload, by: Number(event.revision) };
    const letters = redrive?.letters ?? [];
    while (letter < letters.length) {
      await window.room();
      if (stopping.signal.aborted) return;
      const places = letters
        .slice(letter, letter + lettersAtOnce)
        .map((ref) => ({ stream, revision: ref.letter }));
      const entries = await loadRedriven(places, edit);
      if (stopping.signal.aborted) return;
      letter += places.length;
      hand(entries, sink.accept);
    }
    revision = Number(event.revision) + 1;
    letter = 0;
  };

  const follow = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      wake = Promise.withResolvers<void>();
      const events = await log.readStream(stream, { from: asRevision(revision), limit: pageEvents });
      for (const event of events) {
        if (stopping.signal.aborted) return;
        await carryOut(event);
      }
      if (events.length === 0) await wake.promise;
    }
  };

  return {
    poke: () => wake.resolve(),
    async restore() {
      const { pending } = saved;
      const edits = await loadEvents(
        log,
        pending.map(({ editedBy }) => ({ stream, revision: editedBy ?? 0 })),
      );
      const letters = await loadEvents(log, pending);
      const entries: Entry[] = [];
      for (const [index, one] of pending.entries()) {
        const dead = letterIn(letters[index]);
        if (dead === undefined || options.diedAgain(dead, one.revision)) continue;
        const payload = one.editedBy === undefined ? undefined : redriveIn(edits[index])?.payload;
        const edit =
          one.editedBy === undefined || payload === undefined ? undefined : { payload, by: one.editedBy };
        const { attempts, dueAtMs } = one;
        const failures = [...dead.errors, ...one.failures].slice(-maxFailures);
        entries.push(Object.assign(await entryOf(dead, one, edit), { attempts, failures, dueAtMs }));
      }
      hand(entries, sink.restored);
    },
    start() {
      void retrying(follow, stopping.signal, sink.troubled);
    },
    save: () => ({ cursor: `${revision}.${letter}`, pending: [...unsettled].map(savedSince) }),
    stop() {
      stopping.abort();
      window.close();
      wake.resolve();
    },
  };
};
