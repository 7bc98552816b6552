import type { SavedSource } from './checkpoint.ts';
import type { Entry } from './entry.ts';

/** One of the places that a subscription's messages come from. */
export type Source = {
  /**
   * Takes up what was unsettled, then begins to hand over what comes.
   *
   * @throws {LogError} while the log cannot be read; may be called again.
   */
  restore(): Promise<void>;
  start(): void;
  /** What a checkpoint must know of it now. Called in a turn of its own, never within a promise's reaction. */
  save(): SavedSource;
  stop(): void;
};

/** What a source may ask of the dispatcher that it feeds. */
export type Sink = {
  /** Hands over entries in order, behind those that were handed over before. */
  accept(entries: readonly Entry[]): void;
  /** Hands over what a checkpoint held: it waits until `dueAtMs` where that is later than now. */
  restored(entries: readonly Entry[]): void;
  /** Of the steady clock. */
  nowMs(): number;
  /** A source has gone on by what `save` tells although nothing of it was settled: a checkpoint is to follow. */
  moved(): void;
  /** A source can no longer read: it tries again; told once. */
  troubled(error: unknown): void;
};
