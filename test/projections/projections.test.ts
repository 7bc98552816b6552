import test from 'ava';
import fc from 'fast-check';
import { categories, type DomainEvent, type LogEvent, streamId } from '../../domain/event.ts';
import { messageDecider } from '../../domain/message/decider.ts';
import { retentionDecider } from '../../domain/retention/decider.ts';
import { serviceDecider } from '../../domain/service/decider.ts';
import { defaultPolicy } from '../../domain/service/policy.ts';
import { stateDecider } from '../../domain/state/decider.ts';
import { subscriptionDecider } from '../../domain/subscription/decider.ts';
import type {
  RetentionDocument,
  ServiceDocument,
  StateDocument,
  SubscriptionDocument,
  TopicDocument,
  TrimDocument,
} from '../../projections/documents.ts';
import {
  type AnyDocument,
  type AnyProjection,
  foldEvent,
  keysOf,
  projections,
} from '../../projections/index.ts';
import { interfaces } from '../../projections/interfaces.ts';
import { restoreRetention, retention, retentionKey, retentionStream } from '../../projections/retention.ts';
import { restoreService, services } from '../../projections/services.ts';
import { restoreState, state } from '../../projections/state.ts';
import { statePolicies, statePoliciesKey, statePoliciesStream } from '../../projections/state-policies.ts';
import { restoreSubscription, subscriptions } from '../../projections/subscriptions.ts';
import { topics } from '../../projections/topics.ts';
import { trims } from '../../projections/trims.ts';
import {
  anyInterfaceEvent,
  anyMessageEvent,
  anyRetentionEvent,
  anyServiceEvent,
  anyTrimEvent,
  historyOf,
  seeded,
  serviceId,
  topic,
} from '../support/arbitraries.ts';
import { foldLog, foldStep } from '../support/fold-log.ts';
import { type By, by, foldAll } from '../support/given.ts';
import { decoded, positionAt, record } from '../support/recorded.ts';
import { anyStateEvent } from '../support/state-arbitraries.ts';
import { anyStatePolicyEvent } from '../support/state-policy-arbitraries.ts';
import { anySubscriptionEvent, subscriptionName } from '../support/subscription-arbitraries.ts';

/** The fold of each kind, with the document's own type: the tests know which projection they ask. */
const serviceAfter = (events: readonly LogEvent[]) =>
  foldLog(services, events) as ServiceDocument | undefined;
const stateAfter = (events: readonly LogEvent[]) => foldLog(state, events) as StateDocument | undefined;
const retentionAfter = (events: readonly LogEvent[]) =>
  foldLog(retention, events) as RetentionDocument | undefined;
const topicAfter = (events: readonly LogEvent[]) => foldLog(topics, events) as TopicDocument | undefined;
const subscriptionAfter = (...history: readonly By<DomainEvent>[]) =>
  foldLog(subscriptions, record(subscriptionStream, history)) as SubscriptionDocument | undefined;

const fields = {
  name: 'memory',
  version: '1.0.0',
  host: '127.0.0.1',
  port: 4000,
  protocol: 'http',
  capabilities: ['store'],
  healthCheckUrl: null,
  ttlSec: 30,
  weight: 1,
  tags: [],
  metadata: {},
} as const;
const registered = by('ann', {
  type: 'ServiceRegistered',
  data: { ...fields, id: serviceId, status: 'starting', reason: 'registered' },
});
const healthy = by('system', {
  type: 'ServiceStatusChanged',
  data: { from: 'starting', to: 'healthy', reason: 'heartbeat' },
});
const moved = by('ann', { type: 'ServiceUpdated', data: { changes: { port: 4001, ttlSec: null } } });
const until = '2026-01-01T00:01:00.000Z';
const opened = by('system', { type: 'CircuitOpened', data: { reason: '5 failures', until } });
const closed = by('system', { type: 'CircuitClosed', data: { reason: 'answered' } });
const fell = by('system', {
  type: 'ServiceStatusChanged',
  data: { from: 'healthy', to: 'offline', reason: 'silent', cause: 'ttl' },
});
const gone = by('ann', { type: 'ServiceDeregistered', data: { reason: 'bye' } });
const at = (second: number): string => `2026-01-01T00:00:0${second}.000Z`;
const serviceStream = streamId('service', serviceId);
const subscriptionStream = streamId('subscription', subscriptionName);

