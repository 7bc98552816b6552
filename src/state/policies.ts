import { asStreamId, type StreamId } from '../../domain/event.ts';
import {
  createLookup,
  type HistoryLimits,
  type KeyRules,
  limitsHistory,
} from '../../domain/state-policy/lookup.ts';
import type { StatePolicy, StatePolicyState } from '../../domain/state-policy/policy.ts';
import type { StatePoliciesDocument } from '../../projections/documents.ts';
import { statePolicies, statePoliciesStream } from '../../projections/state-policies.ts';
import type { Runner } from '../projection/runner.ts';

const stream = asStreamId(statePoliciesStream);

/** The newest policies as the log has them. */
type ReadNewest = (
  stream: StreamId,
) => Promise<{ readonly state: StatePolicyState; readonly revision: number }>;

/**
 * The state policies of this node: whatever is decided on keys looks here. They are those that this node has folded;
 * what another node set a moment ago comes with the log.
 */
export type StatePolicies = {
  /**
   * Undefined once the policies are known, else a promise of that. What is decided on a key waits for it, as neither an
   * owner nor a quota may be overlooked while read models are built.
   *
   * @throws {LogError} when they must be read from the log, and cannot be.
   */
  unknown(): Promise<void> | undefined;
  rulesOf(key: string): KeyRules;
  /** Name of the resolver that settles conflicts of the key, or undefined. */
  resolverOf(key: string): string | undefined;
  /** How much of the key's history is kept; undefined is all of it. */
  historyLimitsOf(key: string): HistoryLimits | undefined;
  all(): readonly StatePolicy[];
  /** The policies that bound the history of their keys, in no order. */
  withHistoryLimits(): readonly StatePolicy[];
  /** Calls `listener` after the policies became known and after each change. Returns how to stop it. */
  onChanged(listener: () => void): () => void;
  close(): void;
};

/** Follows the policies: from the read models, and from the log itself where those are not complete. */
export const openStatePolicies = (
  runner: Pick<Runner, 'onFolded' | 'onSwapped'>,
  readNewest: ReadNewest,
): StatePolicies => {
  const listeners = new Set<() => void>();
  let policies: readonly StatePolicy[] = [];
  let revision = -1;
  let lookup = createLookup(policies);
  let known = false;
  let reading: Promise<void> | undefined;

  const take = (newer: readonly StatePolicy[], at: number): void => {
    if (at > revision) {
      policies = newer;
      revision = at;
      lookup = createLookup(policies);
    }
    for (const listener of listeners) listener();
  };

  const read = async (): Promise<void> => {
    const newest = await readNewest(stream);
    known = true;
    take(newest.state.policies, newest.revision);
  };

  const load = (): Promise<void> => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  // Tried again by the first who must know.
  const loadSoon = (): void => void load().catch(() => undefined);

  const unfollow = runner.onFolded((changes) => {
    for (const { model, document } of changes) {
      if (model !== statePolicies.name) continue;
      // The read store holds for each model what that model's projection made.
      const changed = document as StatePoliciesDocument;
      if (changed.revision > revision) take(changed.policies, changed.revision);
    }
  });
  // What serves now may be of another log.
  runner.onSwapped(() => {
    known = false;
    // Less than that of a log without any policy.
    revision = -2;
    loadSoon();
  });
  loadSoon();

  return {
    unknown: () => (known ? undefined : load()),
    rulesOf: (key) => lookup(key),
    resolverOf: (key) => lookup(key).resolver,
    historyLimitsOf: (key) => lookup(key).history,
    all: () => policies,
    withHistoryLimits: () => policies.filter(limitsHistory),
    onChanged: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: unfollow,
  };
};
