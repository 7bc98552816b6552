import { decodeEvent } from '../../../domain/catalog.ts';
import { asPosition, asRevision, type Json, type LogEvent, type StreamId } from '../../../domain/event.ts';
import type { DeadLetter } from '../../../domain/subscription/subscription.ts';
import type { EventLog } from '../../log/event-log.ts';
import { type SavedSource, savedOf } from './checkpoint.ts';
import { createEntry, type Entry, type Origin, type Place } from './entry.ts';
import { loadEvents } from './load.ts';
import { retrying } from './retrying.ts';
import type { Sink, Source } from './source.ts';
import { createWindow } from './window.ts';

export type RedriveSource = Source & {
  /** The subscription's stream has gone on. */
  poke(): void;
};

export type RedriveSourceOptions = {
  readonly log: Pick<EventLog, 'readStream'>;
  /** The subscription's own. */
  readonly stream: StreamId;
  readonly saved: SavedSource;
  readonly sink: Sink;
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

type Redrive = {
  readonly letters: readonly { readonly letter: number }[];
  readonly payload?: Json;
};

const redriveIn = (event: LogEvent | undefined): Redrive | undefined => {
  const decoded = event === undefined ? undefined : decodeEvent(event);
  if (decoded?.ok !== true || !decoded.known) return undefined;
  return decoded.event.type === 'DeadLettersRedriven' ? decoded.event.data : undefined;
};

/** Delivers dead letters again: follows the subscription's stream for the events that say which. */
export const createRedriveSource = ({ log, stream, saved, sink }: RedriveSourceOptions): RedriveSource => {
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

  const entryOf = (
    dead: DeadLetter,
    place: Place,
    edit: { readonly payload: Json; readonly by: number } | undefined,
  ): Entry => {
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
    edit: { readonly payload: Json; readonly by: number } | undefined,
  ): Promise<readonly Entry[]> => {
    const events = await loadEvents(log, places);
    return places.flatMap((place, index) => {
      const dead = letterIn(events[index]);
      return dead === undefined ? [] : [entryOf(dead, place, edit)];
    });
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
      const entries = pending.flatMap((one, index) => {
        const dead = letterIn(letters[index]);
        if (dead === undefined) return [];
        const payload = one.editedBy === undefined ? undefined : redriveIn(edits[index])?.payload;
        const edit =
          one.editedBy === undefined || payload === undefined ? undefined : { payload, by: one.editedBy };
        const { attempts, failures, dueAtMs } = one;
        return [Object.assign(entryOf(dead, one, edit), { attempts, failures, dueAtMs })];
      });
      hand(entries, sink.restored);
    },
    start() {
      void retrying(follow, stopping.signal, sink.troubled);
    },
    save: () => ({ cursor: `${revision}.${letter}`, pending: [...unsettled].map(savedOf) }),
    stop() {
      stopping.abort();
      window.close();
      wake.resolve();
    },
  };
};
