import { allows, type Requirement } from '../../domain/access.ts';
import { asStreamId } from '../../domain/event.ts';
import { isStatePattern, prefixOf } from '../../domain/names.ts';
import type { PolicyRejection } from '../../domain/policies.ts';
import { statePolicies as list } from '../../domain/state-policy/decider.ts';
import type { StatePolicy, StatePolicyCommand } from '../../domain/state-policy/policy.ts';
import type { StatePoliciesDocument } from '../../projections/documents.ts';
import { statePolicies, statePoliciesKey, statePoliciesStream } from '../../projections/state-policies.ts';
import type { Command } from '../command/catalog.ts';
import { fault, invalid, invalidAt, ok, type Problem, problem, type Result } from '../errors.ts';
import type { Context, Page } from '../nexus-core.ts';
import type { StatePolicyView } from '../nexus-state-policies.ts';
import type { Call, Done } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';
import type { PolicyWrites } from './policy-commands.ts';
import type { Reads } from './reads.ts';

const stream = asStreamId(statePoliciesStream);

type StatePolicyInput = Extract<Command, { readonly type: 'SetStatePolicy' | 'RemoveStatePolicy' }>;

const explain =
  (pattern: string) =>
  (rejection: PolicyRejection): Problem =>
    rejection.code === 'not_found'
      ? problem('not_found', `the pattern ${pattern} has no state policy`, { pattern })
      : invalidAt('/pattern', `is one pattern too many: ${rejection.max} have a state policy already`);

const commandOf = (input: StatePolicyInput): StatePolicyCommand =>
  input.type === 'SetStatePolicy'
    ? { type: 'SetStatePolicy', ...input.data }
    : { type: 'RemoveStatePolicy', pattern: input.data.pattern };

/** The commands that set and remove the policy of a pattern of state keys. */
export const createStatePolicyCommands =
  (write: PolicyWrites, deciders: Pick<Deciders, 'statePolicy'>) =>
  (input: StatePolicyInput, call: Call): Promise<Result<Done>> => {
    const { pattern } = input.data;
    return write(deciders.statePolicy, stream, commandOf(input), call, {
      explain: explain(pattern),
      result: (position) => ({ ...input.data, position }),
      created: ({ policies }) =>
        input.type === 'SetStatePolicy' && list.find(policies, pattern) === undefined,
    });
  };

const requirementOf = (pattern: string): Requirement => {
  const prefix = prefixOf(pattern);
  return prefix === undefined ? { scope: 'state:read', key: pattern } : { scope: 'state:read', prefix };
};

/** The policies as clients read them: by whoever may read the keys, or the log. */
export const createStatePolicyQueries = (reads: Reads, { quotas }: Pick<Parts, 'quotas'>) => {
  const shown = (policy: StatePolicy): StatePolicyView => ({
    ...policy,
    usage: quotas.usageOf(policy.pattern),
  });
  const begin = (context: Context, pattern: string) =>
    reads.begin(
      context,
      allows(context.subject, { scope: 'log:read' }) ? { scope: 'log:read' } : requirementOf(pattern),
    );

  return {
    statePolicy: async (pattern: string, context: Context): Promise<Result<StatePolicyView>> => {
      if (!isStatePattern(pattern))
        return invalid('/pattern', 'must be a key of 1 to 512 bytes, or a prefix of keys and * behind it');
      const at = await begin(context, pattern);
      if (!at.ok) return at;
      const document = at.value.store.read<StatePoliciesDocument>(statePolicies.name, statePoliciesKey);
      const policy = list.find(document?.policies ?? [], pattern);
      return policy === undefined ? fault(explain(pattern)({ code: 'not_found' })) : ok(shown(policy));
    },

    statePolicies: async (context: Context): Promise<Result<Page<'policies', StatePolicyView>>> => {
      const at = await begin(context, '*');
      if (!at.ok) return at;
      const document = at.value.store.read<StatePoliciesDocument>(statePolicies.name, statePoliciesKey);
      return ok({ policies: (document?.policies ?? []).map(shown), position: at.value.position });
    },
  };
};