test('services › a registration makes the document', (t) => {
  t.deepEqual(serviceAfter(record(serviceStream, [registered])), {
    ...fields,
    ...defaultPolicy,
    id: serviceId,
    owner: 'ann',
    status: 'starting',
    statusReason: 'registered',
    statusCause: 'registration',
    falls: [],
    circuit: null,
    servedBy: null,
    statusSince: at(0),
    registeredAt: at(0),
    updatedAt: at(0),
    deregistered: false,
    fieldsAt: positionAt(1),
    revision: 0,
    position: positionAt(1),
  });
});

test('services › changes of status and fields are taken over, with their times', (t) => {
  t.like(serviceAfter(record(serviceStream, [registered, healthy, moved])), {
    port: 4001,
    ttlSec: null,
    host: fields.host,
    status: 'healthy',
    statusReason: 'heartbeat',
    statusSince: at(1),
    registeredAt: at(0),
    updatedAt: at(2),
    fieldsAt: positionAt(3),
    owner: 'ann',
    revision: 2,
    position: positionAt(3),
  });
});

test('services › an open circuit stands in the document with its end, until it is closed', (t) => {
  const [first, second] = [
    serviceAfter(record(serviceStream, [registered, opened])),
    serviceAfter(record(serviceStream, [registered, opened, opened])),
  ];
  t.deepEqual(first?.circuit, { reason: '5 failures', since: at(1), until, openings: 1 });
  t.deepEqual(second?.circuit, { reason: '5 failures', since: at(1), until, openings: 2 });
  t.is(serviceAfter(record(serviceStream, [registered, opened, closed]))?.circuit, null);
});

test('services › falls from a fit status are remembered, the newest first, 8 at most', (t) => {
  t.deepEqual(serviceAfter(record(serviceStream, [registered, healthy, fell, healthy, fell]))?.falls, [
    at(4),
    at(2),
  ]);
  const often = Array.from({ length: 9 }, () => [fell, healthy]).flat();
  t.is(serviceAfter(record(serviceStream, [registered, ...often]))?.falls.length, 8);
});

test('services › a deregistered instance stays as a document, and a new registration begins anew', (t) => {
  const ended = serviceAfter(record(serviceStream, [registered, healthy, gone]));
  t.like(ended, { deregistered: true, status: 'healthy', updatedAt: at(2), revision: 2 });
  const again = serviceAfter(record(serviceStream, [registered, gone, registered]));
  t.like(again, { deregistered: false, status: 'starting', registeredAt: at(2), revision: 2 });
});

test('services › what comes behind the end of a registration only moves the document', (t) => {
  const ended = serviceAfter(record(serviceStream, [registered, gone]));
  const later = serviceAfter(record(serviceStream, [registered, gone, moved, healthy]));
  t.deepEqual(later, ended && { ...ended, revision: later?.revision, position: positionAt(4) });
});

test('services › without its registration, which retention took, there is no document', (t) => {
  t.is(serviceAfter(record(serviceStream, [registered, healthy, moved]).slice(1)), undefined);
});

test('state › each event is a version, deletions too', (t) => {
  const put = (value: number) => by('ann', { type: 'StateSet', data: { value } });
  const removed = by('bob', { type: 'StateDeleted', data: {} });
  const events = record('state-app/x', [put(1), put(2), removed, put(4)]);
  t.deepEqual(stateAfter(events.slice(0, 3)), {
    value: null,
    version: 3,
    deleted: true,
    updatedAt: at(2),
    updatedBy: 'bob',
    eventId: events[2]?.id,
    position: positionAt(3),
  });
  t.like(stateAfter(events), { value: 4, version: 4, deleted: false, updatedBy: 'ann' });
});

