import test from 'ava';
import fc from 'fast-check';
import { createDecoder, decodeEvent, type EventType, schemaOf } from '../../domain/catalog.ts';
import type { DomainEvent, LogEvent } from '../../domain/event.ts';
import { defaultPolicy } from '../../domain/service/policy.ts';
import {
  anyMessageEvent,
  anyRetentionEvent,
  anyServiceEvent,
  seeded,
  serviceId,
  topic,
} from '../support/arbitraries.ts';
import { auditSamples } from '../support/audit-samples.ts';
import { by } from '../support/given.ts';
import { interfaceSamples } from '../support/interface-samples.ts';
import { pluginSamples } from '../support/plugin-samples.ts';
import { positionAt, record } from '../support/recorded.ts';
import { anyStateEvent } from '../support/state-arbitraries.ts';
import { anyStatePolicyEvent } from '../support/state-policy-arbitraries.ts';
import { statePolicySamples } from '../support/state-policy-samples.ts';
import { anySubscriptionEvent } from '../support/subscription-arbitraries.ts';
import { letterAt, refAt, settings } from '../support/subscription-samples.ts';
import { trimSamples } from '../support/trim-samples.ts';

const logged = (stream: string, event: DomainEvent): LogEvent => {
  const [only] = record(stream, [by('ann', event)]);
  if (only === undefined) throw new Error('nothing was recorded');
  return only;
};

const fields = {
  name: 'memory',
  version: '1.0.0',
  host: '127.0.0.1',
  port: 4000,
  protocol: 'http',
  capabilities: [],
  healthCheckUrl: null,
  ttlSec: null,
  weight: 1,
  tags: [],
  metadata: {},
};
const registration = { ...fields, id: serviceId, status: 'healthy', reason: 'registered' };
const message = { messageId: 'm', topic, payload: null, priority: 'LOW' };
const subscription = { ...settings, name: 'billing', from: positionAt(1) };
const letter = { ...letterAt(4), message: { ...letterAt(4).message, key: 'k', headers: { a: 'b' } } };
const removal = { letters: [refAt(4, 1)], through: positionAt(9) };
const resolution = { resolver: 'lww', base: 1, current: 2, incoming: 3 };

