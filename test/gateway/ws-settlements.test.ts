import test from 'ava';
import fc from 'fast-check';
import type { Json } from '../../domain/event.ts';
import { settleSchema } from '../../src/command/subscription-schemas.ts';
import { problem } from '../../src/errors.ts';
import { createHeld, openConsumer } from '../../src/gateway/ws/consumer.ts';
import { parseFrame, type SettleFrame } from '../../src/gateway/ws/frame.ts';
import { createSettlements } from '../../src/gateway/ws/settlements.ts';
import type { Settlement } from '../../src/nexus-subscriptions.ts';
import { seeded } from '../support/arbitraries.ts';
import { makeGroup } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { until } from '../support/rest.ts';

const hub = await openHub();
test.after.always(() => hub.close());

const subject = { id: 'local', scopes: ['admin'] };
const context = { subject, correlationId: 'c' };

/** One consumer that holds `count` deliveries of a group of its own, and what settles them. */
const holding = async (count: number, max = 1_000) => {
  const group = await makeGroup(hub.url);
  await group.publish(...Array.from({ length: count }, (_, index) => index));
  const { signal } = new AbortController();
  const selector = { kind: 'group', group: group.name, max: 1_000 } as const;
  const opened = await openConsumer(hub.core, selector, signal, context);
  if (!opened.ok) throw new Error(opened.problem.detail);
  const consumer = opened.value;
  const batches = consumer.consumption.deliveries[Symbol.asyncIterator]();
  const deliveries: string[] = [];
  while (deliveries.length < count) {
    const batch = await batches.next();
    if (batch.done === true) throw new Error('the consumption ended');
    deliveries.push(...batch.value.map(({ delivery }) => delivery));
  }
  for (const delivery of deliveries) consumer.held.add(delivery);
  const calls: string[] = [];
  const sent: unknown[] = [];
  const settlements = createSettlements({
    core: {
      settle: (how, ...input) => {
        calls.push(how);
        return hub.core.settle(how, ...input);
      },
    },
    outbox: {
      send: (text) => {
        sent.push(JSON.parse(text));
      },
      full: false,
      drained: () => Promise.resolve(),
    },
    tell: () => problem('internal', 'thrown'),
    subject: () => subject,
    take: (delivery, how) => (consumer.held.settle(delivery, how) ? consumer : undefined),
    max,
  });
  const settle = (how: Settlement, delivery: string, id?: string, more: Partial<SettleFrame> = {}) =>
    settlements.add(
      {
        type: 'settle',
        how,
        deliveries: [delivery],
        delayMs: undefined,
        reason: undefined,
        durable: false,
        ...more,
      },
      id,
    );
  return { group, deliveries, calls, sent, settlements, settle };
};

test('settling frames of one turn › are one call of the hub for each way of settling, and nothing is sent that nobody asked for', async (t) => {
  const { group, deliveries, calls, sent, settlements, settle } = await holding(60);
  for (const [index, delivery] of deliveries.entries()) {
    if (index % 3 === 0) settle('nak', delivery, undefined, { delayMs: 86_400_000 });
    else settle('ack', delivery, index === 1 ? 'asked' : undefined);
    if (index === 2) settle('extend', deliveries[5] ?? '');
  }
  t.deepEqual(calls, []);
  await settlements.idle();
  t.deepEqual([calls[0], ...calls.slice(1).sort()], ['extend', 'ack', 'nak']);
  t.deepEqual(sent, [{ type: 'done', id: 'asked' }]);
  t.like(await group.view(), { inFlight: 20, lagEvents: 20 });
  t.is(settlements.idle(), undefined);
});

test('deliveries under way › are bounded: beyond that there is no room until some are settled', async (t) => {
  const { deliveries, settlements, settle } = await holding(20, 10);
  for (const delivery of deliveries.slice(0, 9)) settle('ack', delivery);
  const idle = settlements.idle();
  t.is(settlements.room(), undefined);
  settle('ack', deliveries[9] ?? '');
  void settlements.idle();
  const room = settlements.room();
  t.not(room, undefined);
  await room;
  t.is(settlements.room(), undefined);
  await idle;
});

test('a durable settling › takes effect at once, and keeps no frame behind it waiting', async (t) => {
  const { deliveries, sent, settlements, settle } = await holding(2);
  settle('ack', deliveries[0] ?? '', 'durable', { durable: true });
  t.is(settlements.idle(), undefined);
  settle('ack', deliveries[1] ?? '', 'plain');
  await settlements.idle();
  t.deepEqual(sent, [{ type: 'done', id: 'plain' }]);
  await until(
    async () => sent.length,
    (count) => count === 2,
  );
  t.deepEqual(sent[1], { type: 'done', id: 'durable' });
});

test('a call that was refused as a whole › is told once without an id and to each with one, and can be tried again', async (t) => {
  const { group, deliveries, sent, settlements, settle } = await holding(3);
  await group.call('DELETE', '');
  const [first = '', second = '', third = ''] = deliveries;
  settle('ack', first);
  settle('ack', second);
  settle('ack', third, 'asked');
  await settlements.idle();
  t.like(sent, {
    length: 2,
    0: { type: 'error', code: 'not_found', deliveries: [first, second] },
    1: { type: 'error', id: 'asked', code: 'not_found', deliveries: [third] },
  });
  settle('ack', third, 'again');
  await settlements.idle();
  t.like(sent[2], { id: 'again', code: 'not_found' });
});

test('held › a delivery is settled once, extended as often as one likes, and the oldest go when twice too many stand there', (t) => {
  const held = createHeld(2);
  for (const delivery of ['a', 'b', 'c', 'd']) held.add(delivery);
  t.true(held.settle('a', 'extend'));
  held.add('e');
  t.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((delivery) => held.settle(delivery, 'ack')),
    [true, false, true, true, true],
  );
  t.false(held.settle('a', 'ack'));
  t.false(held.settle('a', 'extend'));
});

test('a settling frame › takes exactly what the body of POST /subscriptions/{name}/ack takes', (t) => {
  const anyList = fc.oneof(
    fc.array(
      fc.oneof(fc.string({ maxLength: 3 }), fc.constant('x'.repeat(128)), fc.constant('x'.repeat(129))),
      {
        maxLength: 3,
      },
    ),
    fc.constantFrom<Json[]>(
      [],
      Array.from({ length: 1_000 }, () => 'd'),
      Array.from({ length: 1_001 }, () => 'd'),
    ),
    fc.constantFrom<Json[]>([1], [null], [['d']]),
  );
  const anyBody = fc.record(
    {
      deliveries: anyList,
      delayMs: fc.constantFrom<Json[]>(0, 1, 86_400_000, 86_400_001, -1, 0.5, '1', null),
      reason: fc.constantFrom<Json[]>('r', '', 'x'.repeat(512), 'x'.repeat(513), 1, null),
      durable: fc.constantFrom<Json[]>(true, false, 'yes', null),
    },
    { requiredKeys: ['deliveries'] },
  );
  const property = fc.property(anyBody, fc.constantFrom('ack', 'nak', 'term', 'extend'), (body, type) => {
    const fits = settleSchema.safeParse(body).success && (body.delayMs === undefined || type === 'nak');
    t.is(parseFrame({ type, ...body }).frame.ok, fits);
  });
  t.notThrows(() => fc.assert(property, seeded));
});
