import type { LogEvent } from '../../../domain/event.ts';
import { type Priority, priorities } from '../../../domain/message/message.ts';
import type { Failure } from '../../../domain/subscription/subscription.ts';
import type { DeliveredMessage } from '../../nexus-subscriptions.ts';
import { roughBytes } from '../../rough-bytes.ts';

/** Where an entry came from, which is told when it is delivered and when it is settled. */
export type Origin = {
  delivered(entry: Entry): void;
  settled(entry: Entry): void;
};

/** What a checkpoint needs to find an entry's message again: its stream and revision there. */
export type Place = { readonly stream: string; readonly revision: number };

/** One message on its way through a subscription, from when it was read until it is settled. */
export type Entry = {
  readonly origin: Origin;
  readonly message: DeliveredMessage;
  readonly place: Place;
  /** Of the DeadLettersRedriven that gave it another payload. */
  readonly editedBy?: number;
  /** Milliseconds since 1970 from which on it is not delivered any more. */
  readonly expiresAtMs: number | undefined;
  readonly bytes: number;
  /** What its order hangs on; undefined for none. */
  readonly key: string | undefined;
  readonly redrives: number;
  /** Failed attempts that its dead letter counts, but not this delivery's: those before a redrive. */
  readonly attemptsBefore: number;
  /** Failed attempts of this delivery. */
  attempts: number;
  failures: readonly Failure[];
  /** When it came into its lane, or back into it: of the steady clock. */
  readySinceMs: number;
  /** Of the system's clock: when its next attempt is due, while it waits for one. */
  dueAtMs: number;
  /** Known while an attempt is under way. */
  token: string | undefined;
  /** Of the steady clock: when that attempt has failed by silence. */
  deadlineMs: number;
  holder: Holder | undefined;
  /** Counts among what is in flight: delivered, and not settled or ready again since. */
  inFlight: boolean;
};

/** A consumer, as far as its entries know it. */
export type Holder = { readonly held: Set<Entry> };

/** Of the newest failures so many are kept. */
export const maxFailures = 20;
const maxReasonLength = 512;
const entryBytes = 512;
const maxWeight = 2_000_000;

export const priorityIndex: Readonly<Record<Priority, number>> = Object.fromEntries(
  priorities.map((name, index) => [name, index]),
) as Record<Priority, number>;

export const withFailure = (failures: readonly Failure[], at: string, reason: string): readonly Failure[] => [
  ...failures.slice(1 - maxFailures),
  { at, reason: reason.slice(0, maxReasonLength) },
];

export type EntryInput = {
  readonly origin: Origin;
  readonly message: DeliveredMessage;
  readonly place: Place;
  readonly expiresAt?: string | undefined;
  readonly nowMs: number;
  readonly editedBy?: number | undefined;
  readonly redrives?: number;
  readonly attemptsBefore?: number;
  readonly attempts?: number;
  readonly failures?: readonly Failure[];
};

/** All of a message that its publisher decides on: headers may be as large as payloads. */
const weigh = ({ payload, headers, topic, key = '' }: DeliveredMessage): number =>
  entryBytes + roughBytes([payload, headers, topic, key], maxWeight);

export const createEntry = (input: EntryInput): Entry => ({
  origin: input.origin,
  message: input.message,
  place: input.place,
  ...(input.editedBy === undefined ? {} : { editedBy: input.editedBy }),
  expiresAtMs: input.expiresAt === undefined ? undefined : Date.parse(input.expiresAt),
  bytes: weigh(input.message),
  key: input.message.key,
  redrives: input.redrives ?? 0,
  attemptsBefore: input.attemptsBefore ?? 0,
  attempts: input.attempts ?? 0,
  failures: input.failures ?? [],
  readySinceMs: input.nowMs,
  dueAtMs: 0,
  token: undefined,
  deadlineMs: 0,
  holder: undefined,
  inFlight: false,
});

/** When a message is to be delivered, and until when: of its event, which the message that clients see does not tell. */
export const timesOf = ({ data }: LogEvent): { readonly deliverAt?: string; readonly expiresAt?: string } => {
  if (typeof data !== 'object' || data === null) return {};
  const deliverAt = 'deliverAt' in data && typeof data.deliverAt === 'string' ? data.deliverAt : undefined;
  const expiresAt = 'expiresAt' in data && typeof data.expiresAt === 'string' ? data.expiresAt : undefined;
  return {
    ...(deliverAt === undefined ? {} : { deliverAt }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
};
