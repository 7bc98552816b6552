import { prefixOf } from '../names.ts';
import type { StateOwner, StatePolicy } from './policy.ts';

/** How much of its history a key keeps: both are of the same policy, null is no limit of that kind. */
export type HistoryLimits = { readonly maxVersions: number | null; readonly maxAgeSec: number | null };

/** What all living keys of `pattern` together may be; null is no limit of that kind. */
export type StateQuota = {
  readonly pattern: string;
  readonly maxKeys: number | null;
  readonly maxBytes: number | null;
};

/** What the policies say of one key. */
export type KeyRules = {
  readonly resolver?: string;
  /** With the pattern of the policy that names it. */
  readonly owner?: { readonly pattern: string; readonly by: StateOwner };
  readonly history?: HistoryLimits;
  /** Of all patterns that match, the shortest first. */
  readonly quotas: readonly StateQuota[];
};

const noRules: KeyRules = { quotas: [] };

const hasQuota = ({ maxKeys, maxBytes }: StatePolicy): boolean => maxKeys !== null || maxBytes !== null;

/** True when the policy bounds the history of its keys. */
export const limitsHistory = ({ maxVersions, maxAgeSec }: StatePolicy): boolean =>
  maxVersions !== null || maxAgeSec !== null;

/** What `policy` says on top of the rules of the patterns that contain its own. */
const within = (outer: KeyRules, policy: StatePolicy): KeyRules => {
  const { pattern, resolver, owner, maxKeys, maxBytes, maxVersions, maxAgeSec } = policy;
  return {
    ...outer,
    ...(resolver === null ? {} : { resolver }),
    ...(owner === null ? {} : { owner: { pattern, by: owner } }),
    ...(limitsHistory(policy) ? { history: { maxVersions, maxAgeSec } } : {}),
    ...(hasQuota(policy) ? { quotas: [...outer.quotas, { pattern, maxKeys, maxBytes }] } : {}),
  };
};

/** A prefix, the rules of the keys that it is the longest prefix of, and the next shorter prefix that it begins with. */
type Prefix = { readonly text: string; readonly rules: KeyRules; readonly outer: Prefix | undefined };

const enclosing = (text: string, from: Prefix | undefined): Prefix | undefined => {
  let prefix = from;
  while (prefix !== undefined && !text.startsWith(prefix.text)) prefix = prefix.outer;
  return prefix;
};

const byText = (left: { readonly text: string }, right: { readonly text: string }): number =>
  left.text < right.text ? -1 : left.text > right.text ? 1 : 0;

/**
 * Finds the rules of a key: of each kind those of the longest pattern that says something of it, an exact key being the
 * longest, and the quotas of all.
 *
 * Prefixes are sorted. Of those that a key begins with, each is at or before the key, and whatever stands between it and
 * the key begins with it too: so the last prefix at or before the key leads to them, over the prefixes that it begins
 * with. A search costs some ten comparisons of 1,000 patterns, and a step per prefix that encloses the one found.
 */
export const createLookup = (policies: readonly StatePolicy[]): ((key: string) => KeyRules) => {
  const exact = new Map<string, KeyRules>();
  const prefixes: Prefix[] = [];
  const narrow = policies
    .flatMap((policy) => {
      const text = prefixOf(policy.pattern);
      return text === undefined ? [] : [{ text, policy }];
    })
    .toSorted(byText);
  for (const { text, policy } of narrow) {
    const outer = enclosing(text, prefixes.at(-1));
    prefixes.push({ text, rules: within(outer?.rules ?? noRules, policy), outer });
  }

  const byPrefix = (key: string): KeyRules => {
    let [low, high] = [0, prefixes.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = prefixes[middle];
      if (found !== undefined && found.text <= key) low = middle + 1;
      else high = middle;
    }
    return enclosing(key, prefixes[low - 1])?.rules ?? noRules;
  };

  for (const policy of policies) {
    const { pattern } = policy;
    if (prefixOf(pattern) === undefined) exact.set(pattern, within(byPrefix(pattern), policy));
  }
  if (exact.size === 0 && prefixes.length === 0) return () => noRules;
  return (key) => exact.get(key) ?? byPrefix(key);
};
