import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { type EmbeddedLogOptions, openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog } from '../../src/log/event-log.ts';

/** A folder for one test, removed at its end. */
export const temporaryFolder = (t: ExecutionContext): string => {
  const directory = mkdtempSync(join(tmpdir(), 'nexus-embedded-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
};

/** Opens a log for as long as `use` runs. */
export const withLog = async <Value>(
  options: EmbeddedLogOptions,
  use: (log: EventLog) => Promise<Value>,
): Promise<Value> => {
  const log = await openEmbeddedLog(options);
  try {
    return await use(log);
  } finally {
    await log.close();
  }
};

export const readEverything = async (log: EventLog): Promise<LogEvent[]> => {
  const all: LogEvent[] = [];
  for (let after = log.start; ; ) {
    const page = await log.readAll({ after, limit: 1_000 });
    all.push(...page.events);
    if (!page.more) return all;
    after = page.position;
  }
};

/** Flips one bit in each place where `text` stands in the file; answers how many there were. */
export const flipBit = (file: string, text: string | Buffer): number => {
  const bytes = readFileSync(file);
  let found = 0;
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    found++;
  }
  writeFileSync(file, bytes);
  return found;
};