/** One well-formed event of each type, and wrong variants of it with the property that is at fault. */
const samples: {
  readonly [Type in EventType]: {
    readonly stream: string;
    readonly data: Readonly<Record<string, unknown>>;
    readonly wrong: readonly (readonly [fault: string, change: Readonly<Record<string, unknown>>])[];
  };
} = {
  ServiceRegistered: {
    stream: `service-${serviceId}`,
    data: registration,
    wrong: [
      ['id', { id: 'memory-2' }],
      ['id', { id: undefined }],
      ['name', { name: 1 }],
      ['port', { port: 1.5 }],
      ['port', { port: '80' }],
      ['protocol', { protocol: 'ftp' }],
      ['capabilities', { capabilities: ['a', 1] }],
      ['capabilities', { capabilities: { length: 0 } }],
      ['healthCheckUrl', { healthCheckUrl: undefined }],
      ['ttlSec', { ttlSec: 'soon' }],
      ['weight', { weight: null }],
      ['tags', { tags: null }],
      ['metadata', { metadata: [] }],
      ['healthCheck', { healthCheck: { intervalMs: 1_000 } }],
      ['removeAfterSec', { removeAfterSec: -1 }],
      ['balancing', { balancing: { ...defaultPolicy.balancing, strategy: 'best' } }],
      ['methods', { methods: { add: { idempotent: 'yes' } } }],
      ['reach', { reach: 'pigeon' }],
      ['status', { status: 'fine' }],
      ['reason', { reason: null }],
    ],
  },
  ServiceUpdated: {
    stream: `service-${serviceId}`,
    data: { changes: { port: 4001, ttlSec: null } },
    wrong: [
      ['changes', { changes: undefined }],
      ['changes', { changes: [] }],
      ['changes/port', { changes: { port: 'x' } }],
    ],
  },
  ServiceStatusChanged: {
    stream: `service-${serviceId}`,
    data: { from: 'healthy', to: 'draining', reason: 'deploy' },
    wrong: [
      ['cause', { cause: 'weather' }],
      ['from', { from: 'x' }],
      ['to', { to: undefined }],
      ['reason', { reason: 5 }],
    ],
  },
  ServiceDeregistered: {
    stream: `service-${serviceId}`,
    data: { reason: 'gone' },
    wrong: [['reason', { reason: undefined }]],
  },
  CircuitOpened: {
    stream: `service-${serviceId}`,
    data: { reason: '5 failures', until: '2030-01-01T00:00:00.000Z' },
    wrong: [
      ['reason', { reason: {} }],
      ['until', { until: 5 }],
    ],
  },
  CircuitClosed: {
    stream: `service-${serviceId}`,
    data: { reason: 'answered' },
    wrong: [['reason', { reason: [] }]],
  },
  ...interfaceSamples,
  ServiceAttached: {
    stream: `service-${serviceId}`,
    data: { node: 'node-1' },
    wrong: [['node', { node: 5 }]],
  },
  StateSet: {
    stream: 'state-app/config-1',
    data: { value: null, resolution, expiresAt: 'T', lock: { holder: 'ann', token: 1 } },
    wrong: [
      ['value', { value: undefined }],
      ['expiresAt', { expiresAt: 5 }],
      ['lock', { lock: 'ann' }],
      ['lock', { lock: { holder: 'ann', token: '1' } }],
      ['resolution', { resolution: 'lww' }],
      ['resolution', { resolution: { ...resolution, resolver: 1 } }],
      ['resolution', { resolution: { ...resolution, base: undefined } }],
    ],
  },
  StateDeleted: { stream: 'state-app', data: { reason: 'expired' }, wrong: [['reason', { reason: 1 }]] },
  MessagePublished: {
    stream: `topic-${topic}`,
    data: { ...message, key: 'k', headers: { a: 'b' }, deliverAt: 'T', expiresAt: 'T' },
    wrong: [
      ['messageId', { messageId: 1 }],
      ['topic', { topic: 'orders.us.created' }],
      ['topic', { topic: 'created' }],
      ['payload', { payload: undefined }],
      ['priority', { priority: 'URGENT' }],
      ['key', { key: 1 }],
      ['headers', { headers: { a: 1 } }],
      ['headers', { headers: ['a'] }],
      ['deliverAt', { deliverAt: 1 }],
      ['expiresAt', { expiresAt: null }],
    ],
  },
  SubscriptionCreated: {
    stream: 'subscription-billing',
    data: subscription,
    wrong: [
      ['topic', { topic: undefined }],
      ['ackWaitMs', { ackWaitMs: '30000' }],
      ['maxDeliver', { maxDeliver: 1.5 }],
      ['backoffMs', { backoffMs: 1_000 }],
      ['backoffMs', { backoffMs: [-1] }],
      ['maxInFlight', { maxInFlight: null }],
      ['order', { order: 'topic' }],
      ['name', { name: 1 }],
      ['from', { from: undefined }],
    ],
  },
  SubscriptionUpdated: {
    stream: 'subscription-billing',
    data: { changes: { maxDeliver: 3 }, owner: { node: 'n', epoch: 'e' } },
    wrong: [
      ['changes', { changes: undefined }],
      ['changes', { changes: [] }],
      ['changes/order', { changes: { order: 'topic' } }],
      ['owner', { owner: 'n' }],
      ['owner', { owner: { node: 'n' } }],
    ],
  },
  SubscriptionPaused: {
    stream: 'subscription-billing',
    data: { reason: 'release' },
    wrong: [['reason', { reason: undefined }]],
  },
  SubscriptionResumed: {
    stream: 'subscription-billing',
    data: { reason: 'released' },
    wrong: [['reason', { reason: 1 }]],
  },
  SubscriptionReset: {
    stream: 'subscription-billing',
    data: { to: positionAt(1) },
    wrong: [['to', { to: null }]],
  },
  SubscriptionDeleted: {
    stream: 'subscription-billing',
    data: { reason: 'unused' },
    wrong: [['reason', { reason: {} }]],
  },
  SubscriptionCheckpointed: {
    stream: 'checkpoint-billing',
    data: { created: 0, owner: null, state: {} },
    wrong: [
      ['created', { created: -1 }],
      ['owner', { owner: undefined }],
      ['owner', { owner: { epoch: 'e' } }],
      ['state', { state: undefined }],
    ],
  },
  MessageDeadLettered: {
    stream: 'subscription-billing',
    data: letter,
    wrong: [
      ['messageId', { messageId: 1 }],
      ['position', { position: undefined }],
      ['attempts', { attempts: -1 }],
      ['error', { error: null }],
      ['errors', { errors: undefined }],
      ['errors', { errors: [{ at: 'T' }] }],
      ['redrives', { redrives: 0.5 }],
      ['replaces', { replaces: false }],
      ['message', { message: undefined }],
      ['message', { message: { ...letter.message, payload: undefined } }],
      ['message', { message: { ...letter.message, priority: 'URGENT' } }],
      ['message', { message: { ...letter.message, key: 1 } }],
      ['message', { message: { ...letter.message, headers: { a: 1 } } }],
    ],
  },
  DeadLettersRedriven: {
    stream: 'subscription-billing',
    data: { ...removal, payload: null },
    wrong: [
      ['letters', { letters: undefined }],
      ['letters', { letters: [{ messageId: 'm', position: 'p' }] }],
      ['through', { through: 1 }],
    ],
  },
  DeadLettersDiscarded: {
    stream: 'subscription-billing',
    data: removal,
    wrong: [
      ['letters', { letters: ['m'] }],
      ['through', { through: undefined }],
    ],
  },
  ReplayRequested: {
    stream: 'subscription-billing',
    data: { replayId: 'r', topic: 'orders.>', from: positionAt(1), to: positionAt(9), speed: 0.5 },
    wrong: [
      ['replayId', { replayId: undefined }],
      ['topic', { topic: 1 }],
      ['from', { from: null }],
      ['to', { to: undefined }],
      ['speed', { speed: Number.NaN }],
      ['speed', { speed: '1' }],
    ],
  },
  LeaseTaken: {
    stream: 'node-n1',
    data: { epoch: 'e1', ttlMs: 3_000, url: null },
    wrong: [
      ['epoch', { epoch: 1 }],
      ['ttlMs', { ttlMs: '3' }],
      ['url', { url: undefined }],
    ],
  },
  LeaseReleased: {
    stream: 'node-n1',
    data: { epoch: 'e1', by: 'n2', reason: 'stopped' },
    wrong: [
      ['epoch', { epoch: null }],
      ['by', { by: 1 }],
      ['reason', { reason: undefined }],
    ],
  },
  RetentionSet: {
    stream: 'nexus-retention',
    data: { topic: 'orders.>', maxAgeSec: 60, maxMessages: null, maxBytes: 1_000 },
    wrong: [
      ['topic', { topic: 1 }],
      ['maxAgeSec', { maxAgeSec: undefined }],
      ['maxMessages', { maxMessages: 0 }],
      ['maxBytes', { maxBytes: 1.5 }],
    ],
  },
  RetentionRemoved: {
    stream: 'nexus-retention',
    data: { topic: 'orders.>' },
    wrong: [['topic', { topic: undefined }]],
  },
  ...trimSamples,
  ...statePolicySamples,
  ...pluginSamples,
  ...auditSamples,
  ReplaysStopped: {
    stream: 'subscription-billing',
    data: { replays: [{ replayId: 'r', request: 4 }] },
    wrong: [
      ['replays', { replays: undefined }],
      ['replays', { replays: [{ replayId: 'r' }] }],
      ['replays', { replays: [{ request: 4 }] }],
    ],
  },
  LogCreated: { stream: 'nexus-log', data: { logId: 'l' }, wrong: [['logId', { logId: 1 }]] },
};

