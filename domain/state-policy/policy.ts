import type { PolicyRejection } from '../policies.ts';

/** Who may write the keys: one subject, or whoever has a scope of exactly this text. */
export type StateOwner = { readonly subject: string } | { readonly scope: string };

/** What holds for the keys of a pattern; null says nothing of that kind. */
export type StateRules = {
  /** Name of the resolver that settles conflicts. */
  readonly resolver: string | null;
  readonly owner: StateOwner | null;
  /** Of all living keys of the pattern together. */
  readonly maxKeys: number | null;
  /** Of all living keys of the pattern together: UTF-8 of the keys, and of their values as JSON. */
  readonly maxBytes: number | null;
  /** Versions of each key that its history keeps. */
  readonly maxVersions: number | null;
  /** Age up to which the history of each key is kept. */
  readonly maxAgeSec: number | null;
};

/** `pattern`: a key, or a prefix of keys and `*` behind it. */
export type StatePolicy = StateRules & { readonly pattern: string };

export type StatePolicyEvent =
  | { readonly type: 'StatePolicySet'; readonly data: StatePolicy }
  | { readonly type: 'StatePolicyRemoved'; readonly data: { readonly pattern: string } };

/** Setting replaces all that the pattern had. */
export type StatePolicyCommand =
  | ({ readonly type: 'SetStatePolicy' } & StatePolicy)
  | { readonly type: 'RemoveStatePolicy'; readonly pattern: string };

export type StatePolicyRejection = PolicyRejection;

/** In the order in which the patterns were first set. */
export type StatePolicyState = { readonly policies: readonly StatePolicy[] };
