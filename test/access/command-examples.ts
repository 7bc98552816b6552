import type { CommandType } from '../../src/command/catalog.ts';
import type { CommandInput } from '../../src/nexus-core.ts';
import type { CommandExample } from './example.ts';

export const registration = (tag: string, more: object = {}) => ({
  type: 'RegisterService',
  data: { id: `svc-${tag}`, name: `svc-${tag}`, version: '1.0.0', host: '127.0.0.1', port: 9, ...more },
});
/** The id of an API key that there is not. */
export const noApiKey = '0'.repeat(24);
/** A plugin that there is not. */
export const noPlugin = 'absent';
export const keyOf = (tag: string): string => `access/${tag}`;
export const topicOf = (tag: string): string => `access.${tag}`;
export const patternOf = (tag: string): string => `access-${tag}.>`;
export const subscriptionOf = (tag: string) => ({
  type: 'CreateSubscription',
  data: { name: `sub-${tag}`, topic: patternOf(tag), from: 'start' },
});
export const stateOf = (tag: string, value: unknown = 1) => ({
  type: 'SetState',
  data: { key: keyOf(tag), value },
});
const lockOf = (tag: string) => ({
  type: 'AcquireLock',
  data: { key: keyOf(tag), ttlMs: 60_000 },
});
const methods = { methods: { ping: {} } };

type CommandExamples = { readonly [Type in CommandType]: (tag: string) => readonly CommandExample[] };

/** The keys of the example are ada’s. */
const ownedBy = (tag: string) => ({
  type: 'SetStatePolicy',
  data: { pattern: keyOf(tag), owner: { subject: 'ada' } },
});

const onKey =
  (data: object, setup: (tag: string) => readonly CommandInput[] = (tag) => [stateOf(tag)]) =>
  (tag: string): readonly CommandExample[] => {
    const own = `${tag}-own`;
    return [
      { values: { KEY: keyOf(tag) }, setup: setup(tag), data: { key: keyOf(tag), ...data } },
      {
        values: { KEY: keyOf(own) },
        setup: [...setup(own), ownedBy(own)],
        data: { key: keyOf(own), ...data },
        others: 'forbidden',
      },
    ];
  };

const onSubscription =
  (data: object = {}) =>
  (tag: string): readonly CommandExample[] => [
    {
      values: { PATTERN: patternOf(tag) },
      setup: [subscriptionOf(tag)],
      data: { name: `sub-${tag}`, ...data },
    },
  ];

