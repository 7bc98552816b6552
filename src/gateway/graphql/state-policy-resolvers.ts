import type { StatePolicyView } from '../../nexus-state-policies.ts';
import { command, given, got, gotOrNull, type Resolve } from './resolving.ts';

const statePolicies: Resolve<{ pattern: string }, readonly StatePolicyView[]> = async (
  _,
  args,
  { core, context },
) => {
  const { pattern } = given(args);
  if (pattern === undefined) return got(await core.statePolicies(context)).policies;
  const policy = gotOrNull(await core.statePolicy(pattern, context));
  return policy === null ? [] : [policy];
};

export const statePolicyQueries = { statePolicies } as const;

type PolicyArgs = {
  pattern: string;
  resolver: string;
  owner: { subject: string; scope: string };
  maxKeys: number;
  maxBytes: number;
  maxVersions: number;
  maxAgeSec: number;
};
const setStatePolicy: Resolve<PolicyArgs, object> = async (_, args, at) => {
  const { owner, ...rules } = given(args);
  return command('SetStatePolicy', { ...rules, ...(owner === undefined ? {} : { owner: given(owner) }) }, at);
};

const removeStatePolicy: Resolve<{ pattern: string }, object> = async (_, args, at) =>
  command('RemoveStatePolicy', given(args), at);

export const statePolicyMutations = { setStatePolicy, removeStatePolicy } as const;
