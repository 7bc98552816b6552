import type { Requirement } from '../../domain/access.ts';
import { decodeEvent } from '../../domain/catalog.ts';
import {
  asRevision,
  asStreamId,
  categories,
  categoryOf,
  type LogEvent,
  type Position,
  type StreamId,
  streamId,
  streamKey,
} from '../../domain/event.ts';
import { isPlainTopic, isTopicPattern, topicMatches } from '../../domain/names.ts';
import type { TopicDocument } from '../../projections/documents.ts';
import { messageOf } from '../../projections/views.ts';
import { fault, invalid, ok, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import { isStreamName } from '../log/encode.ts';
import { maxStreamBytes } from '../log/event-log.ts';
import { firstRevisionAfter } from '../log/seek.ts';
import type { Context, Gap, LogQuery, Message, Page } from '../nexus-core.ts';
import { parseTime, positionAt, positionOf } from './as-of.ts';
import { createReadSizes, maxListBytes, maxPageBytes, maxReadEvents, weigh } from './pages.ts';
import type { Parts } from './parts.ts';
import { clampLimit, type Reads } from './reads.ts';

/** Events that one request looks at: a filter that matches nothing ends with `more: true` and the position to go on from. */
const maxScanned = 50_000;

const patternRule = 'must be a topic, in which a segment may be * and the last one >';

/** Made once per event, however many watchers it goes to, so that hosts can share what they make of it. */
const messages = new WeakMap<LogEvent, Message>();

const traceparents = new WeakMap<Message, string>();

/** Of what published a message that `messageFrom` made, when it was traced. */
export const traceparentOf = (message: Message): string | undefined => traceparents.get(message);

/** A message as clients see it; undefined for an event that is none. The same event gives the same object. */
export const messageFrom = (event: LogEvent): Message | undefined => {
  const made = messages.get(event);
  if (made !== undefined) return made;
  const decoded = decodeEvent(event);
  if (!decoded.ok || !decoded.known || decoded.event.type !== 'MessagePublished') return undefined;
  const message = messageOf(decoded.event);
  messages.set(event, message);
  const { traceparent } = event.metadata;
  if (traceparent !== undefined) traceparents.set(message, traceparent);
  return message;
};

const messageLists = new WeakMap<readonly LogEvent[], readonly Message[]>();

/** The messages among events that nobody changes. The same array gives the same array, as `messageFrom` does. */
export const messagesFrom = (events: readonly LogEvent[]): readonly Message[] => {
  const made = messageLists.get(events);
  if (made !== undefined) return made;
  const list = events.map(messageFrom).filter((message) => message !== undefined);
  messageLists.set(events, list);
  return list;
};

/** The scope that reading a stream needs: that of what it holds. */
export const streamRequirement = (stream: string): Requirement => {
  switch (categoryOf(stream)) {
    case 'service':
    case 'interface':
      return { scope: 'services:read' };
    case 'state':
      return { scope: 'state:read', key: streamKey(stream) };
    case 'topic':
      return { scope: 'events:read', topic: streamKey(stream) };
    case 'plugin':
      return { scope: 'plugins:admin' };
    default:
      return { scope: 'log:read' };
  }
};

export const streamRule = `must be the name of a stream: a lower-case letter, and ${maxStreamBytes} bytes in all without control characters`;

export const createLogQueries = (parts: Pick<Parts, 'log' | 'runner' | 'hub'>, reads: Reads) => {
  const { log, runner, hub } = parts;

  /** Where a page begins: behind `after`, or behind what was recorded before `from`, whichever is later. */
  const startOf = async (after: string | undefined, from: string | undefined): Promise<Result<Position>> => {
    let start = log.start;
    if (after !== undefined && after !== 'start') {
      const position = positionOf(log, 'after', after);
      if (!position.ok) return position;
      start = position.value;
    }
    if (from === undefined) return ok(start);
    const fromMs = parseTime(from);
    if (fromMs === undefined) return invalid('/from', 'must be an RFC 3339 time');
    const position = await positionAt(log, runner.store, fromMs - 1);
    return ok(position > start ? position : start);
  };

  type Scan = { readonly events: readonly LogEvent[]; readonly position: Position; readonly more: boolean };

  /** Reads on from `after` until `limit` events were accepted, the end was reached, or enough was looked at. */
  const scan = async (
    after: Position,
    limit: number,
    filter: { readonly category?: string; readonly types?: readonly string[] },
    accept: (event: LogEvent) => boolean | 'stop',
  ): Promise<Scan> => {
    const events: LogEvent[] = [];
    const sizes = createReadSizes();
    let position = after;
    let bytes = 0;
    for (let scanned = 0; scanned < maxScanned; ) {
      const page = await log.readAll({ ...filter, after: position, limit: sizes.next(maxReadEvents) });
      for (const event of page.events) {
        const accepted = accept(event);
        if (accepted === 'stop') return { events, position, more: false };
        position = event.position;
        if (!accepted) continue;
        events.push(event);
        bytes += weigh(event.data);
        if (events.length === limit || bytes >= maxPageBytes)
          return { events, position, more: page.more || event !== page.events.at(-1) };
      }
      sizes.saw(page.events);
      scanned += Math.max(page.events.length, 1);
      position = page.position;
      if (!page.more) return { events, position, more: false };
    }
    return { events, position, more: true };
  };

  type StreamPage = { readonly events: readonly LogEvent[]; readonly more: boolean };

  /** Up to `limit` events of one stream, fewer where they are large; `more` when there are further ones. */
  const readStream = async (
    stream: StreamId,
    options: {
      readonly from: number | undefined;
      readonly limit: number;
      readonly direction: 'forwards' | 'backwards';
    },
  ): Promise<StreamPage> => {
    const { limit, direction } = options;
    const events: LogEvent[] = [];
    const sizes = createReadSizes();
    let { from } = options;
    let bytes = 0;
    for (;;) {
      const wanted = sizes.next(limit + 1 - events.length);
      const read = await log.readStream(stream, {
        ...(from === undefined ? {} : { from: asRevision(from) }),
        direction,
        limit: wanted,
      });
      for (const event of read) {
        if (events.length === limit || (events.length > 0 && bytes >= maxPageBytes))
          return { events, more: true };
        events.push(event);
        bytes += weigh(event.data);
      }
      const last = read.at(-1);
      if (last === undefined || read.length < wanted) return { events, more: false };
      if (direction === 'backwards' && last.revision === 0) return { events, more: false };
      from = direction === 'forwards' ? last.revision + 1 : last.revision - 1;
      sizes.saw(read);
    }
  };

  /** One topic is read by its own stream: what other topics hold costs nothing. */
  const scanTopic = async (topic: string, after: Position, limit: number): Promise<Scan> => {
    const stream = streamId('topic', topic);
    const end = await log.position();
    const from = await firstRevisionAfter(log, stream, after);
    if (from === undefined) return { events: [], position: end > after ? end : after, more: false };
    const { events, more } = await readStream(stream, { from, limit, direction: 'forwards' });
    const last = events.at(-1)?.position ?? after;
    return { events, position: more || last > end ? last : end, more };
  };

  return {
    messages: async (
      options: {
        readonly topic?: string;
        readonly after?: string;
        readonly from?: string;
        readonly limit?: number;
      },
      context: Context,
    ): Promise<Result<Page<'events', Message> & { readonly more: boolean; readonly gap?: Gap }>> => {
      const pattern = options.topic ?? '>';
      if (!isTopicPattern(pattern)) return invalid('/topic', patternRule);
      const allowed = await reads.allow(context, { scope: 'events:read', topic: pattern });
      if (!allowed.ok) return allowed;
      const start = await startOf(options.after, options.from);
      if (!start.ok) return start;
      const limit = clampLimit(options.limit);
      const page = isPlainTopic(pattern)
        ? await scanTopic(pattern, start.value, limit)
        : await scan(start.value, limit, { category: 'topic' }, (event) =>
            topicMatches(pattern, streamKey(event.stream)),
          );
      const events = page.events.map(messageFrom).filter((message) => message !== undefined);
      // Behind the read: what was removed before it is recorded by now.
      const gap = await hub.gapBehind(start.value, { topic: pattern });
      return ok({ events, position: page.position, more: page.more, ...given({ gap }) });
    },

    stream: async (
      stream: string,
      options: {
        readonly from?: number;
        readonly limit?: number;
        readonly direction?: 'forwards' | 'backwards';
      },
      context: Context,
    ): Promise<
      Result<{ readonly stream: string; readonly events: readonly LogEvent[]; readonly more: boolean }>
    > => {
      if (!isStreamName(stream)) return invalid('/stream', streamRule);
      const allowed = await reads.allow(context, streamRequirement(stream));
      if (!allowed.ok) return allowed;
      const { events, more } = await readStream(asStreamId(stream), {
        from: options.from,
        direction: options.direction ?? 'forwards',
        limit: clampLimit(options.limit),
      });
      if (events.length === 0 && (await log.head(asStreamId(stream))) === undefined) {
        return fault(problem('not_found', `there is no stream ${stream}`, { stream }));
      }
      return ok({ stream, events, more });
    },

    log: async (
      query: LogQuery,
      context: Context,
    ): Promise<Result<Page<'events', LogEvent> & { readonly more: boolean }>> => {
      const allowed = await reads.allow(context, { scope: 'log:read' });
      if (!allowed.ok) return allowed;
      const { category, type, stream, correlationId } = query;
      if (category !== undefined && !categories.some((known) => known === category)) {
        return invalid('/category', `must be one of ${categories.join(', ')}`);
      }
      const toMs = query.to === undefined ? undefined : parseTime(query.to);
      if (query.to !== undefined && toMs === undefined) return invalid('/to', 'must be an RFC 3339 time');
      const start = await startOf(query.after, query.from);
      if (!start.ok) return start;
      const filter = {
        ...(category === undefined ? {} : { category }),
        ...(type === undefined ? {} : { types: [type] }),
      };
      return ok(
        await scan(start.value, clampLimit(query.limit), filter, (event) => {
          if (toMs !== undefined && Date.parse(event.metadata.recordedAt) > toMs) return 'stop';
          return (
            (stream === undefined || event.stream === stream) &&
            (correlationId === undefined || event.metadata.correlationId === correlationId)
          );
        }),
      );
    },

    topics: async (context: Context): Promise<Result<Page<'topics', TopicDocument>>> => {
      const at = await reads.begin(context, { scope: 'events:read', topic: '>' });
      if (!at.ok) return at;
      const topics: TopicDocument[] = [];
      let bytes = 0;
      for (const [, document] of at.value.store.range<TopicDocument>('topics')) {
        topics.push(document);
        bytes += weigh(document);
        if (bytes > maxListBytes)
          return fault(problem('too_large', 'there are too many topics for one answer'));
      }
      return ok({ topics, position: at.value.position });
    },
  };
};
