import type { EventShape } from '../catalog.ts';
import { isLimit } from '../policies.ts';
import type { StatePolicyEvent } from './policy.ts';

type Data = Readonly<Record<string, unknown>>;

const isText = (value: unknown): value is string => typeof value === 'string';

/** Null, or an object with exactly one of `subject` and `scope`. */
const isOwner = (value: unknown): boolean => {
  if (value === null) return true;
  if (typeof value !== 'object') return false;
  const { subject, scope } = value as Data;
  return subject === undefined ? isText(scope) : isText(subject) && scope === undefined;
};

const limits = ['maxKeys', 'maxBytes', 'maxVersions', 'maxAgeSec'] as const;

export const statePolicyShapes: { readonly [Type in StatePolicyEvent['type']]: EventShape } = {
  StatePolicySet: {
    category: 'nexus',
    fault: (data) => {
      if (!isText(data.pattern)) return 'pattern';
      if (data.resolver !== null && !isText(data.resolver)) return 'resolver';
      return isOwner(data.owner) ? limits.find((name) => !isLimit(data[name])) : 'owner';
    },
  },
  StatePolicyRemoved: {
    category: 'nexus',
    fault: ({ pattern }) => (isText(pattern) ? undefined : 'pattern'),
  },
};