for (const [type, { stream, data, wrong }] of Object.entries(samples)) {
  test(`${type} › is handed on as it stands in the log`, (t) => {
    const event = logged(stream, { type, data });
    const result = decodeEvent(event);
    t.true(result.ok && result.known);
    t.true(result.ok && Object.is(result.event, event));
  });
  for (const [fault, change] of wrong) {
    test(`${type} › with ${JSON.stringify(change)} is refused and names ${fault}`, (t) => {
      const result = decodeEvent(logged(stream, { type, data: { ...data, ...change } }));
      t.regex(result.ok ? '' : result.reason, new RegExp(`${type} .*data/${fault} has the wrong shape$`));
    });
  }
  test(`${type} › in a stream of another category is refused`, (t) => {
    for (const other of ['absent-x', stream.replace('-', 'x-'), stream.slice(0, stream.indexOf('-'))])
      t.false(decodeEvent(logged(other, { type, data })).ok);
  });
  test(`${type} › whose data is no object, or whose schema is newer, is refused`, (t) => {
    const event = logged(stream, { type, data });
    for (const bad of [null, undefined, 'text', 5, [data]]) t.false(decodeEvent({ ...event, data: bad }).ok);
    for (const schema of [2, 0, 1.5, Number.NaN])
      t.false(decodeEvent({ ...event, metadata: { ...event.metadata, schema } }).ok);
  });
}

