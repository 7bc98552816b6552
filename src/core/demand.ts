import { allows, describeRequirement, type Requirement } from '../../domain/access.ts';
import { fault, type Problem, problem } from '../errors.ts';
import type { Context } from '../nexus-core.ts';

/** The refusal of an operation whose scope the subject lacks, or undefined when it may go on. */
export const demand = (
  context: Context,
  requirement: Requirement,
): { readonly ok: false; readonly problem: Problem } | undefined => {
  if (allows(context.subject, requirement)) return undefined;
  const scope = describeRequirement(requirement);
  return fault(problem('forbidden', `the token lacks the scope ${scope}`, { scope }));
};
