import type { Redis } from 'ioredis';
import { asRevision, type LogEvent, type StreamId } from '../../../domain/event.ts';
import {
  LogError,
  type LogPage,
  type ReadAllOptions,
  type ReadStreamOptions,
  type StreamHead,
} from '../event-log.ts';
import type { Caller } from './caller.ts';
import { bytesOf, decodeRaw, decodeTriples } from './decode.ts';
import type { History } from './history.ts';
import { type Keys, positionOf, sequenceOf, startPosition } from './keys.ts';
import type { Limits } from './limits.ts';
import { createPacer } from './pacer.ts';
import { scripts } from './scripts.ts';

export type Reader = {
  readStream(stream: StreamId, options: ReadStreamOptions): Promise<readonly LogEvent[]>;
  readAll(options: ReadAllOptions): Promise<LogPage>;
  head(stream: StreamId): Promise<StreamHead | undefined>;
  /** Sequence of the newest event, 0 when there is none. */
  newest(): Promise<number>;
};

export type ReaderOptions = {
  readonly caller: Caller;
  readonly history: History;
  readonly keys: Keys;
  readonly limits: Limits;
};

const maxLimit = 10_000;
/** Bounds one call over large or hidden events: it then ends early and says that there is more. */
const maxPages = 16;

const checkLimit = (limit: number): void => {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxLimit) {
    throw new LogError('invalid', `a limit is 1 to ${maxLimit}, not ${limit}`, { limit });
  }
};

/** Leaves out what was truncated in its stream, as the marks stand now. */
export const visible = async (
  redis: Redis,
  keys: Keys,
  events: readonly LogEvent[],
): Promise<readonly LogEvent[]> => {
  const streams = [...new Set(events.map((event) => event.stream))];
  if (streams.length === 0) return events;
  const marks = await redis.hmget(keys.marks, ...streams);
  const before = new Map<string, number>();
  for (const [index, stream] of streams.entries()) {
    const mark = marks[index];
    if (typeof mark === 'string') before.set(stream, Number.parseInt(mark, 10));
  }
  if (before.size === 0) return events;
  return events.filter((event) => event.revision >= (before.get(event.stream) ?? 0));
};

export const createReader = ({ caller, history, keys, limits }: ReaderOptions): Reader => {
  const streamKeys = [keys.log, keys.meta, keys.heads, keys.marks];
  const pacer = createPacer(limits.page);
  const kindKeys = [keys.log, keys.meta, keys.marks, keys.kinds];

  const readStream = async (stream: StreamId, options: ReadStreamOptions): Promise<readonly LogEvent[]> => {
    checkLimit(options.limit);
    const direction = options.direction ?? 'forwards';
    const all: LogEvent[] = [];
    let from: number | undefined = options.from;
    const maxBytes = Math.min(options.maxBytes ?? limits.page.bytes, limits.page.bytes);
    for (;;) {
      const asked = Math.min(options.limit - all.length, limits.page.events);
      const args = [stream, from ?? '', direction, asked, maxBytes];
      const reply = await caller.script(scripts.readStream, streamKeys, args);
      const events = decodeTriples(reply, 5);
      all.push(...events);
      const last = events.at(-1);
      const more = options.maxBytes === undefined && (reply[4] === 1 || events.length === asked);
      if (last === undefined || !more || all.length >= options.limit) return all;
      from = direction === 'forwards' ? last.revision + 1 : last.revision - 1;
      if (from < 0) return all;
    }
  };

  /** One page by the indexes of the kinds that match. */
  const readKinds = async (options: ReadAllOptions, after: number | undefined): Promise<LogPage> => {
    const reply = await caller.script(scripts.readKinds, kindKeys, [
      options.category ?? '',
      after ?? '',
      options.direction ?? 'forwards',
      Math.min(options.limit, limits.page.events),
      limits.page.bytes,
      ...(options.types ?? []),
    ]);
    return { events: decodeTriples(reply, 4), position: positionOf(Number(reply[2])), more: reply[3] === 1 };
  };

  const readEvery = (options: ReadAllOptions, after: number | undefined): Promise<LogPage> =>
    caller.run(async (redis, known) => {
      const backwards = options.direction === 'backwards';
      const count = Math.min(options.limit, pacer.next());
      const edge = after === undefined ? undefined : `(${after}-0`;
      const entries = backwards
        ? redis.xrevrange(keys.log, edge ?? '+', '-', 'COUNT', count)
        : redis.xrange(keys.log, edge ?? '-', '+', 'COUNT', count);
      // Sent together: what stands in the log was there before the head that follows.
      const [raw, state, marks] = await Promise.all([
        entries,
        redis.hmget(keys.meta, 'epoch', 'sequence'),
        redis.hlen(keys.marks),
      ]);
      const newest = Number(state[1] ?? 0);
      history.observe(known, state[0] ?? '', newest);
      pacer.saw(raw.length, bytesOf(raw));
      const events = raw.map(decodeRaw);
      const last = raw.at(-1);
      const reached = last === undefined ? undefined : Number.parseInt(last[0], 10);
      return {
        events: marks === 0 ? events : await visible(redis, keys, events),
        position: reached === undefined ? positionOf(after ?? 0) : positionOf(reached),
        more: reached !== undefined && raw.length === count && (backwards ? reached > 1 : reached < newest),
      };
    });

  const readAll = async (options: ReadAllOptions): Promise<LogPage> => {
    checkLimit(options.limit);
    const given = options.after === undefined ? undefined : sequenceOf(options.after);
    if (options.after !== undefined && given === undefined) {
      throw new LogError('invalid', 'after is no position of this log', { after: options.after });
    }
    if (given === 0 && options.direction === 'backwards') {
      return { events: [], position: startPosition, more: false };
    }
    const byKind = options.category !== undefined || options.types !== undefined;
    const events: LogEvent[] = [];
    let after = given === 0 ? undefined : given;
    for (let pages = 1; ; pages++) {
      const rest = { ...options, limit: options.limit - events.length };
      const page = byKind ? await readKinds(rest, after) : await readEvery(rest, after);
      events.push(...page.events);
      if (!page.more || events.length >= options.limit || pages === maxPages) return { ...page, events };
      after = sequenceOf(page.position);
    }
  };

  return {
    readStream,
    readAll,
    head: async (stream) => {
      const reply = await caller.script(scripts.readStream, streamKeys, [stream, '', 'forwards', 0, 0]);
      const head = Number(reply[2]);
      if (head < 0) return undefined;
      return { revision: asRevision(head), truncatedBefore: asRevision(Number(reply[3])) };
    },
    newest: () =>
      caller.run(async (redis, known) => {
        const state = await redis.hmget(keys.meta, 'epoch', 'sequence');
        const sequence = Number(state[1] ?? 0);
        history.observe(known, state[0] ?? '', sequence);
        return sequence;
      }),
  };
};
