/** Every policy of one kind stands in one document, and is looked through when one of them changes. */
export const maxPolicies = 1_000;

/** Why a policy cannot be set or removed. */
export type PolicyRejection =
  | { readonly code: 'not_found' }
  | { readonly code: 'too_many'; readonly max: number };

/** Operations on policies that `nameOf` tells apart, in the order in which the names were first set. */
export const policyList = <Policy>(nameOf: (policy: Policy) => string) => ({
  find: (policies: readonly Policy[], name: string): Policy | undefined =>
    policies.find((policy) => nameOf(policy) === name),

  /** With `policy` in the place of the one of its name, or at the end. */
  with: (policies: readonly Policy[], policy: Policy): readonly Policy[] => {
    const name = nameOf(policy);
    return policies.some((other) => nameOf(other) === name)
      ? policies.map((other) => (nameOf(other) === name ? policy : other))
      : [...policies, policy];
  },

  without: (policies: readonly Policy[], name: string): readonly Policy[] =>
    policies.filter((policy) => nameOf(policy) !== name),
});

/** True for a limit of a policy: null, or a whole number from 1. */
export const isLimit = (value: unknown): boolean =>
  value === null || (Number.isSafeInteger(value) && Number(value) > 0);
