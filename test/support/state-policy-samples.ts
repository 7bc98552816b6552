import type { StatePolicyEvent } from '../../domain/state-policy/policy.ts';
import { policyOf } from './state-policies.ts';

type Sample = {
  readonly stream: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly wrong: readonly (readonly [fault: string, change: Readonly<Record<string, unknown>>])[];
};

/** One well-formed event of each type, and wrong variants of it with the property that is at fault. */
export const statePolicySamples: { readonly [Type in StatePolicyEvent['type']]: Sample } = {
  StatePolicySet: {
    stream: 'nexus-state-policies',
    data: policyOf('app/*', { resolver: 'max', owner: { subject: 'ann' }, maxKeys: 3, maxAgeSec: 60 }),
    wrong: [
      ['pattern', { pattern: 1 }],
      ['resolver', { resolver: undefined }],
      ['owner', { owner: undefined }],
      ['owner', { owner: 'ann' }],
      ['owner', { owner: {} }],
      ['owner', { owner: { subject: 1 } }],
      ['owner', { owner: { subject: 'ann', scope: 'admin' } }],
      ['maxKeys', { maxKeys: 0 }],
      ['maxBytes', { maxBytes: 1.5 }],
      ['maxVersions', { maxVersions: '1' }],
      ['maxAgeSec', { maxAgeSec: undefined }],
    ],
  },
  StatePolicyRemoved: {
    stream: 'nexus-state-policies',
    data: { pattern: 'app/*' },
    wrong: [['pattern', { pattern: undefined }]],
  },
};
