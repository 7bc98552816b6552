import fc from 'fast-check';
import type { StatePolicy, StatePolicyCommand, StatePolicyEvent } from '../../domain/state-policy/policy.ts';

const anyLimit = fc.option(fc.integer({ min: 1, max: 3 }), { nil: null });
const anyOwner = fc.constantFrom(null, { subject: 'ann' }, { scope: 'state:write:a/*' });

/** Policies of `pattern` with few different rules, so that equal ones come up. */
export const anyStatePolicy = (pattern: fc.Arbitrary<string>): fc.Arbitrary<StatePolicy> =>
  fc.record({
    pattern,
    resolver: fc.constantFrom(null, 'max', 'set-union'),
    owner: anyOwner,
    maxKeys: anyLimit,
    maxBytes: anyLimit,
    maxVersions: anyLimit,
    maxAgeSec: anyLimit,
  });

const anyFew = anyStatePolicy(fc.constantFrom('*', 'a/*', 'a/b', '__proto__'));

export const anyStatePolicyCommand: fc.Arbitrary<StatePolicyCommand> = fc
  .tuple(anyFew, fc.boolean())
  .map(
    ([policy, set]): StatePolicyCommand =>
      set ? { type: 'SetStatePolicy', ...policy } : { type: 'RemoveStatePolicy', pattern: policy.pattern },
  );

export const anyStatePolicyEvent: fc.Arbitrary<StatePolicyEvent> = fc
  .tuple(anyFew, fc.boolean())
  .map(
    ([policy, set]): StatePolicyEvent =>
      set
        ? { type: 'StatePolicySet', data: policy }
        : { type: 'StatePolicyRemoved', data: { pattern: policy.pattern } },
  );
