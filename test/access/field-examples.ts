import {
  keyOf,
  noApiKey,
  noPlugin,
  patternOf,
  registration,
  stateOf,
  subscriptionOf,
  topicOf,
} from './command-examples.ts';
import type { Examples, FieldExample } from './example.ts';

const onKey =
  (args: object = {}) =>
  (tag: string): readonly FieldExample[] => [
    { values: { KEY: keyOf(tag) }, setup: [stateOf(tag)], args: { key: keyOf(tag), ...args } },
  ];

const onSubscription =
  (argument: string) =>
  (tag: string): readonly FieldExample[] => [
    {
      values: { PATTERN: patternOf(tag) },
      setup: [subscriptionOf(tag)],
      args: { [argument]: `sub-${tag}` },
    },
  ];

const messageOf = (tag: string) => ({
  type: 'PublishMessage',
  data: { topic: patternOf(tag).replace('>', 'a'), payload: 1 },
});

/**
 * For each root field, as `Type.field`, that is no other form of a command. One without a required argument, and with a
 * need that no argument decides, needs none.
 */
export const fieldExamples: Examples<FieldExample> = {
  'Query.service': (tag) => [{ setup: [registration(tag)], args: { id: `svc-${tag}` } }],
  'Query.serviceInterface': (tag) => [{ args: { name: `svc-${tag}` } }],
  'Query.state': onKey(),
  'Query.states': (tag) => [
    { values: { PREFIX: `${keyOf(tag)}/` }, args: { prefix: `${keyOf(tag)}/` } },
    { values: { PREFIX: '' } },
  ],
  'Query.stateHistory': onKey(),
  'Query.stateDifference': onKey({ from: '1' }),
  'Query.lock': onKey(),
  'Query.events': (tag) => [
    { when: ['with `topic`'], values: { PATTERN: patternOf(tag) }, args: { topic: patternOf(tag) } },
    { when: ['without `topic`'] },
    { when: ['without `topic`'], args: { stream: `state-${keyOf(tag)}` } },
  ],
  'Query.subscription': onSubscription('name'),
  'Query.deadLetters': onSubscription('subscription'),
  'Query.retention': (tag) => [
    { when: ['with `topic`'], values: { PATTERN: patternOf(tag) }, args: { topic: patternOf(tag) } },
    { when: ['without `topic`'] },
  ],
  'Query.statePolicies': (tag) => [
    { when: ['of one key'], values: { KEY: keyOf(tag) }, args: { pattern: keyOf(tag) } },
    { when: ['of a prefix'], values: { PREFIX: keyOf(tag) }, args: { pattern: `${keyOf(tag)}*` } },
    { when: ['of all'] },
  ],
  'Query.replays': onSubscription('subscription'),
  'Query.plugin': () => [{ args: { name: noPlugin } }],
  'Mutation.shadowPlugin': () => [{ args: { name: noPlugin }, code: 'not_found' }],
  'Query.apiKey': () => [{ args: { id: noApiKey } }],
  'Mutation.heartbeat': (tag) => [
    { setup: [registration(tag)], args: { id: `svc-${tag}` }, others: 'id_taken' },
  ],
  'Mutation.invokeService': (tag) => [
    {
      values: { NAME: `svc-${tag}` },
      args: { name: `svc-${tag}`, method: 'ping' },
      code: 'service_not_found',
    },
  ],
  'Mutation.request': (tag) => [
    {
      values: { TOPIC: topicOf(tag) },
      args: { topic: topicOf(tag), payload: '1', timeoutMs: 1 },
      code: 'no_reply',
    },
  ],
  'Mutation.reply': () => [{ args: { replyTo: 'nobody', payload: '1' }, code: 'not_found' }],
  'Subscription.messages': (tag) => [
    { values: { PATTERN: patternOf(tag) }, setup: [messageOf(tag)], args: { topic: patternOf(tag) } },
    { values: { PATTERN: '>' }, setup: [messageOf(tag)], args: { topic: '>' } },
  ],
  'Subscription.serviceChanged': (tag) => [{ setup: [registration(tag)] }],
  'Subscription.stateChanged': (tag) => [
    { when: ['of a `key`'], values: { KEY: keyOf(tag) }, setup: [stateOf(tag)], args: { key: keyOf(tag) } },
    {
      when: ['of a `prefix`'],
      values: { PREFIX: keyOf(tag) },
      setup: [stateOf(tag)],
      args: { prefix: keyOf(tag) },
    },
  ],
};

type Data = Readonly<Record<string, unknown>>;

/** The arguments of a mutation that is another form of a command, from the command's data. */
export const argumentsOf = (field: string, data: Data): Data => {
  const { id, name, payload, format, ...rest } = data;
  switch (field) {
    case 'registerService':
      return { input: data };
    case 'updateService':
      return { id, input: rest };
    case 'publishEvent':
      return { ...rest, payload: JSON.stringify(payload) };
    case 'patchState':
      return { ...rest, format: format === 'json-patch' ? 'JSON_PATCH' : 'MERGE_PATCH' };
    case 'redriveDeadLetters':
      return payload === undefined
        ? { ...rest, subscription: name }
        : { ...rest, subscription: name, payload: JSON.stringify(payload) };
    case 'discardDeadLetters':
    case 'replay':
    case 'stopReplays':
      return { ...rest, subscription: name };
    case 'transactState': {
      const { compare, ...branches } = data;
      const upper = Object.entries(branches).map(([branch, operations]) => [
        branch,
        (operations as readonly Data[]).map(({ op, ...operation }) => ({
          ...operation,
          op: String(op).toUpperCase(),
        })),
      ]);
      return { compare, ...Object.fromEntries(upper) };
    }
    default:
      return data;
  }
};
