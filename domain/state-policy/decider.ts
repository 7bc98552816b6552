import { accept, type Decider, reject, unreachable } from '../decider.ts';
import { maxPolicies, policyList } from '../policies.ts';
import type {
  StateOwner,
  StatePolicy,
  StatePolicyCommand,
  StatePolicyEvent,
  StatePolicyRejection,
  StatePolicyState,
} from './policy.ts';

export const statePolicies = policyList<StatePolicy>(({ pattern }) => pattern);

const sameOwner = (left: StateOwner | null, right: StateOwner | null): boolean => {
  if (left === null || right === null) return left === right;
  return 'subject' in left
    ? 'subject' in right && left.subject === right.subject
    : 'scope' in right && left.scope === right.scope;
};

const samePolicy = (left: StatePolicy, right: StatePolicy): boolean =>
  left.resolver === right.resolver &&
  sameOwner(left.owner, right.owner) &&
  left.maxKeys === right.maxKeys &&
  left.maxBytes === right.maxBytes &&
  left.maxVersions === right.maxVersions &&
  left.maxAgeSec === right.maxAgeSec;

/** All state policies: the stream `nexus-state-policies`. Setting what holds already changes nothing. */
export const statePolicyDecider: Decider<
  StatePolicyState,
  StatePolicyCommand,
  StatePolicyEvent,
  StatePolicyRejection
> = {
  initial: { policies: [] },

  decide(command, { policies }) {
    const known = statePolicies.find(policies, command.pattern);
    switch (command.type) {
      case 'SetStatePolicy': {
        const { type: _type, ...data } = command;
        if (known !== undefined && samePolicy(known, data)) return accept();
        if (known === undefined && policies.length >= maxPolicies)
          return reject({ code: 'too_many', max: maxPolicies });
        return accept({ type: 'StatePolicySet', data });
      }
      case 'RemoveStatePolicy':
        return known === undefined
          ? reject({ code: 'not_found' })
          : accept({ type: 'StatePolicyRemoved', data: { pattern: command.pattern } });
      default:
        return unreachable(command);
    }
  },

  evolve({ policies }, event) {
    switch (event.type) {
      case 'StatePolicySet':
        return { policies: statePolicies.with(policies, event.data) };
      case 'StatePolicyRemoved':
        return { policies: statePolicies.without(policies, event.data.pattern) };
      default:
        return unreachable(event);
    }
  },
};
