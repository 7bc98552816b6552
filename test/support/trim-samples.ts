type Sample = {
  readonly stream: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly wrong: readonly (readonly [fault: string, change: Readonly<Record<string, unknown>>])[];
};

/** A well-formed record of each kind, and wrong variants of it with the property that is at fault. */
export const trimSamples: { readonly [Type in 'TopicTrimmed' | 'StateTrimmed']: Sample } = {
  TopicTrimmed: {
    stream: 'trim-orders.eu',
    data: { topic: 'orders.eu', before: 3, position: '000000000000000a' },
    wrong: [
      ['topic', { topic: 'other' }],
      ['before', { before: 0 }],
      ['position', { position: 'x' }],
    ],
  },
  StateTrimmed: {
    stream: 'trim-state/orders/7',
    data: { key: 'orders/7', before: 3, position: '000000000000000a' },
    wrong: [
      ['key', { key: 'orders/8' }],
      ['key', { key: undefined }],
      ['before', { before: 1.5 }],
      ['position', { position: 7 }],
    ],
  },
};
