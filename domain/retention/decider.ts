import { accept, type Decider, reject, unreachable } from '../decider.ts';
import type {
  Limits,
  RetentionCommand,
  RetentionEvent,
  RetentionPolicy,
  RetentionRejection,
  RetentionState,
} from './retention.ts';

/** Every policy is looked at for every topic, and all of them stand in one document. */
export const maxPolicies = 1_000;

const sameLimits = (left: Limits, right: Limits): boolean =>
  left.maxAgeSec === right.maxAgeSec &&
  left.maxMessages === right.maxMessages &&
  left.maxBytes === right.maxBytes;

/** The policies with that of `policy.topic` replaced in its place, or added at the end. */
export const withPolicy = (
  policies: readonly RetentionPolicy[],
  policy: RetentionPolicy,
): readonly RetentionPolicy[] =>
  policies.some(({ topic }) => topic === policy.topic)
    ? policies.map((other) => (other.topic === policy.topic ? policy : other))
    : [...policies, policy];

export const withoutPolicy = (
  policies: readonly RetentionPolicy[],
  topic: string,
): readonly RetentionPolicy[] => policies.filter((policy) => policy.topic !== topic);

/** All retention policies: the stream `nexus-retention`. Setting the limits that hold already changes nothing. */
export const retentionDecider: Decider<RetentionState, RetentionCommand, RetentionEvent, RetentionRejection> =
  {
    initial: { policies: [] },

    decide(command, { policies }) {
      const known = policies.find(({ topic }) => topic === command.topic);
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
          return { policies: withPolicy(policies, event.data) };
        case 'RetentionRemoved':
          return { policies: withoutPolicy(policies, event.data.topic) };
        default:
          return unreachable(event);
      }
    },
  };