for (const type of ['SubscriptionRenamed', 'constructor', 'toString', '__proto__', '']) {
  test(`a type that is not known is no fault, and is handed on: ${JSON.stringify(type)}`, (t) => {
    const event = logged('subscription-billing', { type, data: null });
    t.deepEqual(decodeEvent(event), { ok: true, known: false, event });
  });
}

test('every event that the domain makes can be decoded', (t) => {
  const cases = fc.oneof(
    anyServiceEvent.map((event) => logged(`service-${serviceId}`, event)),
    anyStateEvent.map((event) => logged('state-key', event)),
    anyMessageEvent.map((event) => logged(`topic-${topic}`, event)),
    anySubscriptionEvent.map((event) => logged('subscription-billing', event)),
    anyRetentionEvent.map((event) => logged('nexus-retention', event)),
    anyStatePolicyEvent.map((event) => logged('nexus-state-policies', event)),
  );
  const property = fc.property(cases, (event) => t.true(decodeEvent(event).ok));
  t.notThrows(() => fc.assert(property, seeded));
});

test('no data of a known type makes the decoder throw', (t) => {
  const type = fc.constantFrom(...Object.keys(samples));
  const property = fc.property(type, fc.anything(), (name, data) => {
    const sample = Object.entries(samples).find(([known]) => known === name);
    t.notThrows(() => decodeEvent(logged(sample?.[1].stream ?? '', { type: name, data })));
  });
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 1_000 }));
});

test('an old schema is upcast step by step into a copy, and the log’s event is left alone', (t) => {
  const decode = createDecoder({
    Renamed: {
      category: 'state',
      fault: (data) => (typeof data.total === 'number' ? undefined : 'total'),
      upcasts: [({ n }) => ({ count: n }), ({ count }) => ({ total: count })],
    },
  });
  const first = logged('state-k', { type: 'Renamed', data: { n: 3 } });
  const at = (schema: number, data: unknown): LogEvent => ({
    ...first,
    data,
    metadata: { ...first.metadata, schema },
  });
  const dataOf = (event: LogEvent): unknown => {
    const result = decode(event);
    return result.ok ? result.event.data : result.reason;
  };
  t.deepEqual(dataOf(at(1, { n: 3 })), { total: 3 });
  t.deepEqual(dataOf(at(2, { count: 3 })), { total: 3 });
  t.deepEqual(dataOf(at(3, { total: 3 })), { total: 3 });
  t.regex(String(dataOf(at(4, { total: 3 }))), /schema is 4, and this version reads 1 to 3/);
  t.regex(String(dataOf(at(2, { n: 3 }))), /data\/total/);
  t.deepEqual(first.data, { n: 3 });
});

test('what is written today is of a schema that is read today', (t) => {
  const { stream, data } = samples.StateSet;
  const event = logged(stream, { type: 'StateSet', data });
  t.true(decodeEvent({ ...event, metadata: { ...event.metadata, schema: schemaOf('StateSet') } }).ok);
});
