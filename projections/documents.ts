import type { Json, Position, Revision } from '../domain/event.ts';
import type { DeclaredInterface } from '../domain/interface/interface.ts';
import type { Priority } from '../domain/message/message.ts';
import type { PluginLimits } from '../domain/plugin/manifest.ts';
import type { PluginFailure, PluginState } from '../domain/plugin/plugin.ts';
import type { RetentionPolicy } from '../domain/retention/retention.ts';
import type { ServiceFields, ServiceStatus, StatusCause } from '../domain/service/service.ts';
import type { Lock } from '../domain/state/state.ts';
import type { StatePolicy } from '../domain/state-policy/policy.ts';
import type {
  DeadLetter,
  Owner,
  ReplayOrder,
  SubscriptionSettings,
} from '../domain/subscription/subscription.ts';

/** One state key, deleted ones included: versions go on counting when the key is put again. */
export type StateDocument = {
  readonly value: Json;
  /** 1 for the first event of the key: its revision + 1. */
  readonly version: number;
  readonly deleted: boolean;
  readonly updatedAt: string;
  readonly updatedBy: string;
  readonly eventId: string;
  readonly position: Position;
  /** When the key is deleted unless it is set again. */
  readonly expiresAt?: string;
  readonly lock?: Lock;
  /** Name of the resolver that made the value of a conflict; the event tells of what. */
  readonly resolvedBy?: string;
};

/** A key that is deleted at `expiresAt` unless it is set again before. */
export type ExpiringDocument = {
  readonly expiresAt: string;
  /** The version that expires. */
  readonly version: number;
  readonly position: Position;
};

/** Nobody calls the instance before `until`; then one call at a time tries it, on each node. */
export type OpenCircuit = {
  readonly reason: string;
  readonly since: string;
  readonly until: string;
  /** How often it opened since it was last closed: 1 … */
  readonly openings: number;
};

/** One instance, deregistered ones included (`deregistered: true`). */
export type ServiceDocument = ServiceFields & {
  readonly id: string;
  readonly owner: string;
  readonly status: ServiceStatus;
  readonly statusReason: string;
  /** Null for what an older version wrote. */
  readonly statusCause: StatusCause | null;
  readonly statusSince: string;
  /** When it last fell to unhealthy or offline, newest first, at most 8: an instance that flaps falls often. */
  readonly falls: readonly string[];
  /** Null while calls may go to it. */
  readonly circuit: OpenCircuit | null;
  /** Node that its WebSocket is or was open to, of several on one log; null for none. */
  readonly servedBy: string | null;
  readonly registeredAt: string;
  readonly updatedAt: string;
  /** Of the event that last set a field: of instances that say different things of their service the latest word counts. */
  readonly fieldsAt: Position;
  readonly deregistered: boolean;
  readonly revision: Revision;
  readonly position: Position;
};

/** The newest interface of one major version, and who declared it when. */
export type InterfaceVersion = DeclaredInterface & {
  readonly declaredBy: string;
  readonly declaredAt: string;
  /** Of its InterfaceDeclared. */
  readonly position: Position;
};

/** The interfaces of one service name; empty once all are retired. */
export type InterfaceDocument = {
  readonly name: string;
  /** By the order in which they were first declared. */
  readonly majors: readonly InterfaceVersion[];
  readonly revision: Revision;
  readonly position: Position;
};

export type TopicDocument = {
  readonly topic: string;
  readonly messages: number;
  readonly firstAt: string;
  readonly lastAt: string;
  readonly revision: Revision;
  readonly position: Position;
};

/** One durable subscription; a deleted one stays, so that the decider's state can be told from it. */
export type SubscriptionDocument = SubscriptionSettings & {
  readonly name: string;
  readonly status: 'active' | 'paused' | 'deleted';
  /** Position behind which it delivers: of its creation, or of its last reset. */
  readonly from: string;
  /** Of the event that set `from`. */
  readonly fromAt: Position;
  readonly resets: number;
  /** Revision of its SubscriptionCreated. */
  readonly created: Revision;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly owner: Owner | null;
  /** Dead letters that stand there now. */
  readonly deadLetters: number;
  /** Redrives and discards there ever were. */
  readonly removals: number;
  readonly revision: Revision;
  readonly position: Position;
};

/** A dead letter that was neither redriven nor discarded. */
export type DeadLetterDocument = Omit<DeadLetter, 'position'> & {
  readonly subscription: string;
  /** Of the message that died. */
  readonly messagePosition: string;
  readonly deadLetteredAt: string;
  /** Revision of its MessageDeadLettered. */
  readonly letter: Revision;
  readonly position: Position;
};

/** Leads from a message's id to its dead letter. */
export type DeadLetterIdDocument = { readonly messagePosition: string; readonly position: Position };

/** A replay that was asked for and not stopped, over or not. */
export type ReplayDocument = ReplayOrder & {
  readonly requestedAt: string;
  readonly requestedBy: string;
  /** Of its ReplayRequested. */
  readonly revision: Revision;
  readonly position: Position;
};

/** Where a redrive or discard of dead letters stands, in its subscription's stream. */
export type RemovalDocument = { readonly revision: Revision; readonly position: Position };

/** A message that was published to be delivered later. */
export type ScheduledDocument = {
  readonly topic: string;
  readonly revision: Revision;
  readonly priority: Priority;
  readonly position: Position;
};

/** Every policy, and how far their stream is folded. */
export type RetentionDocument = {
  readonly policies: readonly RetentionPolicy[];
  readonly revision: Revision;
  readonly position: Position;
};

/** Every state policy, and how far their stream is folded. */
export type StatePoliciesDocument = {
  readonly policies: readonly StatePolicy[];
  readonly revision: Revision;
  readonly position: Position;
};

/** What a node told of a plugin that it runs. */
export type PluginFault = {
  readonly at: string;
  readonly reason: string;
  readonly cause: PluginFailure;
  readonly version: string;
  readonly node: string;
  readonly strikes: number;
};

/** Of one limit of a plugin, on whichever node. */
export type PluginExcess = {
  /** Of all events of it. */
  readonly count: number;
  /** Of the newest event. */
  readonly at: string;
  readonly detail: string;
  readonly version: string;
  readonly node: string;
};

/** One plugin that was enabled at least once. */
export type PluginDocument = PluginState & {
  readonly name: string;
  /** When it was enabled or disabled last, by whom, and why it was disabled. */
  readonly changedAt: string;
  readonly changedBy: string;
  readonly reason: string | null;
  readonly installedAt: string;
  /** The newest 10, the newest last. */
  readonly failures: readonly PluginFault[];
  readonly exceeded: Readonly<Partial<Record<keyof PluginLimits, PluginExcess>>>;
  readonly revision: Revision;
  readonly position: Position;
};

export type TrimDocument = {
  /** Revision of the oldest event that is left. */
  readonly before: number;
  /** Position of the newest event that was removed. */
  readonly removedTo: string;
  readonly position: Position;
};
