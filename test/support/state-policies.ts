import type { StatePolicy, StateRules } from '../../domain/state-policy/policy.ts';

/** The policy of `pattern` that says what `rules` says and nothing else. */
export const policyOf = (pattern: string, rules: Partial<StateRules>): StatePolicy => ({
  pattern,
  resolver: null,
  owner: null,
  maxKeys: null,
  maxBytes: null,
  maxVersions: null,
  maxAgeSec: null,
  ...rules,
});
