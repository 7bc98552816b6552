import { allows } from '../../domain/access.ts';
import { isOwner, ownerOf } from '../../domain/state-policy/owner.ts';
import { type Problem, problem } from '../errors.ts';
import type { Context } from '../nexus-core.ts';
import type { Parts } from './parts.ts';

/**
 * Why the subject may not write one of `keys` although it has the scope: another one owns it. Undefined when it may.
 * The policies must be known: `StatePolicies.unknown`.
 */
export const ownerFault = (
  { statePolicies }: Pick<Parts, 'statePolicies'>,
  { subject }: Context,
  keys: readonly string[],
): Problem | undefined => {
  if (allows(subject, { scope: 'admin' })) return undefined;
  for (const key of keys) {
    const owned = ownerOf(key, statePolicies.rulesOf(key));
    if (owned === undefined || isOwner(subject, owned.by)) continue;
    const { pattern } = owned;
    return problem('forbidden', `the keys of ${pattern} are written by their owner alone`, { key, pattern });
  }
  return undefined;
};
