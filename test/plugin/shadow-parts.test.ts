import test from 'ava';
import fc from 'fast-check';
import type { Wish } from '../../src/plugin/sandbox/sandbox.ts';
import { compareWishes } from '../../src/plugin/shadow/compare.ts';
import { createPretence } from '../../src/plugin/shadow/pretence.ts';
import { createRecorder, type Recorded } from '../../src/plugin/shadow/recorder.ts';

const good = { ok: true, value: null } as const;
const publish = (topic: string, payload: number): Wish => ({
  operation: 'publish',
  data: { topic, payload },
});
const set = (key: string, value: number): Wish => ({ operation: 'state.set', data: { key, value } });
const get = (key: string): Wish => ({ operation: 'state.get', data: { key } });

test('recorder › keeps what is young, few and light enough, the newest', (t) => {
  let now = 0;
  const recorder = createRecorder(() => now, { maxEntries: 3, maxBytes: 10_000, maxAgeMs: 100 });
  for (const n of [1, 2, 3, 4]) recorder.call('hook:before_publish', n, good, 1);
  t.deepEqual(
    recorder.since(0).map((entry) => entry.type === 'call' && entry.input),
    [2, 3, 4],
  );
  now = 50;
  recorder.call('hook:before_publish', 5, good, 1);
  t.is(recorder.since(50).length, 1);
  now = 120;
  recorder.call('hook:before_publish', 6, good, 1);
  t.deepEqual(
    recorder.since(0).map((entry) => entry.type === 'call' && entry.input),
    [5, 6],
    'what is older than 100 ms is gone',
  );
  recorder.call('hook:before_publish', 'x'.repeat(4_000), good, 1);
  t.is(recorder.since(0).length, 3);
  recorder.call('hook:before_publish', 'x'.repeat(4_000), good, 1);
  t.is(recorder.since(0).length, 1, 'two of them are too heavy together');
});

test('recorder › tells messages by what was subscribed to, whatever number that has', (t) => {
  const recorder = createRecorder(() => 1);
  recorder.wish({ operation: 'subscribe', data: { n: 7, pattern: 'orders.>', durable: 'a' } }, good);
  recorder.wish({ operation: 'state.watch', data: { n: 8, selector: 'app/*' } }, good);
  recorder.wish(
    { operation: 'subscribe', data: { n: 9, pattern: 'x' } },
    { ok: false, code: 'not_granted', message: '' },
  );
  recorder.call('message:7', 1, good, 1);
  recorder.call('change:8', 1, good, 1);
  recorder.call('message:9', 1, good, 1);
  const labels = () => recorder.since(0).flatMap((entry) => (entry.type === 'call' ? [entry.label] : []));
  t.deepEqual(labels(), ['message:orders.> (a)', 'change:app/*', 'message:9']);
  t.deepEqual(recorder.following(), ['change:app/*', 'message:orders.> (a)']);
  recorder.wish({ operation: 'state.unwatch', data: { n: 8 } }, good);
  t.deepEqual(recorder.following(), ['message:orders.> (a)']);
  recorder.restarted();
  t.deepEqual(recorder.following(), []);
});

test('comparison › pairs wishes of one aim, and counts what only one had', (t) => {
  const before = [publish('a', 1), publish('a', 2), set('k', 1), get('r')];
  const after = [publish('a', 2), publish('a', 3), publish('b', 1), get('other')];
  const { missing, additional, different, differences } = compareWishes(before, after);
  t.deepEqual({ missing, additional, different }, { missing: 1, additional: 1, different: 1 });
  t.deepEqual(differences, [
    { operation: 'publish', running: { topic: 'a', payload: 1 }, shadow: { topic: 'a', payload: 3 } },
    { operation: 'state.set', running: { key: 'k', value: 1 }, shadow: null },
    { operation: 'publish', running: null, shadow: { topic: 'b', payload: 1 } },
  ]);
});

test('comparison › finds no difference between wishes in another order, and every one that was added', (t) => {
  const wish = fc.oneof(
    fc.record({ topic: fc.constantFrom('a', 'b'), n: fc.nat(3) }).map(({ topic, n }) => publish(topic, n)),
    fc.record({ key: fc.constantFrom('a', 'b'), n: fc.nat(3) }).map(({ key, n }) => set(key, n)),
  );
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.array(wish, { maxLength: 12 }),
        fc.array(wish, { maxLength: 3 }),
        fc.infiniteStream(fc.nat()),
        (wishes, extra, numbers) => {
          const order = new Map(wishes.map((one) => [one, numbers.next().value]));
          const shuffled = wishes.toSorted((left, right) => (order.get(left) ?? 0) - (order.get(right) ?? 0));
          const { missing, additional, different, differences } = compareWishes(wishes, [
            ...shuffled,
            ...extra,
          ]);
          return (
            missing === 0 &&
            different === 0 &&
            additional === extra.length &&
            differences.length === extra.length
          );
        },
      ),
      { seed: 54 },
    ),
  );
});

test('pretence › carries nothing out, answers as was answered, and shows the shadow what it wrote', async (t) => {
  const recorded: Recorded[] = [
    { type: 'wish', atMs: 1, wish: get('k'), answer: { ok: true, value: 'first' } },
    { type: 'wish', atMs: 2, wish: get('k'), answer: { ok: true, value: 'second' } },
    {
      type: 'wish',
      atMs: 3,
      wish: set('taken', 1),
      answer: { ok: false, code: 'version_conflict', message: '' },
    },
  ];
  const read: Wish[] = [];
  const pretence = createPretence({
    recorded,
    granted: ({ operation }) => operation !== 'fetch',
    read: async (wish) => {
      read.push(wish);
      return { ok: true, value: 'real' };
    },
    now: () => 0,
  });
  const wished = async (wish: Wish) => {
    const answer = await pretence.wish(wish);
    return answer.ok ? answer.value : answer.code;
  };
  t.is(await wished(get('k')), 'first');
  t.is(await wished(get('k')), 'second');
  t.is(await wished(get('k')), 'second', 'the last answer stays');
  t.is(await wished(get('other')), 'real');
  t.deepEqual(read, [get('other')], 'reads alone are carried out');
  t.is(await wished(set('taken', 1)), 'version_conflict');
  t.like(await wished(set('own', 5)), { version: 1 });
  t.like(await wished(get('own')), { key: 'own', value: 5, version: 1 });
  t.like(await wished(set('own', 6)), { version: 2 });
  t.is(await wished({ operation: 'state.delete', data: { key: 'own' } }), null);
  t.is(await wished(get('own')), null);
  t.like(await wished(publish('a', 1)), { messageId: 'shadow-1' });
  t.is(await wished({ operation: 'services.invoke', data: { service: 's', method: 'm' } }), 'not_recorded');
  t.is(await wished({ operation: 'fetch', data: { url: 'https://example.com' } }), 'not_granted');
  t.deepEqual(pretence.refused, { fetch: 1 });
  t.is(read.length, 1);
});
