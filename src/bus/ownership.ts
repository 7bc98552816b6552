import type { Position } from '../../domain/event.ts';
import type { Owner } from '../../domain/subscription/subscription.ts';

/** Which node serves which durable subscription (docs/adr/0015-ownership.md). */
export type Ownership = {
  /** As whom this node serves: null on a log that no other node writes to; undefined while it has no lease. */
  readonly self: Owner | null | undefined;
  /** False while this node's own lease may have been released by another. */
  readonly valid: boolean;
  /** True once every lease up to `position` is known. In a turn of its own, never within a promise's reaction. */
  knows(position: Position): boolean;
  /** False for an owner whose lease was released. */
  isLiving(owner: Owner): boolean;
  /** True when this node, of all that live, is to serve a subscription that nobody serves. */
  isChosen(subscription: string): boolean;
  /** Where the node of a living owner is reached by other nodes. */
  urlOf(owner: Owner): string | undefined;
  /** The other nodes that live, by name, with where each is reached; null for one that serves no protocol. */
  readonly others: ReadonlyMap<string, string | null>;
  /** Calls `listener` when a lease was taken or released, and when `valid` changes. */
  onChange(listener: () => void): void;
  close(): Promise<void>;
};

/** Of a log that one process at a time has open: it serves everything, as nobody in particular. */
export const soleOwnership: Ownership = {
  self: null,
  valid: true,
  // What is left of the time when the log was another one, and shared.
  isLiving: () => false,
  knows: () => true,
  isChosen: () => true,
  urlOf: () => undefined,
  others: new Map(),
  onChange: () => {},
  close: () => Promise.resolve(),
};
