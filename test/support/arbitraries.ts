import fc from 'fast-check';
import type { Json } from '../../domain/event.ts';
import type { InterfaceCommand, InterfaceEvent } from '../../domain/interface/interface.ts';
import { type MessageEvent, priorities } from '../../domain/message/message.ts';
import type {
  RetentionCommand,
  RetentionEvent,
  TopicTrimmedEvent,
} from '../../domain/retention/retention.ts';
import { defaultPolicy } from '../../domain/service/policy.ts';
import {
  type ServiceCommand,
  type ServiceEvent,
  type ServiceFields,
  serviceStatuses,
  statusCauses,
} from '../../domain/service/service.ts';
import { type By, by } from './given.ts';

/** What every property runs with: a fixed seed, so that a failure is the same failure everywhere. */
export const seeded = { seed: 20_260_101, numRuns: 300 };

/** JSON as it comes back from the log: no -0, no undefined, no NaN. */
export const anyJson: fc.Arbitrary<Json> = fc.json({ maxDepth: 4 }).map((text): Json => JSON.parse(text));

export const anyActor = fc.constantFrom('ann', 'bob', 'system');
const texts = fc.array(fc.constantFrom('search', 'store', 'plan'), { maxLength: 3 });

export const anyFields: fc.Arbitrary<ServiceFields> = fc.record({
  name: fc.constantFrom('memory', 'scraper'),
  version: fc.constantFrom('1.0.0', '2.1.0'),
  host: fc.constantFrom('127.0.0.1', 'localhost'),
  port: fc.integer({ min: 1, max: 65_535 }),
  protocol: fc.constantFrom('http', 'https'),
  capabilities: texts,
  healthCheckUrl: fc.constantFrom(null, 'http://127.0.0.1/health'),
  ttlSec: fc.constantFrom(null, 30),
  weight: fc.integer({ min: 1, max: 1_000 }),
  tags: texts,
  metadata: fc.dictionary(fc.string({ maxLength: 4 }), anyJson, { maxKeys: 3 }),
  healthCheck: fc.constantFrom(defaultPolicy.healthCheck, { ...defaultPolicy.healthCheck, graceMs: 0 }),
  removeAfterSec: fc.constantFrom(null, 60, defaultPolicy.removeAfterSec),
  balancing: fc.constantFrom(defaultPolicy.balancing, { ...defaultPolicy.balancing, strategy: 'random' }),
  methods: fc.constantFrom({}, { add: { idempotent: true } }),
  reach: fc.constantFrom('direct', 'socket'),
});

const anyChanges: fc.Arbitrary<Partial<ServiceFields>> = anyFields.chain((fields) =>
  fc.subarray(Object.entries(fields)).map((entries): Partial<ServiceFields> => Object.fromEntries(entries)),
);
const anyStatus = fc.constantFrom(...serviceStatuses);
const reason = fc.constantFrom('probe failed', 'operator');
const cause = fc.constantFrom(...statusCauses);
const until = fc.constantFrom('2030-01-01T00:00:00.000Z', '2030-01-01T00:00:09.000Z');

export const serviceId = 'memory-1';

export const anyServiceCommand: fc.Arbitrary<ServiceCommand> = fc
  .record({ subject: anyActor, admin: fc.boolean() })
  .chain((actor) =>
    fc.oneof(
      anyFields.map((fields): ServiceCommand => ({ type: 'RegisterService', id: serviceId, fields, actor })),
      anyChanges.map((changes): ServiceCommand => ({ type: 'UpdateService', changes, actor })),
      fc.tuple(anyStatus, reason, cause).map(
        ([to, why, what]): ServiceCommand => ({
          type: 'ChangeServiceStatus',
          to,
          reason: why,
          cause: what,
          actor,
        }),
      ),
      reason.map((why): ServiceCommand => ({ type: 'DeregisterService', reason: why, actor })),
      fc
        .tuple(reason, until)
        .map(([why, to]): ServiceCommand => ({ type: 'OpenCircuit', reason: why, until: to, actor })),
      reason.map((why): ServiceCommand => ({ type: 'CloseCircuit', reason: why, actor })),
      reason.map((node): ServiceCommand => ({ type: 'AttachService', node, actor })),
    ),
  );

