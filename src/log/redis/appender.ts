import { asRevision, type StreamId } from '../../../domain/event.ts';
import { type EncodedEvent, type EncodedPart, encodedBytes } from '../encode.ts';
import { type AppendAllResult, type AppendResult, type Expected, LogError } from '../event-log.ts';
import { bodyOf } from './decode.ts';
import { faultOf } from './faults.ts';
import type { History } from './history.ts';
import { type Keys, kindOf, positionOf } from './keys.ts';
import type { Limits } from './limits.ts';
import type { Link, Ready } from './link.ts';
import { scripts } from './scripts.ts';

/** Gathers appends that wait into runs of one script, and sees each through to a known end. */
export type Appender = {
  /** @throws {LogError} `log_full`, `log_unavailable`, `log_closed`, `log_corrupt`, `invalid`. */
  append(stream: StreamId, events: readonly EncodedEvent[], expected: Expected): Promise<AppendResult>;
  appendAll(parts: readonly EncodedPart[]): Promise<AppendAllResult>;
  /** To be called whenever the link has come up. */
  resume(): void;
  /** Waits for what is in flight, a limited time, then rejects what is left. */
  close(): Promise<void>;
};

export type AppenderOptions = {
  readonly link: Link;
  readonly history: History;
  readonly keys: Keys;
  readonly server: string;
  readonly limits: Limits;
};

type Part = {
  readonly stream: StreamId;
  readonly expected: Expected;
  readonly events: readonly EncodedEvent[];
};

type Pending = {
  readonly parts: readonly Part[];
  /** Of all parts. */
  readonly events: number;
  readonly bytes: number;
  readonly order: number;
  readonly deadline: number;
  /** True once a run that held it may have been executed without an answer. */
  unknown: boolean;
  /** Sent by itself, because the run that held it failed for a reason that may be one append's. */
  alone: boolean;
  settled: boolean;
  readonly resolve: (result: AppendAllResult) => void;
  readonly reject: (error: LogError) => void;
};

const sweepMs = 100;

/** Numbers texts in the order in which they come up. */
const createTable = () => {
  const numbers = new Map<string, number>();
  return {
    numberOf: (text: string): number => {
      const known = numbers.get(text);
      if (known !== undefined) return known;
      numbers.set(text, numbers.size + 1);
      return numbers.size;
    },
    texts: () => [...numbers.keys()],
  };
};

/** The batch as append.lua takes it: streams and kinds named once and referred to by number. */
const argumentsOf = (batch: readonly Pending[]): (string | number)[] => {
  const streams = createTable();
  const kinds = createTable();
  const ids: string[] = [];
  const appends: (string | number)[] = [];
  let loose = 0;
  for (const { parts } of batch) {
    if (parts.length > 1) appends.push(0, parts.length);
    for (const { stream, expected, events } of parts) {
      if (expected === 'any' || expected === 'exists') loose++;
      appends.push(streams.numberOf(stream), expected, events.length);
      for (const event of events) {
        ids.push(event.id);
        appends.push(kinds.numberOf(kindOf(event.type, stream)), `${event.type} ${stream}`, bodyOf(event));
      }
    }
  }
  const [streamTexts, kindTexts] = [streams.texts(), kinds.texts()];
  const counts = [batch.length, streamTexts.length, kindTexts.length, ids.length, loose];
  return [...counts, ...streamTexts, ...kindTexts, ...ids, ...appends];
};

/** @param places per part, revision and sequence of its first event. */
const writtenAs = (parts: readonly Part[], end: number, places: readonly number[]): AppendAllResult => ({
  ok: true,
  parts: parts.map(({ events }, part) =>
    events.map((_, index) => ({
      revision: asRevision((places[part * 2] ?? 0) + index),
      position: positionOf((places[part * 2 + 1] ?? 0) + index),
    })),
  ),
  position: positionOf(end),
  duplicate: false,
});

/** @param places per event, revision and sequence. */
const foundAs = (parts: readonly Part[], places: readonly number[]): AppendAllResult => {
  let at = 0;
  let end = 0;
  const found = parts.map(({ events }) =>
    events.map(() => {
      const [revision = 0, sequence = 0] = [places[at], places[at + 1]];
      at += 2;
      end = Math.max(end, sequence);
      return { revision: asRevision(revision), position: positionOf(sequence) };
    }),
  );
  return { ok: true, parts: found, position: positionOf(end), duplicate: true };
};

