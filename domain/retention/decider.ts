import { accept, type Decider, reject, unreachable } from '../decider.ts';
import { maxPolicies, policyList } from '../policies.ts';
import type {
  Limits,
  RetentionCommand,
  RetentionEvent,
  RetentionPolicy,
  RetentionRejection,
  RetentionState,
} from './retention.ts';

export const retentionPolicies = policyList<RetentionPolicy>(({ topic }) => topic);

const sameLimits = (left: Limits, right: Limits): boolean =>
  left.maxAgeSec === right.maxAgeSec &&
  left.maxMessages === right.maxMessages &&
  left.maxBytes === right.maxBytes;

/** All retention policies: the stream `nexus-retention`. Setting the limits that hold already changes nothing. */
export const retentionDecider: Decider<RetentionState, RetentionCommand, RetentionEvent, RetentionRejection> =
  {
    initial: { policies: [] },

    decide(command, { policies }) {
      const known = retentionPolicies.find(policies, command.topic);
      switch (command.type) {
        case 'SetRetention': {
          const { type: _type, ...data } = command;
          if (known !== undefined && sameLimits(known, data)) return accept();
          if (known === undefined && policies.length >= maxPolicies)
            return reject({ code: 'too_many', max: maxPolicies });
          return accept({ type: 'RetentionSet', data });
        }
        case 'RemoveRetention':
          return known === undefined
            ? reject({ code: 'not_found' })
            : accept({ type: 'RetentionRemoved', data: { topic: command.topic } });
        default:
          return unreachable(command);
      }
    },

    evolve({ policies }, event) {
      switch (event.type) {
        case 'RetentionSet':
          return { policies: retentionPolicies.with(policies, event.data) };
        case 'RetentionRemoved':
          return { policies: retentionPolicies.without(policies, event.data.topic) };
        default:
          return unreachable(event);
      }
    },
  };