/** For each command its data, with the things that it is about. */
export const commandExamples: CommandExamples = {
  RegisterService: (tag) => [
    { data: registration(tag).data },
    { setup: [registration(`${tag}-own`)], data: registration(`${tag}-own`).data, others: 'id_taken' },
  ],
  UpdateService: (tag) => [
    { setup: [registration(tag)], data: { id: `svc-${tag}`, tags: ['a'] }, others: 'id_taken' },
  ],
  DeregisterService: (tag) => [
    { setup: [registration(tag)], data: { id: `svc-${tag}` }, others: 'id_taken' },
  ],
  RetireInterface: (tag) => [
    {
      setup: [registration(tag, methods), { type: 'DeregisterService', data: { id: `svc-${tag}` } }],
      data: { name: `svc-${tag}`, major: '1' },
      others: 'forbidden',
    },
  ],
  SetState: (tag) => [
    ...onKey({ value: 1 }, () => [])(tag),
    { values: { KEY: `nexus/access-${tag}` }, data: { key: `nexus/access-${tag}`, value: 1 } },
  ],
  PatchState: (tag) => [
    ...onKey({ format: 'merge-patch', patch: { a: 1 } })(tag),
    {
      values: { KEY: keyOf(`${tag}-test`) },
      when: ['with a `test` in a JSON patch, or a conflict that a resolver is to settle'],
      setup: [stateOf(`${tag}-test`)],
      data: {
        key: keyOf(`${tag}-test`),
        format: 'json-patch',
        patch: [{ op: 'test', path: '', value: 1 }],
      },
    },
  ],
  IncrementState: onKey({ by: 2 }),
  DeleteState: onKey({}),
  AcquireLock: onKey({ ttlMs: 60_000 }, () => []),
  RenewLock: onKey({ token: 1, ttlMs: 60_000 }, (tag) => [lockOf(tag)]),
  ReleaseLock: (tag) => [
    {
      when: ['with the token of the lock'],
      values: { KEY: keyOf(tag) },
      setup: [lockOf(tag), ownedBy(tag)],
      data: { key: keyOf(tag), token: 1 },
      others: 'forbidden',
    },
    {
      when: ['without it'],
      setup: [lockOf(`${tag}-admin`)],
      data: { key: keyOf(`${tag}-admin`) },
    },
  ],
  TransactState: (tag) => [
    {
      when: ['of each key that is written'],
      values: { KEY: keyOf(tag) },
      setup: [ownedBy(tag)],
      others: 'forbidden',
      data: {
        compare: [],
        // biome-ignore lint/suspicious/noThenProperty: the name on the wire
        then: [{ op: 'set', key: keyOf(tag), value: 1 }],
        else: [],
      },
    },
    {
      when: ['of each key that is written', 'of each key that is compared, tested or read'],
      values: { KEY: keyOf(tag) },
      data: {
        compare: [{ key: keyOf(tag), exists: false }],
        // biome-ignore lint/suspicious/noThenProperty: the name on the wire
        then: [{ op: 'get', key: keyOf(tag) }],
        else: [{ op: 'set', key: keyOf(tag), value: 1 }],
      },
    },
  ],
  PublishMessage: (tag) => [
    { values: { TOPIC: topicOf(tag) }, data: { topic: topicOf(tag), payload: { n: 1 } } },
  ],
  CreateSubscription: (tag) => [
    { values: { PATTERN: patternOf(tag) }, data: { name: `sub-${tag}`, topic: patternOf(tag) } },
  ],
  DeleteSubscription: onSubscription(),
  PauseSubscription: onSubscription(),
  ResumeSubscription: onSubscription(),
  ResetSubscription: onSubscription({ to: 'start' }),
  RedriveDeadLetters: (tag) => [
    ...onSubscription({ all: true })(tag),
    {
      ...onSubscription()(`${tag}-p`)[0],
      when: ['with another payload'],
      data: { name: `sub-${tag}-p`, all: true, payload: 1 },
    },
  ],
  DiscardDeadLetters: onSubscription({ all: true }),
  ReplayMessages: onSubscription({ from: 'start' }),
  StopReplays: onSubscription(),
  CreateApiKey: (tag) => [{ data: { name: `key-${tag}`, scopes: ['services:read'] } }],
  RevokeApiKey: () => [{ data: { id: noApiKey }, code: 'not_found' }],
  EnablePlugin: () => [{ data: { name: noPlugin }, code: 'not_found' }],
  DisablePlugin: () => [{ data: { name: noPlugin }, code: 'not_found' }],
  ReloadPlugin: () => [{ data: { name: noPlugin }, code: 'not_found' }],
  RevokeToken: (tag) => [{ data: { jti: `token-${tag}` } }],
  SetRetention: (tag) => [{ data: { topic: patternOf(tag), maxMessages: 1_000 } }],
  RemoveRetention: (tag) => [
    {
      setup: [{ type: 'SetRetention', data: { topic: patternOf(tag), maxMessages: 1_000 } }],
      data: { topic: patternOf(tag) },
    },
  ],
  SetStatePolicy: (tag) => [{ data: { pattern: keyOf(tag), maxVersions: 10 } }],
  RemoveStatePolicy: (tag) => [
    {
      setup: [{ type: 'SetStatePolicy', data: { pattern: keyOf(tag), maxVersions: 10 } }],
      data: { pattern: keyOf(tag) },
    },
  ],
};
