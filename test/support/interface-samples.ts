import type { InterfaceEvent } from '../../domain/interface/interface.ts';

type Sample = {
  readonly stream: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly wrong: readonly (readonly [fault: string, change: Readonly<Record<string, unknown>>])[];
};

/** One well-formed event of each type, and wrong variants of it with the property that is at fault. */
export const interfaceSamples: { readonly [Type in InterfaceEvent['type']]: Sample } = {
  InterfaceDeclared: {
    stream: 'interface-math',
    data: { major: '1', version: '1.2.0', methods: { add: { input: { type: 'number' }, idempotent: true } } },
    wrong: [
      ['major', { major: 1 }],
      ['version', { version: undefined }],
      ['methods', { methods: [] }],
      ['methods', { methods: { add: 'yes' } }],
      ['methods', { methods: { add: { idempotent: false } } }],
    ],
  },
  InterfaceRetired: {
    stream: 'interface-math',
    data: { major: '0.3', reason: 'a mistake' },
    wrong: [
      ['major', { major: undefined }],
      ['reason', { reason: 5 }],
    ],
  },
};
