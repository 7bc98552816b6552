import { setImmediate as nextTurn } from 'node:timers/promises';
import { asRevision, type LogEvent, type StreamId } from '../../domain/event.ts';
import { createReadSizes } from '../core/pages.ts';
import type { EventLog } from '../log/event-log.ts';

const lookEvents = 1_000;
const lookBytes = 32 * 1_048_576;
/** Of one page. The first is of every command with an id, and waits for no turn. */
const firstPageBytes = 65_536;
const pageBytes = 131_072;
/** Of all that look back at a time: what one turn of the event loop reads is bounded however many they are. */
const pagesInTurn = 4;

/** Looks for the events of a command among the newest of its stream, in pages of few bytes with turns of others between. */
export const createLookBack = (log: EventLog) => {
  let turn: Promise<unknown> = Promise.resolve();
  let places = 0;

  /** Resolves in a turn of the event loop that is not this one, and has a place for one more page. */
  const place = (): Promise<unknown> => {
    if (places === 0) {
      const next = turn.then(() => nextTurn());
      turn = next;
      places = pagesInTurn;
      next.then(() => {
        if (turn === next) places = 0;
      });
    }
    places--;
    return turn;
  };

  /** The other events of the command that wrote `event`, unless they were truncated meanwhile. */
  const behind = async (
    event: LogEvent,
    count: number,
    eventId: (index: number) => string,
  ): Promise<readonly LogEvent[]> => {
    const events = await log.readStream(event.stream, { from: asRevision(event.revision + 1), limit: count });
    return events.filter(({ id }, index) => id === eventId(index + 1));
  };

  /**
   * The events that a command of these ids has written before, or undefined. Of what it passes it keeps the ids only.
   */
  return async (
    stream: StreamId,
    eventId: (index: number) => string,
  ): Promise<readonly LogEvent[] | undefined> => {
    const first = eventId(0);
    const passed: string[] = [];
    const sizes = createReadSizes();
    let from: number | undefined;
    for (let bytes = 0; passed.length < lookEvents && bytes < lookBytes; ) {
      if (from !== undefined) await place();
      const page = await log.readStream(stream, {
        direction: 'backwards',
        limit: sizes.next(lookEvents - passed.length),
        maxBytes: from === undefined ? firstPageBytes : pageBytes,
        ...(from === undefined ? {} : { from: asRevision(from) }),
      });
      for (const event of page) {
        if (event.id !== first) {
          passed.push(event.id);
          continue;
        }
        let more = 0;
        while (more < passed.length && passed.at(-1 - more) === eventId(more + 1)) more++;
        return more === 0 ? [event] : [event, ...(await behind(event, more, eventId))];
      }
      const oldest = page.at(-1)?.revision ?? 0;
      if (oldest === 0) return undefined;
      from = oldest - 1;
      bytes += sizes.saw(page);
    }
    return undefined;
  };
};
