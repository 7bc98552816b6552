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
import type { Examples, RestExample } from './example.ts';

const tail = { headers: { accept: 'text/event-stream' } };
const encode = encodeURIComponent;

const onKey =
  (path: (key: string) => string, more: Partial<RestExample> = {}) =>
  (tag: string): readonly RestExample[] => [
    {
      values: { KEY: keyOf(tag) },
      setup: [stateOf(tag)],
      path: () => path(encode(keyOf(tag))),
      ...more,
    },
  ];

const onPrefix = (tag: string, path: string, more: Partial<RestExample> = {}): RestExample => ({
  values: { PREFIX: `${keyOf(tag)}/` },
  path: () => `${path}?prefix=${encode(`${keyOf(tag)}/`)}`,
  ...more,
});

const onSubscription =
  (rest: string, more: Partial<RestExample> = {}) =>
  (tag: string): readonly RestExample[] => [
    {
      values: { PATTERN: patternOf(tag) },
      setup: [subscriptionOf(tag)],
      path: () => `/subscriptions/sub-${tag}${rest}`,
      ...more,
    },
  ];

const settling = (how: string) => onSubscription(`/${how}`, { body: { deliveries: ['none'] } });

/**
 * For each route that is no other form of a command (those follow from the examples of commands). A GET without
 * parameters in its path needs none.
 */
export const restExamples: Examples<RestExample> = {
  'GET /services/{id}': (tag) => [{ setup: [registration(tag)], path: () => `/services/svc-${tag}` }],
  'POST /services/{id}/heartbeat': (tag) => [
    {
      setup: [registration(tag)],
      path: () => `/services/svc-${tag}/heartbeat`,
      body: {},
      others: 'id_taken',
    },
  ],
  'POST /services/{name}/invoke': (tag) => [
    {
      values: { NAME: `svc-${tag}` },
      path: () => `/services/svc-${tag}/invoke`,
      body: { method: 'ping' },
      code: 'service_not_found',
    },
  ],
  'GET /interfaces/{name}': (tag) => [{ path: () => `/interfaces/svc-${tag}`, code: 'not_found' }],
  'ANY /proxy/{name}/{path}': (tag) => [
    { values: { NAME: `svc-${tag}` }, path: () => `/proxy/svc-${tag}/a/b?c=d`, code: 'service_not_found' },
  ],
  'GET /state': (tag) => [onPrefix(tag, '/state'), onPrefix(tag, '/state', tail)],
  'GET /state/{key}': (tag) => [
    ...onKey((key) => `/state/${key}`)(tag),
    ...onKey((key) => `/state/${key}`, tail)(tag),
  ],
  'GET /state/{key}/history': onKey((key) => `/state/${key}/history`),
  'GET /state/{key}/diff': onKey((key) => `/state/${key}/diff?from=1`),
  'GET /locks/{key}': onKey((key) => `/locks/${key}`, { code: 'not_found' }),
  'GET /snapshot': (tag) => [onPrefix(tag, '/snapshot')],
  'POST /snapshot': () => [{ body: { 'access/loaded': 1 } }],
  'GET /state-policies/{pattern}': (tag) => [
    {
      when: ['of one key'],
      values: { KEY: keyOf(tag) },
      path: () => `/state-policies/${encode(keyOf(tag))}`,
      code: 'not_found',
    },
    {
      when: ['of a prefix'],
      values: { PREFIX: `${keyOf(tag)}/` },
      path: () => `/state-policies/${encode(`${keyOf(tag)}/*`)}`,
      code: 'not_found',
    },
  ],
  'GET /events': (tag) => [
    { values: { PATTERN: patternOf(tag) }, path: () => `/events?topic=${encode(patternOf(tag))}` },
    { values: { PATTERN: topicOf(tag) }, path: () => `/events?topic=${encode(topicOf(tag))}` },
    { values: { PATTERN: '>' }, path: () => '/events' },
    { values: { PATTERN: patternOf(tag) }, path: () => `/events?topic=${encode(patternOf(tag))}`, ...tail },
  ],
  'GET /messages/{position}': (tag) => [
    {
      values: { TOPIC: topicOf(tag) },
      setup: [{ type: 'PublishMessage', data: { topic: topicOf(tag), payload: 1 } }],
      path: ([published]) => `/messages/${published?.position}`,
      named: 'events:read',
    },
  ],
  'POST /requests/{topic}': (tag) => [
    {
      values: { TOPIC: topicOf(tag) },
      path: () => `/requests/${topicOf(tag)}`,
      body: { payload: 1, timeoutMs: 1 },
      code: 'no_reply',
    },
  ],
  'POST /replies': () => [{ body: { replyTo: 'nobody', payload: 1 }, code: 'not_found' }],
  'GET /retention/{pattern}': (tag) => [
    {
      values: { PATTERN: patternOf(tag) },
      path: () => `/retention/${encode(patternOf(tag))}`,
      code: 'not_found',
    },
  ],
  'GET /subscriptions/{name}': onSubscription(''),
  'POST /subscriptions/{name}/pull': onSubscription('/pull', { body: {} }),
  'POST /subscriptions/{name}/ack': settling('ack'),
  'POST /subscriptions/{name}/nak': settling('nak'),
  'POST /subscriptions/{name}/term': settling('term'),
  'POST /subscriptions/{name}/extend': settling('extend'),
  'GET /subscriptions/{name}/dead-letters': onSubscription('/dead-letters'),
  'GET /subscriptions/{name}/replays': onSubscription('/replays'),
  'DELETE /subscriptions/{name}/replays/{replayId}': onSubscription('/replays/none', { code: 'not_found' }),
  'GET /plugins/{name}': () => [{ path: () => `/plugins/${noPlugin}`, code: 'not_found' }],
  'POST /plugins/{name}/shadow': () => [{ path: () => `/plugins/${noPlugin}/shadow`, code: 'not_found' }],
  'GET /api-keys/{id}': () => [{ path: () => `/api-keys/${noApiKey}`, code: 'not_found' }],
  'GET /streams/{stream}': (tag) => [
    {
      when: ['of `service-ID` and `interface-NAME`'],
      setup: [registration(tag)],
      path: () => `/streams/service-svc-${tag}`,
    },
    {
      when: ['of `service-ID` and `interface-NAME`'],
      path: () => `/streams/interface-svc-${tag}`,
      code: 'not_found',
    },
    {
      when: ['of `state-KEY`'],
      values: { KEY: keyOf(tag) },
      setup: [stateOf(tag)],
      path: () => `/streams/state-${encode(keyOf(tag))}`,
    },
    {
      when: ['of `topic-TOPIC`'],
      values: { TOPIC: topicOf(tag) },
      path: () => `/streams/topic-${topicOf(tag)}`,
      code: 'not_found',
    },
    { when: ['of `plugin-NAME`'], path: () => `/streams/plugin-${noPlugin}`, code: 'not_found' },
    ...['nexus-log', `subscription-sub-${tag}`, `checkpoint-sub-${tag}`, 'topicx-a'].map((stream) => ({
      when: ['of every other stream'],
      path: () => `/streams/${stream}`,
      ...(stream === 'nexus-log' ? {} : { code: 'not_found' }),
    })),
  ],
  'POST /commands': () => [{ body: { type: 'None', data: {} }, code: 'invalid' }],
  'GET /graphql': () => [{ path: () => `/graphql?query=${encode('{ __typename }')}` }],
  'POST /graphql': () => [{ body: { query: '{ __typename }' } }],
};
