import { createHash, createHmac, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { topicMatches } from '../../../domain/names.ts';
import { createBatches } from '../../../plugins/audit-trail/batches.ts';
import {
  count,
  dayIn,
  type Entry,
  entryOf,
  none,
  recentIn,
  remember,
} from '../../../plugins/audit-trail/documents.ts';
import { createGuard } from '../../../plugins/schema-guard/guard.ts';
import { createTopicMap } from '../../../plugins/schema-guard/topics.ts';
import { createHighestWins, createUnionById } from '../../../plugins/state-resolver/resolvers.ts';
import { fromBase64, toBase64 } from '../../../plugins/webhook/bytes.ts';
import { deliveryOf, keyOf } from '../../../plugins/webhook/delivery.ts';
import { hmacSha256, sha256 } from '../../../plugins/webhook/hmac-sha256.ts';
import type { Json, PluginMessage } from '../../../src/plugin/plugin.ts';
import { seeded } from '../../support/arbitraries.ts';

/** What of the bundled plugins needs no hub. */

test('webhook › SHA-256, its HMAC and base64 are those of node:crypto, for every length', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 150 }), (data, key) => {
      t.is(toBase64(sha256(data)), createHash('sha256').update(data).digest('base64'));
      t.is(toBase64(hmacSha256(key, data)), createHmac('sha256', key).update(data).digest('base64'));
      t.deepEqual(fromBase64(toBase64(data)), data);
    }),
    seeded,
  );
  const large = randomBytes(300_000);
  t.is(toBase64(sha256(large)), createHash('sha256').update(large).digest('base64'));
});

test('webhook › what is no base64 is no secret', (t) => {
  for (const text of ['A', 'AAAAA', 'A*==', 'AA A']) t.is(fromBase64(text), undefined, text);
  t.throws(() => keyOf('whsec_*'), { message: /base64/ });
  t.deepEqual(keyOf('plain text'), new TextEncoder().encode('plain text'));
});

const message: PluginMessage = {
  messageId: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  topic: 'test',
  payload: 2432232314,
  priority: 'NORMAL',
  headers: {},
  publishedAt: '2026-01-01T00:00:00.000Z',
  publisher: 'ann',
  position: '00',
};

test('webhook › a delivery is signed as Standard Webhooks has it, once per key', (t) => {
  const raw = randomBytes(24);
  const keys = [keyOf(`whsec_${raw.toString('base64')}`), keyOf('the former one, a text')];
  const { headers, body } = deliveryOf(message, keys, 1_614_265_330_999);
  t.deepEqual(JSON.parse(body), { type: 'test', timestamp: message.publishedAt, data: message.payload });
  t.is(headers['webhook-id'], message.messageId);
  t.is(headers['webhook-timestamp'], '1614265330');
  const signed = `${message.messageId}.1614265330.${body}`;
  const signatures = [raw, 'the former one, a text'].map(
    (key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
  );
  t.is(headers['webhook-signature'], signatures.join(' '));
});

const highest = createHighestWins('/rank');

test('state-resolver › highest-wins takes the greater number, and what is there when they are equal', (t) => {
  const [low, high] = [
    { rank: 1, by: 'low' },
    { rank: 2, by: 'high' },
  ];
  t.deepEqual(highest({ current: low, incoming: high }), { value: high });
  t.deepEqual(highest({ current: high, incoming: low }), { value: high });
  t.deepEqual(highest({ current: { rank: 1, by: 'first' }, incoming: { rank: 1, by: 'second' } }), {
    value: { rank: 1, by: 'first' },
  });
  t.deepEqual(highest({ incoming: low }), { value: low });
  t.deepEqual(highest({ current: { rank: '1' }, incoming: low }), {
    refuse: 'the value that is there has no number at /rank',
  });
  t.deepEqual(createHighestWins('')({ current: 3, incoming: null }), {
    refuse: 'the new value has no number as a whole',
  });
  t.throws(() => createHighestWins('rank'), { message: /no JSON pointer/ });
});

const item = (id: number, text: string): Json => ({ id, text });
const union = (onClash: 'incoming' | 'current' | 'refuse') =>
  createUnionById({ items: '/list', id: 'id', onClash });
const listed = (...list: readonly Json[]): Json => ({ list });

test('state-resolver › union-by-id keeps what each side added, changed and removed', (t) => {
  const conflict = {
    base: listed(item(1, 'a'), item(2, 'b'), item(3, 'c')),
    // Adds 4, changes 1, removes 3.
    current: listed(item(1, 'A'), item(2, 'b'), item(4, 'd')),
    // Adds 5, changes 3 not, removes 2.
    incoming: listed(item(1, 'a'), item(3, 'c'), item(5, 'e')),
  };
  const settled = { value: listed(item(1, 'A'), item(4, 'd'), item(5, 'e')) };
  for (const onClash of ['incoming', 'current', 'refuse'] as const)
    t.deepEqual(union(onClash)(conflict), settled);
});

test('state-resolver › union-by-id settles what both changed as it is told', (t) => {
  const base = listed(item(1, 'a'), item(2, 'b'));
  const current = listed(item(1, 'A'), item(2, 'b'));
  const incoming = listed(item(1, 'Z'), item(2, 'b'));
  t.deepEqual(union('incoming')({ base, current, incoming }), { value: incoming });
  t.deepEqual(union('current')({ base, current, incoming }), { value: current });
  t.deepEqual(union('refuse')({ base, current, incoming }), {
    refuse: 'both sides changed the same items',
    conflicts: ['/list/0'],
  });
  // Without a base the same item with two values is a clash too, and one that is only there is kept.
  t.deepEqual(union('incoming')({ current: listed(item(1, 'A'), item(3, 'c')), incoming }), {
    value: listed(item(1, 'Z'), item(3, 'c'), item(2, 'b')),
  });
});

test('state-resolver › union-by-id refuses what is no list of objects with ids', (t) => {
  const good = listed(item(1, 'a'));
  for (const [incoming, reason] of [
    [{ list: 1 }, /no list/],
    [{}, /no list/],
    [listed('text'), /without "id", number 0/],
    [listed({ id: null }), /without "id", number 0/],
    [listed(item(1, 'a'), item(1, 'b')), /1 twice/],
  ] as const) {
    const answer = union('incoming')({ current: good, incoming });
    t.regex('refuse' in answer ? answer.refuse : '', reason);
  }
});

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 6 });
const anyItems = fc.tuple(ids, fc.array(fc.constantFrom('x', 'y'), { minLength: 6, maxLength: 6 }));
const listOf = ([own, texts]: readonly [readonly number[], readonly string[]]): Json =>
  own.map((id, index) => item(id, texts[index] ?? 'x'));

