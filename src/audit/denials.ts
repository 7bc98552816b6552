import { type AccessDeniedEvent, type DeniedCode, dayOf, deniedCodes } from '../../domain/audit/denied.ts';
import { schemaOf } from '../../domain/catalog.ts';
import { type NewEvent, streamId } from '../../domain/event.ts';
import type { Clock } from '../clock.ts';
import type { Problem } from '../errors.ts';
import { newId } from '../ids.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Logger } from '../logger.ts';
import type { Meters } from '../metrics/meters.ts';

/** Who was refused: the subject, or the address where nobody is known. */
export type Refused = { readonly subject: string } | { readonly address: string };

/** The audit of refused access (docs/adr/0043-observability.md). */
export type Denials = {
  /** Counts a refusal; problems of other kinds are passed over. */
  denied(problem: Problem, who: Refused): void;
  /** Writes what was counted, if the log takes it. Idempotent. */
  close(): Promise<void>;
};

export type DenialsOptions = {
  readonly log: Pick<EventLog, 'append' | 'reachable'>;
  readonly node: string;
  /** The time of day. */
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meters: Pick<Meters, 'denied' | 'audited'>;
  readonly limits?: Limits;
};

type Limits = {
  /** Entries that are kept apart for one minute; what comes on top is counted together, by code. */
  readonly perMinute: number;
  /** Entries that may wait for the log. */
  readonly waiting: number;
};

type Entry = { readonly id: string; readonly data: Omit<AccessDeniedEvent['data'], 'count'>; count: number };

const defaults: Limits = { perMinute: 200, waiting: 2_000 };
const minuteMs = 60_000;
const maxTextLength = 256;
const eventsPerAppend = 200;
const together = 'several';

const codes: ReadonlySet<string> = new Set(deniedCodes);
const isDenied = (code: string): code is DeniedCode => codes.has(code);

/** Of texts that come from outside: not too long, and well-formed as JSON wants them. */
const bounded = (text: string): string => text.slice(0, maxTextLength).toWellFormed();

const requirementOf = ({ facts, detail }: Problem): string =>
  bounded(typeof facts?.scope === 'string' ? facts.scope : detail);

export const openDenials = (options: DenialsOptions): Denials => {
  const { log, node, clock, logger, meters, limits = defaults } = options;
  /** Of the minute that is being counted, by who, code and requirement. */
  let counting = new Map<string, Entry>();
  let minute = '';
  /** Of minutes that are over, oldest first. */
  let waiting: Entry[] = [];
  let dropped = 0;
  let writing: Promise<void> | undefined;
  let cancel: (() => void) | undefined;
  let closed = false;

  const drop = (count: number): void => {
    dropped += count;
    meters.audited.add('dropped', count);
  };

  const endMinute = (): void => {
    for (const entry of counting.values()) {
      if (waiting.length < limits.waiting) waiting.push(entry);
      else drop(entry.count);
    }
    counting = new Map();
  };

  const eventOf = ({ id, data, count }: Entry): NewEvent => ({
    id,
    type: 'AccessDenied',
    data: { ...data, count } satisfies AccessDeniedEvent['data'],
    metadata: {
      actor: 'system',
      correlationId: id,
      causationId: null,
      node,
      schema: schemaOf('AccessDenied'),
    },
  });

  /** Appends what waits, a day's entries at a time. What could not be written goes on waiting, with the same ids. */
  const write = async (): Promise<void> => {
    for (let [first] = waiting; first !== undefined && log.reachable; [first] = waiting) {
      const day = dayOf(first.data.minute);
      const end = waiting.findIndex(({ data }) => dayOf(data.minute) !== day);
      const entries = waiting.slice(0, Math.min(eventsPerAppend, end < 0 ? waiting.length : end));
      try {
        await log.append(streamId('access', day), entries.map(eventOf), 'any');
      } catch (error) {
        logger.debug({ error, entries: waiting.length }, 'refusals could not be recorded yet');
        return;
      }
      waiting = waiting.slice(entries.length);
      for (const { count } of entries) meters.audited.add('written', count);
    }
  };

  const writeOnce = (): Promise<void> => {
    writing ??= write().finally(() => {
      writing = undefined;
    });
    return writing;
  };

  const atEndOfMinute = (): void => {
    cancel ??= clock.after(minuteMs - (clock.now() % minuteMs), () => {
      cancel = undefined;
      takeTime();
      void writeOnce().then(() => {
        if (!closed && (waiting.length > 0 || counting.size > 0)) atEndOfMinute();
      });
      if (dropped > 0)
        logger.warn({ refusals: dropped }, 'refusals are missing in the audit: the log is away');
      dropped = 0;
    });
  };

  /** Another minute has begun, or the clock was set. */
  const takeTime = (): void => {
    const now = new Date(Math.floor(clock.now() / minuteMs) * minuteMs).toISOString();
    if (now === minute) return;
    endMinute();
    minute = now;
  };

  const entryOf = (code: DeniedCode, requirement: string, who: Refused): Entry => {
    const subject = 'subject' in who ? bounded(who.subject) : null;
    const address = 'address' in who ? bounded(who.address) : null;
    const key = `${code}\n${subject ?? ''}\n${address ?? ''}\n${requirement}`;
    const known = counting.get(key);
    if (known !== undefined) return known;
    const isRoom = counting.size < limits.perMinute;
    const shared = isRoom ? key : code;
    const entry = counting.get(shared) ?? {
      id: newId(),
      data: isRoom
        ? { subject, address, code, requirement, minute }
        : { subject: null, address: null, code, requirement: together, minute },
      count: 0,
    };
    counting.set(shared, entry);
    return entry;
  };

  return {
    denied(problem, who) {
      const { code } = problem;
      if (!isDenied(code) || closed) return;
      meters.denied.add(code);
      takeTime();
      entryOf(code, requirementOf(problem), who).count++;
      atEndOfMinute();
    },
    async close() {
      if (closed) return;
      closed = true;
      cancel?.();
      await writing;
      endMinute();
      await writeOnce();
      const left = waiting.reduce((sum, { count }) => sum + count, 0);
      if (left > 0) drop(left);
      if (dropped > 0)
        logger.warn({ refusals: dropped }, 'refusals are missing in the audit: the log is away');
    },
  };
};