export const createAppender = ({ link, history, keys, server, limits }: AppenderOptions): Appender => {
  let queue: Pending[] = [];
  let taken = 0;
  let inFlight = 0;
  let waiting = 0;
  let waitingBytes = 0;
  let orders = 0;
  let scheduled = false;
  let closing = false;
  let sweeper: NodeJS.Timeout | undefined;
  const running = new Set<Pending>();
  const idle = new Set<() => void>();

  const finish = (item: Pending): boolean => {
    if (item.settled) return false;
    item.settled = true;
    waiting--;
    waitingBytes -= item.bytes;
    if (waiting === 0) {
      clearInterval(sweeper);
      sweeper = undefined;
      for (const done of idle) done();
    }
    return true;
  };

  const left = (): Pending[] => [...queue.slice(taken), ...running];
  const mayBeWritten = (item: Pending): boolean => item.unknown || running.has(item);

  /** Rejects with the truth about what may have happened before. */
  const fail = (item: Pending, error: LogError) => {
    if (!finish(item)) return;
    const unknown = mayBeWritten(item);
    const outcome = unknown ? 'unknown' : 'not_written';
    const text = unknown
      ? 'whether the events were written is unknown; trying again with the same ids is safe'
      : 'nothing was written';
    item.reject(
      new LogError(error.code, `${error.message}; ${text}`, { ...error.facts, outcome }, error.cause),
    );
  };

  const refusal = (text: string): LogError =>
    new LogError('log_unavailable', `the Redis at ${server} ${text}; nothing was written`, {
      server,
      outcome: 'not_written',
    });

  const unavailable = (text: string) =>
    new LogError('log_unavailable', `the Redis at ${server} ${text}${link.reason && `: ${link.reason}`}`, {
      server,
    });

  const sweep = () => {
    const now = performance.now();
    const cut = link.lostForGood;
    for (const item of left()) {
      if (now > item.deadline) fail(item, unavailable('did not answer in time'));
      else if (cut && !mayBeWritten(item)) fail(item, unavailable('cannot be used'));
    }
  };

  const takeBatch = (): Pending[] => {
    const batch: Pending[] = [];
    let parts = 0;
    let events = 0;
    let bytes = 0;
    while (taken < queue.length && parts < limits.batch.appends) {
      const item = queue[taken];
      if (item === undefined) break;
      if (!item.settled) {
        const full =
          parts + item.parts.length > limits.batch.appends ||
          events + item.events > limits.batch.events ||
          bytes + item.bytes > limits.batch.bytes;
        if (batch.length > 0 && (full || item.alone)) break;
        batch.push(item);
        parts += item.parts.length;
        events += item.events;
        bytes += item.bytes;
      }
      taken++;
      if (item.alone) break;
    }
    if (taken === queue.length) {
      queue = [];
      taken = 0;
    } else if (taken > 1_024 && taken * 2 > queue.length) {
      queue = queue.slice(taken);
      taken = 0;
    }
    return batch;
  };

  const answer = (item: Pending, reply: unknown) => {
    const [code, first = 0, ...rest] = Array.isArray(reply) ? reply.map(Number) : [];
    if (code === 0 || code === 1) {
      if (finish(item))
        item.resolve(code === 0 ? writtenAs(item.parts, first, rest) : foundAs(item.parts, rest));
    } else if (code === 2) {
      const part = item.parts[(rest[0] ?? 1) - 1];
      if (part === undefined || !finish(item)) return;
      const { stream, expected } = part;
      item.resolve({ ok: false, stream, expected, actual: first < 0 ? 'none' : asRevision(first) });
    } else {
      fail(
        item,
        new LogError('invalid', 'some events of the append are in the log already and some are not', {}),
      );
    }
  };

  const requeue = (batch: readonly Pending[]) => {
    queue = [...batch.filter((item) => !item.settled), ...queue.slice(taken)].sort(
      (one, two) => one.order - two.order,
    );
    taken = 0;
  };

  const recover = (batch: readonly Pending[], generation: number, error: unknown) => {
    const fault = faultOf(error, server);
    if (fault.type === 'again' || fault.type === 'lost') {
      if (fault.type === 'lost') for (const item of batch) item.unknown = true;
      requeue(batch);
      link.reset(generation, fault.reason);
      return;
    }
    if (fault.type === 'odd') {
      for (const item of batch) item.unknown = true;
      if (batch.length > 1) {
        for (const item of batch) item.alone = true;
        requeue(batch);
        return;
      }
    }
    for (const item of batch) fail(item, fault.error);
    if (fault.error.code === 'log_unavailable') link.reset(generation, fault.error.message);
  };

  const landed = (batch: readonly Pending[]) => {
    for (const item of batch) running.delete(item);
  };

  const send = async ({ redis, generation }: Ready, batch: readonly Pending[]): Promise<void> => {
    const known = history.known();
    for (const item of batch) running.add(item);
    inFlight++;
    let answered = false;
    try {
      const reply: unknown = await redis.evalsha(
        scripts.append.sha,
        4,
        keys.log,
        keys.meta,
        keys.heads,
        keys.kinds,
        keys.prefix,
        known.epoch,
        known.sequence,
        history.proposal,
        ...argumentsOf(batch),
      );
      answered = true;
      landed(batch);
      if (!Array.isArray(reply) || reply.length !== batch.length + 2) {
        throw new LogError('log_corrupt', `the Redis at ${server} gave an answer of another shape`, {
          server,
        });
      }
      history.observe(known, String(reply[0]), Number(reply[1]));
      for (const [index, item] of batch.entries()) answer(item, reply[index + 2]);
    } catch (error) {
      landed(batch);
      // The server has run it, but the answer is of no use.
      if (answered) for (const item of batch) item.unknown = true;
      recover(batch, generation, error);
    } finally {
      inFlight--;
      pump();
    }
  };

  const pump = () => {
    scheduled = false;
    for (;;) {
      const ready = link.current();
      if (ready === undefined || inFlight >= limits.batchesInFlight || taken >= queue.length) return;
      const batch = takeBatch();
      if (batch.length > 0) void send(ready, batch);
    }
  };

  const schedule = () => {
    if (scheduled || inFlight >= limits.batchesInFlight) return;
    scheduled = true;
    setImmediate(pump);
  };

  const enqueue = (parts: readonly Part[], resolve: Pending['resolve'], reject: Pending['reject']): void => {
    if (closing) throw new LogError('log_closed', 'the log was closed');
    if (link.lostForGood) throw refusal(`cannot be used: ${link.reason}`);
    let [events, bytes] = [0, 0];
    for (const part of parts) {
      events += part.events.length;
      for (const event of part.events) bytes += encodedBytes(event);
    }
    if (waiting >= limits.waitingAppends || waitingBytes + bytes > limits.waitingBytes) {
      throw refusal('has too many appends waiting for it');
    }
    queue.push({
      parts,
      events,
      bytes,
      order: orders++,
      deadline: performance.now() + limits.callMs,
      unknown: false,
      alone: false,
      settled: false,
      resolve,
      reject,
    });
    waiting++;
    waitingBytes += bytes;
    sweeper ??= setInterval(sweep, sweepMs);
    schedule();
  };

  return {
    append: async (stream, events, expected) => {
      const { promise, resolve, reject } = Promise.withResolvers<AppendResult>();
      const answered: Pending['resolve'] = (result) =>
        resolve(
          result.ok ? { ok: true, events: result.parts[0] ?? [], duplicate: result.duplicate } : result,
        );
      enqueue([{ stream, events, expected }], answered, reject);
      return promise;
    },
    appendAll: async (parts) => {
      const { promise, resolve, reject } = Promise.withResolvers<AppendAllResult>();
      enqueue(parts, resolve, reject);
      return promise;
    },
    resume: pump,
    close: async () => {
      closing = true;
      if (waiting > 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, limits.closeMs);
        idle.add(resolve);
        await promise;
        clearTimeout(timer);
        idle.delete(resolve);
      }
      for (const item of left()) fail(item, new LogError('log_closed', 'the log was closed'));
    },
  };
};