const sorted = (items: Json): readonly string[] =>
  (Array.isArray(items) ? items : ['no list']).map((one) => JSON.stringify(one)).sort();

test('state-resolver › of two sides of which one changed nothing, the other one’s items are the answer', (t) => {
  const resolve = createUnionById({ items: '', id: 'id', onClash: 'refuse' });
  fc.assert(
    fc.property(anyItems, anyItems, (before, after) => {
      const [base, changed] = [listOf(before), listOf(after)];
      for (const conflict of [
        { base, current: base, incoming: changed },
        { base, current: changed, incoming: base },
      ]) {
        const answer = resolve(conflict);
        t.deepEqual(sorted('value' in answer ? answer.value : null), sorted(changed));
      }
    }),
    seeded,
  );
});

test('schema-guard › a pattern matches a topic where the hub says so', (t) => {
  const part = fc.constantFrom('a', 'b', '*');
  const pattern = fc
    .tuple(fc.array(part, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([parts, open]) => [...parts, ...(open ? ['>'] : [])].join('.'));
  const topic = fc
    .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('.'));
  fc.assert(
    fc.property(pattern, topic, (own, given) => {
      const map = createTopicMap<true>();
      t.is(map.fault(own), undefined);
      map.set(own, true);
      t.is(map.matching(given).length === 1, topicMatches(own, given));
    }),
    seeded,
  );
});