test('topics › messages are counted, those that retention took too', (t) => {
  const message = by('ann', {
    type: 'MessagePublished',
    data: { messageId: 'm', topic, payload: 1, priority: 'LOW' },
  });
  const events = record(streamId('topic', topic), [message, message, message]);
  t.deepEqual(topicAfter(events), {
    topic,
    messages: 3,
    firstAt: at(0),
    lastAt: at(2),
    revision: events[2]?.revision,
    position: positionAt(3),
  });
  t.like(topicAfter(events.slice(2)), { messages: 3, firstAt: at(2) });
});

type Kind = {
  readonly projection: AnyProjection;
  readonly stream: string;
  readonly history: fc.Arbitrary<readonly By<DomainEvent>[]>;
  readonly key: string;
};
const kinds: readonly Kind[] = [
  { projection: services, stream: serviceStream, history: historyOf(anyServiceEvent), key: serviceId },
  {
    projection: interfaces,
    stream: 'interface-math',
    history: historyOf(anyInterfaceEvent),
    key: 'math',
  },
  { projection: state, stream: 'state-app/a-b', history: historyOf(anyStateEvent), key: 'app/a-b' },
  { projection: topics, stream: `topic-${topic}`, history: historyOf(anyMessageEvent), key: topic },
  {
    projection: subscriptions,
    stream: subscriptionStream,
    history: historyOf(anySubscriptionEvent),
    key: subscriptionName,
  },
  { projection: trims, stream: `trim-${topic}`, history: historyOf(anyTrimEvent), key: topic },
  {
    projection: retention,
    stream: retentionStream,
    history: historyOf(anyRetentionEvent),
    key: retentionKey,
  },
  {
    projection: statePolicies,
    stream: statePoliciesStream,
    history: historyOf(anyStatePolicyEvent),
    key: statePoliciesKey,
  },
];

for (const { projection, stream, history, key } of kinds) {
  const { name } = projection;

  test(`${name} › the same events twice change nothing`, (t) => {
    const property = fc.property(history, fc.nat({ max: 12 }), (steps, again) => {
      const events = record(stream, steps);
      const once = foldLog(projection, events);
      t.deepEqual(foldLog(projection, events, once), once);
      const overlapping = [...events.slice(0, again), ...events];
      t.deepEqual(foldLog(projection, overlapping), once);
    });
    t.notThrows(() => fc.assert(property, seeded));
  });

  test(`${name} › an event that is folded in already leaves the document alone`, (t) => {
    const property = fc.property(history, (steps) => {
      const events = record(stream, steps);
      const document = foldLog(projection, events);
      if (document === undefined) return;
      for (const event of events)
        t.deepEqual(foldEvent(projection, document, decoded(event), key), { ok: true, document: undefined });
    });
    t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 50 }));
  });

  test(`${name} › going on from a stored document equals a rebuild`, (t) => {
    const property = fc.property(history, fc.nat({ max: 12 }), (steps, stopped) => {
      const events = record(stream, steps);
      const stored = foldLog(projection, events.slice(0, stopped));
      const copy: AnyDocument | undefined = stored && structuredClone(stored);
      t.deepEqual(foldLog(projection, events.slice(stopped), copy), foldLog(projection, events));
    });
    t.notThrows(() => fc.assert(property, seeded));
  });

  test(`${name} › a fold mutates neither document nor event`, (t) => {
    const property = fc.property(history, (steps) => {
      const events = record(stream, steps);
      const before = JSON.stringify(events);
      let document: AnyDocument | undefined;
      for (const event of events) {
        const text = JSON.stringify(document);
        const next = foldStep(projection, document, event);
        t.is(JSON.stringify(document), text);
        document = next;
      }
      t.is(JSON.stringify(events), before);
    });
    t.notThrows(() => fc.assert(property, seeded));
  });

  test(`${name} › the key is what stands behind the category`, (t) => {
    const property = fc.property(history, (steps) => {
      for (const event of record(stream, steps)) t.deepEqual(keysOf(projection, decoded(event)), [key]);
    });
    t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 50 }));
  });

  test(`${name} › an event of another category is refused as a value that names it`, (t) => {
    const foreign =
      name === 'services'
        ? record('state-k', [by('ann', { type: 'StateDeleted', data: {} })])
        : record(serviceStream, [opened]);
    for (const event of foreign) {
      const folded = foldEvent(projection, undefined, decoded(event), key);
      t.regex(folded.ok ? '' : folded.reason, new RegExp(`${name} has no place for ${event.type}`));
    }
  });
}