/** Any events in any order, such as a truncated stream may hold, not only what the decider would record. */
export const anyServiceEvent: fc.Arbitrary<ServiceEvent> = fc.oneof(
  fc.tuple(anyFields, anyStatus).map(
    ([fields, status]): ServiceEvent => ({
      type: 'ServiceRegistered',
      data: { ...fields, id: serviceId, status, reason: 'registered' },
    }),
  ),
  anyChanges.map((changes): ServiceEvent => ({ type: 'ServiceUpdated', data: { changes } })),
  fc
    .tuple(anyStatus, anyStatus, reason)
    .map(
      ([from, to, why]): ServiceEvent => ({ type: 'ServiceStatusChanged', data: { from, to, reason: why } }),
    ),
  fc
    .tuple(fc.constantFrom('ServiceDeregistered', 'CircuitClosed'), reason)
    .map(([type, why]): ServiceEvent => ({ type, data: { reason: why } })),
  fc
    .tuple(reason, until)
    .map(([why, to]): ServiceEvent => ({ type: 'CircuitOpened', data: { reason: why, until: to } })),
  reason.map((node): ServiceEvent => ({ type: 'ServiceAttached', data: { node } })),
);

const anyMajor = fc.constantFrom('1', '2', '0.1');
const anyMethods = fc.constantFrom(
  {},
  { add: {} },
  { add: { input: { type: 'string' } } },
  { add: { idempotent: true }, sub: { output: { type: 'number' } } },
);

export const anyInterfaceCommand: fc.Arbitrary<InterfaceCommand> = fc.oneof(
  fc
    .tuple(fc.constantFrom('1.0.0', '1.1.0-rc.1', '2.0.0', '0.1.7', 'no version'), anyMethods)
    .map(([version, methods]): InterfaceCommand => ({ type: 'DeclareInterface', version, methods })),
  fc
    .tuple(anyMajor, reason)
    .map(([major, why]): InterfaceCommand => ({ type: 'RetireInterface', major, reason: why })),
);

export const anyInterfaceEvent: fc.Arbitrary<InterfaceEvent> = fc.oneof(
  fc.tuple(anyMajor, fc.constantFrom('1.0.0', 'unreadable')).map(
    ([major, version]): InterfaceEvent => ({
      type: 'InterfaceDeclared',
      data: { major, version, methods: { add: {} } },
    }),
  ),
  fc
    .tuple(anyMajor, reason)
    .map(([major, why]): InterfaceEvent => ({ type: 'InterfaceRetired', data: { major, reason: why } })),
);

export const topic = 'orders.eu.created';

export const anyMessageEvent: fc.Arbitrary<MessageEvent> = fc
  .record(
    {
      messageId: fc.uuid(),
      payload: anyJson,
      priority: fc.constantFrom(...priorities),
      key: fc.string({ minLength: 1, maxLength: 8 }),
      headers: fc.dictionary(fc.string({ minLength: 1, maxLength: 4 }), fc.string({ maxLength: 8 })),
    },
    { requiredKeys: ['messageId', 'payload', 'priority'] },
  )
  .map((data): MessageEvent => ({ type: 'MessagePublished', data: { ...data, topic } }));

const anyLimit = fc.option(fc.integer({ min: 1, max: 3 }), { nil: null });
const anyPolicy = fc.record({
  topic: fc.constantFrom('orders.>', 'orders.*', 'a', '__proto__'),
  maxAgeSec: anyLimit,
  maxMessages: anyLimit,
  maxBytes: anyLimit,
});

export const anyRetentionCommand: fc.Arbitrary<RetentionCommand> = fc
  .tuple(anyPolicy, fc.boolean())
  .map(
    ([policy, set]): RetentionCommand =>
      set ? { type: 'SetRetention', ...policy } : { type: 'RemoveRetention', topic: policy.topic },
  );

export const anyRetentionEvent: fc.Arbitrary<RetentionEvent> = fc
  .tuple(anyPolicy, fc.boolean())
  .map(
    ([policy, set]): RetentionEvent =>
      set
        ? { type: 'RetentionSet', data: policy }
        : { type: 'RetentionRemoved', data: { topic: policy.topic } },
  );

export const anyTrimEvent: fc.Arbitrary<TopicTrimmedEvent> = fc
  .integer({ min: 1, max: 1_000 })
  .map((before) => ({
    type: 'TopicTrimmed',
    data: { topic, before, position: before.toString(16).padStart(16, '0') },
  }));

export const historyOf = <Event>(event: fc.Arbitrary<Event>): fc.Arbitrary<readonly By<Event>[]> =>
  fc.array(
    fc.tuple(anyActor, event).map(([actor, one]) => by(actor, one)),
    { maxLength: 12 },
  );