test('schema-guard › names each fault by a pointer, and takes no schema that it could not hold', (t) => {
  const guard = createGuard();
  const schema = {
    $id: 'https://example.com/order',
    type: 'object',
    required: ['order', 'a/b'],
    properties: {
      order: { type: 'integer' },
      'a/b': true,
      lines: { type: 'array', items: { $ref: '#/$defs/line' } },
    },
    additionalProperties: false,
    $defs: { line: { type: 'object', required: ['sku'] } },
  };
  t.deepEqual(guard.put('orders.*', schema), { ok: true });
  t.deepEqual(guard.put('other.>', schema), { ok: true });
  t.is(guard.faults('stock.changed', {}), undefined);
  t.deepEqual(guard.faults('orders.created', { order: 1, 'a/b': 1, lines: [{ sku: 1 }] }), []);
  const faults = guard.faults('orders.created', { order: 'x', lines: [{}, { sku: 1 }], extra: 1 });
  t.deepEqual(faults?.map(({ schema: own, pointer, keyword }) => [own, pointer, keyword]).sort(), [
    ['orders.*', '/a~1b', 'required'],
    ['orders.*', '/extra', 'additionalProperties'],
    ['orders.*', '/lines/0/sku', 'required'],
    ['orders.*', '/order', 'type'],
  ]);
  const many = guard.faults('orders.created', {
    order: 1,
    'a/b': 1,
    lines: Array.from({ length: 1_000 }, () => ({})),
  });
  t.is(many?.length, 20);
  for (const [pattern, faulty] of [
    ['orders.*', { requried: ['order'] }],
    ['orders.*', { $ref: 'https://example.com/order.json' }],
    ['orders.*', { type: 'strnig' }],
    ['orders.*', { pattern: '(' }],
    ['orders.*', 'text'],
    ['orders.*', { const: 'x'.repeat(70_000) }],
    ['orders..x', {}],
    ['orders.>.x', {}],
  ] as const) {
    t.false(guard.put(pattern, faulty).ok, JSON.stringify(faulty).slice(0, 80));
  }
  t.is(guard.faults('orders.created', {})?.length, 2, 'the schema that was there is kept');
  guard.remove('orders.*');
  t.is(guard.faults('orders.created', {}), undefined);
  t.deepEqual(guard.put('never', false), { ok: true });
  t.is(guard.faults('never', 1)?.length, 1);
});

const at = '2026-07-27T10:00:00.000Z';
const entry = (id: string, subject: string, action: Entry['action'] = 'publish'): Entry =>
  entryOf(id, at, subject, action, 'orders.created');

test('audit-trail › counts each entry once, however often it comes, and keeps no more than it may', (t) => {
  let day = dayIn('2026-07-27', undefined);
  const add = (...entries: readonly Entry[]) => {
    day = count(day, entries, 2) ?? day;
  };
  add(entry('1', 'ann'), entry('2', 'ann'), entry('h1', 'bob', 'state'));
  add(entry('2', 'ann'), entry('3', 'cid'), entry('3', 'cid'), entry('h1', 'bob', 'state'));
  t.deepEqual(day.subjects, { ann: { ...none, publish: 2 }, bob: { ...none, state: 1 } });
  t.deepEqual(day.others, { ...none, publish: 1 });
  t.is(count(day, [entry('3', 'cid')], 2), undefined);
  for (let round = 0; round < 10; round++)
    add(...Array.from({ length: 192 }, (_, index) => entry(`m${round}-${index}`, 'ann')));
  t.is(day.counted.messages.length, 384);
  t.deepEqual(day.counted.others, ['h1'], 'many messages push out no other entry');
  t.is(day.subjects.ann?.publish, 2 + 1_920);
  t.deepEqual(dayIn('2026-07-27', structuredClone(day)), day);
  t.deepEqual(dayIn('2026-07-27', ['not', 'ours']).subjects, {});

  let recent = recentIn(undefined);
  const tell = (...entries: readonly Entry[]) => {
    recent = remember(recent, entries, 2) ?? recent;
  };
  tell({ ...entry('1', 'ann'), at: '2026-07-27T09:00:00.000Z' }, entry('2', 'ann'));
  tell(entry('2', 'ann'), { ...entry('3', 'bob'), at: '2026-07-27T11:00:00.000Z' });
  t.is(remember(recent, [entry('2', 'ann')], 2), undefined);
  t.deepEqual(
    recent.entries.map(({ id }) => id),
    ['3', '2'],
  );
  t.deepEqual(recentIn(structuredClone(recent)), recent);
  t.deepEqual(recentIn({ entries: [1, { id: 'x' }, { ...entry('4', 'ann'), action: 'other' }] }).entries, []);
});

test('audit-trail › acknowledges what was written alone, and keeps the rest for the next write', async (t) => {
  const written: (readonly string[])[] = [];
  let broken = true;
  const batches = createBatches(3, async (entries) => {
    if (broken) throw new Error('no log');
    written.push(entries.map(({ id }) => id));
  });
  batches.add(entry('h1', 'bob', 'state'));
  const refused = batches.write(entry('1', 'ann'));
  await batches.flush();
  await t.throwsAsync(refused, { message: 'no log' });
  t.deepEqual(written, []);
  broken = false;
  const again = batches.write(entry('1', 'ann'));
  await batches.flush();
  await again;
  t.deepEqual(written, [['1', 'h1']]);
  // A full batch needs no flush.
  await Promise.all(['2', '3', '4'].map((id) => batches.write(entry(id, 'ann'))));
  t.deepEqual(written.at(-1), ['2', '3', '4']);
  for (let index = 0; index < 10_001; index++) batches.add(entry(`x${index}`, 'bob', 'state'));
  t.is(batches.dropped, 1);
});
