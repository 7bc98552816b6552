import { isStatePattern } from '../../domain/names.ts';
import { isResolverName } from '../../domain/state/resolvers.ts';
import { createLookup } from '../../domain/state-policy/lookup.ts';
import type { StatePolicy } from '../../domain/state-policy/policy.ts';

/** What `PATTERN=RESOLVER` attaches, split at the last `=`; undefined for other text. */
export const parseAttached = (text: string): Pick<StatePolicy, 'pattern' | 'resolver'> | undefined => {
  const at = text.lastIndexOf('=');
  const pattern = text.slice(0, Math.max(at, 0));
  const resolver = text.slice(at + 1);
  return isStatePattern(pattern) && isResolverName(resolver) ? { pattern, resolver } : undefined;
};

const nothing = { owner: null, maxKeys: null, maxBytes: null, maxVersions: null, maxAgeSec: null };

/** The resolver that `texts` attach to a key, found as those of state policies are; of one pattern the last counts. */
export const attachedBy = (texts: readonly string[]): ((key: string) => string | undefined) => {
  const attached = new Map<string, StatePolicy>();
  for (const text of texts) {
    const found = parseAttached(text);
    if (found !== undefined) attached.set(found.pattern, { ...nothing, ...found });
  }
  const rulesOf = createLookup([...attached.values()]);
  return (key) => rulesOf(key).resolver;
};
