import { isStateKey, isStatePrefix } from '../../domain/names.ts';
import { isResolverName } from '../../domain/state/resolvers.ts';

/** A key, or a prefix followed by `*`, and the name of what is attached to it. */
export type Attached = { readonly pattern: string; readonly resolver: string };

const isPattern = (text: string): boolean =>
  text.endsWith('*') ? isStatePrefix(text.slice(0, -1)) : isStateKey(text);

/** `PATTERN=NAME`, split at the last `=`; undefined for anything else. */
export const parseAttached = (text: string): Attached | undefined => {
  const at = text.lastIndexOf('=');
  const pattern = text.slice(0, Math.max(at, 0));
  const resolver = text.slice(at + 1);
  return isPattern(pattern) && isResolverName(resolver) ? { pattern, resolver } : undefined;
};

/**
 * What is attached to a key: a pattern that is the key itself, else the longest prefix. Of the same pattern twice the last
 * counts. Costs a look-up per different length of a prefix, however many patterns there are.
 */
export const createAttachments = (attached: readonly Attached[]): ((key: string) => string | undefined) => {
  const keys = new Map<string, string>();
  const prefixes = new Map<string, string>();
  for (const { pattern, resolver } of attached) {
    if (pattern.endsWith('*')) prefixes.set(pattern.slice(0, -1), resolver);
    else keys.set(pattern, resolver);
  }
  const lengths = [...new Set([...prefixes.keys()].map((prefix) => prefix.length))].sort(
    (left, right) => right - left,
  );
  return (key) => {
    const own = keys.get(key);
    if (own !== undefined) return own;
    for (const length of lengths) {
      if (length > key.length) continue;
      const found = prefixes.get(key.slice(0, length));
      if (found !== undefined) return found;
    }
    return undefined;
  };
};