test('restoring a service from its document equals folding its events', (t) => {
  const property = fc.property(historyOf(anyServiceEvent), (history) => {
    const document = serviceAfter(record(serviceStream, history));
    const restored = document === undefined ? serviceDecider.initial : restoreService(document);
    t.deepEqual(restored, foldAll(serviceDecider, history));
    if (document !== undefined) t.is(Number(document.revision), history.length - 1);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('restoring a state key from its document equals folding its events', (t) => {
  const property = fc.property(historyOf(anyStateEvent), (history) => {
    const document = stateAfter(record('state-k', history));
    const restored = document === undefined ? stateDecider.initial : restoreState(document);
    t.deepEqual(restored, foldAll(stateDecider, history));
    if (document !== undefined) t.is(document.version, history.length);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('restoring a subscription from its document equals folding its events', (t) => {
  const property = fc.property(historyOf(anySubscriptionEvent), (history) => {
    const document = subscriptionAfter(...history);
    const restored = document === undefined ? subscriptionDecider.initial : restoreSubscription(document);
    t.deepEqual(restored, foldAll(subscriptionDecider, history));
    if (document !== undefined) t.is(Number(document.revision), history.length - 1);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('trims › the document tells the newest removal', (t) => {
  const events = record(
    `trim-${topic}`,
    [3, 7].map((before) =>
      by('system', { type: 'TopicTrimmed', data: { topic, before, position: positionAt(before + 100) } }),
    ),
  );
  t.deepEqual(foldLog(trims, events) as TrimDocument | undefined, {
    before: 7,
    removedTo: positionAt(107),
    position: positionAt(2),
  });
});

test('restoring the policies from their document equals folding their events', (t) => {
  const property = fc.property(historyOf(anyRetentionEvent), (history) => {
    const document = retentionAfter(record(retentionStream, history));
    const restored = document === undefined ? retentionDecider.initial : restoreRetention(document);
    t.deepEqual(restored, foldAll(retentionDecider, history));
    if (document !== undefined) t.is(Number(document.revision), history.length - 1);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('the policies leave the identity of the log, which is of their category, alone', (t) => {
  const events = record('nexus-log', [by('system', { type: 'LogCreated', data: { logId: 'l' } })]);
  t.is(retentionAfter(events), undefined);
});

test('a topic’s document counts what its decider counts', (t) => {
  const property = fc.property(historyOf(anyMessageEvent), (history) => {
    const document = topicAfter(record(`topic-${topic}`, history));
    t.is(document?.messages ?? 0, foldAll(messageDecider, history).messages);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('each read model has its own name, and a category that exists', (t) => {
  t.is(new Set(projections.map(({ name }) => name)).size, projections.length);
  for (const { category } of projections) t.true(categories.includes(category));
  t.deepEqual(
    projections.filter(({ keepsHistory }) => keepsHistory).map(({ name }) => name),
    ['services', 'state'],
  );
});
