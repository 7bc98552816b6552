import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { asStreamId, type LogEvent, type StreamId } from '../../domain/event.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import type { WriterOptions } from './embedded-writer.ts';

export type Acknowledged = {
  readonly id: string;
  readonly stream: StreamId;
  readonly revision: number;
  readonly position: string;
};

/** What the writer process was told, as far as it came to say so. */
export type Told = {
  readonly acknowledged: Acknowledged[];
  /** Newest acknowledged truncation of each stream. */
  readonly truncated: Map<StreamId, number>;
  readonly refused: string[];
  readonly failed: string[];
  /** Lines in order, as their first letters: `a…fr…e`. */
  order: string;
  scavenged: number;
  ended: boolean;
};

export type Writer = {
  readonly process: ChildProcess;
  readonly told: Told;
  /** Resolves once so many appends were acknowledged, or the process ended before. */
  acknowledged(count: number): Promise<void>;
  /** Resolves with exit code and signal when the process has ended and all that it said was read. */
  readonly exit: Promise<{
    readonly code: number | null;
    readonly signal: string | null;
    readonly stderr: string;
  }>;
};

const program = fileURLToPath(new URL('embedded-writer.ts', import.meta.url));

/** Starts a writer; `prefix` is a program to run it under, `env` is added to the environment. */
export const startWriter = (
  options: WriterOptions,
  prefix: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Writer => {
  const [command = process.execPath, ...rest] = [
    ...prefix,
    process.execPath,
    program,
    JSON.stringify(options),
  ];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const told: Told = {
    acknowledged: [],
    truncated: new Map(),
    refused: [],
    failed: [],
    order: '',
    scavenged: 0,
    ended: false,
  };
  let waiting: { count: number; resolve: () => void }[] = [];
  let over = false;
  const wake = (): void => {
    waiting = waiting.filter(({ count, resolve }) => {
      if (!over && told.acknowledged.length < count) return true;
      resolve();
      return false;
    });
  };
  const take = (line: string): void => {
    const [what, ...words] = line.split(' ');
    const [first = '', second = '', third = '', fourth = ''] = words;
    if (what === 'a') {
      told.acknowledged.push({
        id: first,
        stream: asStreamId(second),
        revision: Number(third),
        position: fourth,
      });
      wake();
    } else if (what === 't') told.truncated.set(asStreamId(first), Number(second));
    else if (what === 's') told.scavenged += Number(first);
    else if (what === 'r') told.refused.push(first);
    else if (what === 'f') told.failed.push(first);
    else if (what === 'e') told.ended = true;
    if (what !== 'ready') told.order += what ?? '';
  };
  const lines = createInterface({ input: child.stdout });
  // The last line of a killed process may be cut off; a whole one ends in a digit of its counter.
  lines.on('line', (line) => {
    if (!line.startsWith('a ') || line.split(' ').length === 6) take(line);
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exit = new Promise<{ code: number | null; signal: string | null; stderr: string }>(
    (resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        over = true;
        wake();
        resolve({ code, signal, stderr });
      });
    },
  );
  return {
    process: child,
    told,
    acknowledged: (count) =>
      new Promise((resolve) => {
        waiting.push({ count, resolve });
        wake();
      }),
    exit,
  };
};

const readEverything = async (log: EventLog): Promise<LogEvent[]> => {
  const all: LogEvent[] = [];
  let after = log.start;
  for (;;) {
    const page = await log.readAll({ after, limit: 10_000 });
    all.push(...page.events);
    if (!page.more) return all;
    after = page.position;
  }
};

/**
 * Opens the log and holds it to what its writers were told: every acknowledged event stands in it once, at its place;
 * streams are dense, positions increase, and every way of reading tells the same. Answers the number of events.
 */
export const checkLog = async (
  t: ExecutionContext,
  directory: string,
  acknowledged: readonly Acknowledged[],
  truncated: ReadonlyMap<StreamId, number> = new Map(),
): Promise<number> => {
  const log = await openEmbeddedLog({ directory, reserveBytes: 0 });
  try {
    const all = await readEverything(log);
    const byId = new Map(all.map((event) => [event.id, event]));
    t.is(byId.size, all.length, 'no event stands twice');
    t.true(
      all.every((event, index) => index === 0 || (all[index - 1]?.position ?? '') < event.position),
      'positions increase',
    );
    const byStream = Map.groupBy(all, (event) => event.stream);
    const heads = new Map<StreamId, number>();
    for (const [stream, events] of byStream) {
      const head = await log.head(stream);
      const from = head?.truncatedBefore ?? 0;
      heads.set(stream, from);
      t.true(from >= (truncated.get(stream) ?? 0), 'an acknowledged truncation is kept');
      t.true(
        events.every((event, index) => event.revision === from + index),
        `${stream} is dense from ${from}`,
      );
      t.is(head?.revision, events.at(-1)?.revision);
      const read: LogEvent[] = [];
      while (read.length < events.length) {
        const [next] = events.slice(read.length);
        if (next === undefined) break;
        const page = await log.readStream(stream, { from: next.revision, limit: 10_000 });
        if (page.length === 0) break;
        read.push(...page);
      }
      t.deepEqual(
        read.map((event) => event.position),
        events.map((event) => event.position),
        `${stream} reads the same by itself`,
      );
    }
    const lost = acknowledged.filter(({ id, stream, revision, position }) => {
      const event = byId.get(id);
      if (event === undefined) return revision >= (heads.get(stream) ?? 0);
      return event.stream !== stream || event.revision !== revision || event.position !== position;
    });
    t.deepEqual(
      lost.slice(0, 5),
      [],
      `${lost.length} of ${acknowledged.length} acknowledged events are lost`,
    );
    await checkKinds(t, log, all);
    return all.length;
  } finally {
    await log.close();
  }
};

const checkKinds = async (t: ExecutionContext, log: EventLog, all: readonly LogEvent[]): Promise<void> => {
  for (const category of ['w0', 'w1', 'w2']) {
    const found: string[] = [];
    let after = log.start;
    for (;;) {
      const page = await log.readAll({ after, category, types: ['Fifth'], limit: 1_000 });
      found.push(...page.events.map((event) => event.id));
      if (!page.more) break;
      after = page.position;
    }
    const expected = all.filter((event) => event.stream.startsWith(`${category}-`) && event.type === 'Fifth');
    t.deepEqual(
      found,
      expected.map((event) => event.id),
      `${category} reads the same by the index`,
    );
  }
};
