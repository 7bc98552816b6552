import { keyOf, patternOf, registration, stateOf, subscriptionOf, topicOf } from './command-examples.ts';
import type { Examples, FrameExample } from './example.ts';

const settling = (): readonly FrameExample[] => [{ frame: { delivery: 'none' }, code: 'stale_delivery' }];
const streams = {
  services: 'of `service-ID` and `interface-NAME`',
  state: 'of `state-KEY`',
  topic: 'of `topic-TOPIC`',
  plugin: 'of `plugin-NAME`',
  other: 'of every other stream, a `category`, or `all`',
};

/** For each type of frame; `command` is tried with every command. */
export const frameExamples: Examples<FrameExample> = {
  publish: (tag) => [{ values: { TOPIC: topicOf(tag) }, frame: { topic: topicOf(tag), payload: 1 } }],
  request: (tag) => [
    {
      values: { TOPIC: topicOf(tag) },
      frame: { topic: topicOf(tag), payload: 1, timeoutMs: 1 },
      code: 'no_reply',
    },
  ],
  reply: () => [{ frame: { replyTo: 'nobody', payload: 1 }, code: 'not_found' }],
  command: () => [{ frame: { command: { type: 'None', data: {} } }, code: 'invalid' }],
  subscribe: (tag) => [
    { values: { PATTERN: patternOf(tag) }, frame: { topic: patternOf(tag) } },
    { values: { PATTERN: topicOf(tag) }, frame: { topic: topicOf(tag) } },
    { values: { PATTERN: '>' }, frame: { topic: '>', after: 'start' } },
    { values: { PATTERN: patternOf(tag) }, setup: [subscriptionOf(tag)], frame: { group: `sub-${tag}` } },
  ],
  replay: (tag) => [
    { values: { PATTERN: patternOf(tag) }, frame: { topic: patternOf(tag), from: 'start' } },
    { values: { PATTERN: patternOf(tag) }, frame: { topic: patternOf(tag), from: 'start', dryRun: true } },
  ],
  watch: (tag) => [
    { when: ['of a `key`'], values: { KEY: keyOf(tag) }, frame: { key: keyOf(tag) } },
    { when: ['of a `prefix`'], values: { PREFIX: `${keyOf(tag)}/` }, frame: { prefix: `${keyOf(tag)}/` } },
    { when: ['of a `prefix`'], values: { PREFIX: '' }, frame: { prefix: '', after: 'start' } },
  ],
  tail: (tag) => [
    { when: [streams.services], frame: { stream: `service-svc-${tag}` } },
    {
      when: [streams.state],
      values: { KEY: keyOf(tag) },
      setup: [stateOf(tag)],
      frame: { stream: `state-${keyOf(tag)}` },
    },
    { when: [streams.topic], values: { TOPIC: topicOf(tag) }, frame: { stream: `topic-${topicOf(tag)}` } },
    { when: [streams.plugin], frame: { stream: 'plugin-absent' } },
    { when: [streams.other], frame: { stream: `subscription-${tag}` } },
    { when: [streams.other], frame: { category: 'state' } },
    { when: [streams.other], frame: { all: true } },
  ],
  watchServices: (tag) => [{}, { frame: { name: `svc-${tag}` } }],
  ack: settling,
  nak: settling,
  term: settling,
  extend: settling,
  heartbeat: (tag) => [{ setup: [registration(tag)], frame: { service: `svc-${tag}` }, others: 'id_taken' }],
  serve: (tag) => [
    {
      setup: [registration(tag, { reach: 'socket', host: undefined, port: undefined })],
      frame: { service: `svc-${tag}` },
      others: 'id_taken',
    },
  ],
  stopServing: () => [{ frame: { service: 'none' }, code: 'not_found' }],
  callResult: () => [{ frame: { call: 1 }, code: 'not_found' }],
  callFailed: () => [{ frame: { call: 1, error: { message: 'no' } }, code: 'not_found' }],
  unsubscribe: () => [{ frame: { subscription: 'none' }, code: 'not_found' }],
  finish: () => [{ frame: { subscription: 'none' }, code: 'not_found' }],
  auth: () => [{ frame: { token: 'none' }, code: 'unauthorized' }],
  ping: () => [{}],
};
