import { randomUUID } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import { asStreamId, type LogEvent, type NewEvent, type StreamId } from '../../../domain/event.ts';
import type { Appended, AppendResult, EventLog, ReadAllOptions } from '../../../src/log/event-log.ts';

/** One opened log of the adapter under test. Other tests may write to the same log; none touches its streams. */
export type OpenedLog = {
  readonly log: EventLog;
  /** Closes the log and opens the same history again; the old one is of no use afterwards. */
  reopen(): Promise<EventLog>;
  /** Releases everything, also what `reopen` opened. */
  close(): Promise<void>;
};

/** What an adapter declares to do otherwise; each is shown in the title of what is left out. */
export type Capabilities = {
  /** The log of each test begins empty. */
  readonly fresh: boolean;
  /** Truncated events are hidden from `readAll` and `watch` at once, not only from `readStream`. */
  readonly hidesTruncatedFromAll: boolean;
  /** `scavenge` itself frees the space of truncated events and counts them. */
  readonly scavenges: boolean;
  /** Appends to several streams in one commit (`appendAll`). */
  readonly appendsToSeveral: boolean;
};

/** Opens a log for one test, or answers undefined after it has called `skipped`. */
export type OpenLog = (t: ExecutionContext) => Promise<OpenedLog | undefined>;

/** Registers one test under the adapter's name; the log is closed whatever happens. */
export type Case = (
  title: string,
  body: (t: ExecutionContext, log: EventLog, opened: OpenedLog) => Promise<void>,
) => void;

/** A category that no other test uses. */
export const freshCategory = (): string => `t${randomUUID().replaceAll('-', '')}`;

export const freshStream = (category: string = freshCategory()): StreamId =>
  asStreamId(`${category}-${randomUUID()}`);

export const newEvent = (
  data: unknown = { n: 1 },
  type = 'ThingHappened',
  id: string = randomUUID(),
): NewEvent => ({
  id,
  type,
  data,
  metadata: {
    actor: 'local',
    correlationId: randomUUID(),
    causationId: null,
    node: 'node-1',
    schema: 1,
  },
});

/** `count` events whose data is `{ n: first }`, `{ n: first + 1 }` … */
export const newEvents = (count: number, first = 0): NewEvent[] =>
  Array.from({ length: count }, (_, index) => newEvent({ n: first + index }));

/** The ok answer, or a thrown error that says what came instead. */
export const accepted = (result: AppendResult): Appended => {
  if (!result.ok) throw new Error(`the append was a conflict: ${JSON.stringify(result)}`);
  return result;
};

export const numbers = (events: readonly LogEvent[]): unknown[] =>
  events.map((event) =>
    event.data !== null && typeof event.data === 'object' && 'n' in event.data ? event.data.n : null,
  );

export const ids = (events: readonly { readonly id: string }[]): string[] => events.map((event) => event.id);
export const revisions = (events: readonly LogEvent[]): number[] => events.map((event) => event.revision);

/** Every event that `options` select, page by page; fails when a page breaks the rules of paging. */
export const readPages = async (
  t: ExecutionContext,
  log: EventLog,
  options: ReadAllOptions,
): Promise<LogEvent[]> => {
  const all: LogEvent[] = [];
  const backwards = options.direction === 'backwards';
  let after = options.after;
  for (;;) {
    const page = await log.readAll(after === undefined ? options : { ...options, after });
    t.true(page.events.length <= options.limit, 'a page holds at most `limit` events');
    if (after !== undefined && page.more) {
      t.true(backwards ? page.position < after : page.position > after, 'a page that has more moves on');
    }
    all.push(...page.events);
    if (!page.more) return all;
    after = page.position;
  }
};

/** The first `count` events of `category` that a watch from `after` hands out. */
export const watchEvents = async (
  t: ExecutionContext,
  log: EventLog,
  options: { readonly after: LogEvent['position']; readonly category: string; readonly count: number },
): Promise<LogEvent[]> => {
  const seen: LogEvent[] = [];
  const stop = new AbortController();
  for await (const batch of log.watch({ after: options.after, signal: stop.signal })) {
    t.true(batch.length >= 1 && batch.length <= 1_000, 'a batch holds 1 to 1,000 events');
    for (const event of batch) if (event.stream.startsWith(`${options.category}-`)) seen.push(event);
    if (seen.length >= options.count) stop.abort();
  }
  return seen;
};

/** Fails unless `events` stand in strictly increasing position order. */
export const assertOrdered = (t: ExecutionContext, events: readonly LogEvent[]): void => {
  const disordered = events.findIndex((event, index) => {
    const before = events[index - 1];
    return before !== undefined && before.position >= event.position;
  });
  t.is(disordered, -1, 'positions increase');
};
