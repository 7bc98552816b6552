import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Logger } from '../logger.ts';
import { createRounds } from '../rounds.ts';
import type { Enforcer } from './enforcer.ts';

/** What this node's maintenance has done since its start. */
export type MaintenanceFacts = {
  readonly lastRun: {
    readonly at: string;
    readonly durationMs: number;
    /** Topics and state keys that were looked at. */
    readonly topics: number;
    readonly keys: number;
    readonly truncatedEvents: number;
  } | null;
  readonly lastScavenge: { readonly at: string; readonly events: number; readonly bytes: number } | null;
  readonly truncatedEvents: number;
  readonly freedEvents: number;
  readonly freedBytes: number;
  /** Why the last round broke off; null when it did not. */
  readonly trouble: string | null;
};

/** The job that keeps the log small: enforces retention, and frees the space of what was truncated by whomever. */
export type Maintenance = {
  /** Events of any stream were truncated: enough of them are freed soon, all of them within the hour. */
  truncated(events: number): void;
  /** A round that begins after the call. Never rejects: the facts tell. */
  run(): Promise<void>;
  facts(): MaintenanceFacts;
  /** Ends the round at its next step. Idempotent. */
  close(): Promise<void>;
};

export type MaintenanceOptions = {
  readonly log: Pick<EventLog, 'scavenge' | 'reachable'>;
  readonly logger: Logger;
  /** Called once; the listener is for a change of policies. */
  readonly openEnforcer: (onPolicies: () => void) => Enforcer;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly after?: Clock['after'];
  readonly everyMs?: number;
};

const defaultEveryMs = 30_000;
const soonMs = 1_000;
const scavengeEveryMs = 3_600_000;
/** What an earlier process of this node left is freed this long after the start. */
const firstScavengeMs = 300_000;
const scavengeAtEvents = 10_000;

export const openMaintenance = (options: MaintenanceOptions): Maintenance => {
  const { log, logger, openEnforcer, everyMs = defaultEveryMs } = options;
  const now = options.clock ?? systemClock.now;
  const after = options.after ?? systemClock.after;
  const closing = new AbortController();
  let cancel = (): void => {};
  let waitingEvents = 0;
  let scavengedAtMs = now() - scavengeEveryMs + firstScavengeMs;
  let lastRun: MaintenanceFacts['lastRun'] = null;
  let lastScavenge: MaintenanceFacts['lastScavenge'] = null;
  let truncatedEvents = 0;
  let freedEvents = 0;
  let freedBytes = 0;
  let trouble: string | null = null;
  let delayMs = everyMs;

  const scavenge = async (): Promise<void> => {
    const nowMs = now();
    if (waitingEvents < scavengeAtEvents && nowMs - scavengedAtMs < scavengeEveryMs) return;
    const waited = waitingEvents;
    const { events, bytes } = await log.scavenge({ signal: closing.signal });
    waitingEvents = Math.max(0, waitingEvents - waited);
    scavengedAtMs = nowMs;
    freedEvents += events;
    freedBytes += bytes;
    lastScavenge = { at: new Date(nowMs).toISOString(), events, bytes };
  };

  const round = async (): Promise<void> => {
    cancel();
    if (closing.signal.aborted) return;
    delayMs = everyMs;
    const nowMs = now();
    const startedMs = performance.now();
    try {
      if (!log.reachable) return;
      const run = await enforcer.run(nowMs, closing.signal);
      truncatedEvents += run.truncatedEvents;
      waitingEvents += run.truncatedEvents;
      const durationMs = Math.round(performance.now() - startedMs);
      const { topics, keys } = run;
      lastRun = {
        at: new Date(nowMs).toISOString(),
        durationMs,
        topics,
        keys,
        truncatedEvents: run.truncatedEvents,
      };
      if (!run.done) delayMs = soonMs;
      await scavenge();
      trouble = null;
    } catch (error) {
      if (closing.signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== trouble) logger.warn({ error }, 'the maintenance of the log broke off; trying again');
      trouble = reason;
    } finally {
      schedule();
    }
  };

  const rounds = createRounds(round);

  const schedule = (): void => {
    cancel();
    if (!closing.signal.aborted) cancel = after(delayMs, () => void rounds());
  };

  const run = (): Promise<void> => (closing.signal.aborted ? Promise.resolve() : rounds());

  const enforcer = openEnforcer(() => void run());
  schedule();

  return {
    truncated: (events) => {
      waitingEvents += events;
    },
    run,
    facts: () => ({ lastRun, lastScavenge, truncatedEvents, freedEvents, freedBytes, trouble }),
    async close() {
      closing.abort();
      cancel();
      enforcer.close();
      await rounds();
    },
  };
};
