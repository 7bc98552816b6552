import type { StatePolicy } from '../domain/state-policy/policy.ts';
import type { StateSize } from '../domain/state-policy/quota.ts';
import type { Result } from './errors.ts';
import type { Context, Page } from './nexus-core.ts';

/** A policy as clients see it. */
export type StatePolicyView = StatePolicy & {
  /** What the living keys of a pattern with a quota take up; null while that is being counted, and without a quota. */
  readonly usage: StateSize | null;
};

/** Reading state policies, as a part of `NexusCore`; they are set and removed by commands. */
export type StatePolicyApi = {
  /** The policy of exactly this pattern. */
  statePolicy(pattern: string, context: Context): Promise<Result<StatePolicyView>>;
  statePolicies(context: Context): Promise<Result<Page<'policies', StatePolicyView>>>;
};
