import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { asStreamId, type LogEvent, type NewEvent, type Position } from '../../domain/event.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import type { Watched } from '../../src/nexus-core.ts';
import { createHub, type Hub, type HubOptions } from '../../src/watch/hub.ts';

export const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export type World = {
  readonly log: EventLog;
  readonly hub: Hub;
  /** Appends one event to each of `streams`, in this order. */
  append(...streams: readonly string[]): Promise<void>;
};

export const eventFor = (stream: string, data: unknown = { stream }): NewEvent => ({
  id: randomUUID(),
  type: 'Happened',
  data,
  metadata: { actor: 'test', correlationId: 'c', causationId: null, node: 'n', schema: 1 },
});

/** The embedded log in a folder of its own, and a hub that follows it. Closed and deleted at the end of the test. */
export const openWorld = async (
  t: ExecutionContext,
  options: Partial<HubOptions> = {},
  around: (log: EventLog) => EventLog = (log) => log,
): Promise<World> => {
  const directory = mkdtempSync(join(tmpdir(), 'nexus-watch-'));
  const embedded = await openEmbeddedLog({ directory, watchdogMs: 60_000 });
  const log = around(embedded);
  const hub = createHub({ log, logger: quiet, ...options });
  t.teardown(async () => {
    await hub.close();
    await embedded.close();
    rmSync(directory, { recursive: true, force: true });
  });
  await hub.start();
  return {
    log,
    hub,
    append: async (...streams) => {
      const sent = streams.map((stream) => log.append(asStreamId(stream), [eventFor(stream)], 'any'));
      for (const result of await Promise.all(sent)) if (!result.ok) throw new Error('conflict');
    },
  };
};

/** All that stands in the log, in order. */
export const readLog = async (log: EventLog): Promise<readonly LogEvent[]> => {
  const events: LogEvent[] = [];
  for (let after = log.start, more = true; more; ) {
    const page = await log.readAll({ after, limit: 10_000 });
    events.push(...page.events);
    after = page.position;
    more = page.more;
  }
  return events;
};

export const positionsOf = (events: readonly LogEvent[]): readonly Position[] =>
  events.map(({ position }) => position);

/** What a watch handed out until it had the event at `last` (or, without one, until it was caught up). */
export const watchUntil = async (
  watch: AsyncIterable<Watched<LogEvent>>,
  last?: Position,
): Promise<{ readonly events: readonly LogEvent[]; readonly parts: readonly Watched<LogEvent>[] }> => {
  const events: LogEvent[] = [];
  const parts: Watched<LogEvent>[] = [];
  for await (const part of watch) {
    parts.push(part);
    if (part.type === 'items') events.push(...part.items);
    const done = last === undefined ? part.type === 'caughtUp' : events.at(-1)?.position === last;
    if (done) break;
  }
  return { events, parts };
};
