import test from 'ava';
import fc from 'fast-check';
import type { Wish } from '../../src/plugin/sandbox/sandbox.ts';
import { compareWishes } from '../../src/plugin/shadow/compare.ts';
import { noteAll, noteOf, shownData } from '../../src/plugin/shadow/noted.ts';
import { createPretence } from '../../src/plugin/shadow/pretence.ts';
import { createRecorder, type Recorded } from '../../src/plugin/shadow/recorder.ts';

const good = { ok: true, value: null } as const;
const publish = (topic: string, payload: number): Wish => ({
  operation: 'publish',
  data: { topic, payload },
});
const set = (key: string, value: number): Wish => ({ operation: 'state.set', data: { key, value } });
const get = (key: string): Wish => ({ operation: 'state.get', data: { key } });
const compared = (running: readonly Wish[], shadow: readonly Wish[]) =>
  compareWishes(running.map(noteOf), shadow.map(noteOf));
const open = async (recorded: readonly Recorded[] = []) =>
  createPretence({
    recorded: await noteAll(recorded),
    granted: () => true,
    read: async () => ({ ok: true, value: 'real' }),
    now: () => 0,
  });

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

test('comparison › pairs wishes of one aim, and counts what only one had', async (t) => {
  const before = [publish('a', 1), publish('a', 2), set('k', 1), get('r')];
  const after = [publish('a', 2), publish('a', 3), publish('b', 1), get('other')];
  const { missing, additional, different, differences } = await compared(before, after);
  t.deepEqual({ missing, additional, different }, { missing: 1, additional: 1, different: 1 });
  const shown = differences.map((one) => ({
    operation: one.operation,
    running: one.running && shownData(one.running),
    shadow: one.shadow && shownData(one.shadow),
  }));
  t.deepEqual(shown, [
    { operation: 'publish', running: { topic: 'a', payload: 1 }, shadow: { topic: 'a', payload: 3 } },
    { operation: 'state.set', running: { key: 'k', value: 1 }, shadow: null },
    { operation: 'publish', running: null, shadow: { topic: 'b', payload: 1 } },
  ]);
});

test('comparison › finds no difference between wishes in another order, and every one that was added', async (t) => {
  const wish = fc.oneof(
    fc.record({ topic: fc.constantFrom('a', 'b'), n: fc.nat(3) }).map(({ topic, n }) => publish(topic, n)),
    fc.record({ key: fc.constantFrom('a', 'b'), n: fc.nat(3) }).map(({ key, n }) => set(key, n)),
  );
  await t.notThrowsAsync(() =>
    fc.assert(
      fc.asyncProperty(
        fc.array(wish, { maxLength: 12 }),
        fc.array(wish, { maxLength: 3 }),
        fc.infiniteStream(fc.nat()),
        async (wishes, extra, numbers) => {
          const order = new Map(wishes.map((one) => [one, numbers.next().value]));
          const shuffled = wishes.toSorted((left, right) => (order.get(left) ?? 0) - (order.get(right) ?? 0));
          const { missing, additional, different, differences } = await compared(wishes, [
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
    recorded: await noteAll(recorded),
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

test('comparison › large wishes are compared as a whole, whatever the order of their keys, and shown by their start', async (t) => {
  const large = (last: number): Wish => ({
    operation: 'publish',
    data: { topic: 'large', payload: { zeros: new Array<number>(100_000).fill(0), last } },
  });
  const turned: Wish = {
    operation: 'publish',
    data: { payload: { last: 1, zeros: new Array<number>(100_000).fill(0) }, topic: 'large' },
  };
  t.like(await compared([large(1)], [turned]), { missing: 0, additional: 0, different: 0 });
  const { different, differences } = await compared([large(1)], [large(2)]);
  t.is(different, 1);
  const shown = differences[0]?.shadow && shownData(differences[0].shadow);
  t.true(typeof shown === 'string' && shown.length === 2_049 && shown.endsWith('0,…'), String(shown));
});

test('comparison › others have their turn while many wishes of the running version are read', async (t) => {
  const recorded = Array.from({ length: 1_000 }, (_, n): Recorded => {
    return { type: 'wish', atMs: n, wish: publish('a', n), answer: good };
  });
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  const noted = await noteAll([
    ...recorded,
    { type: 'call', atMs: 1, label: 'l', input: 1, answer: good, durationMs: 1 },
  ]);
  isDone = true;
  t.deepEqual(
    noted.map(({ atMs }) => atMs),
    recorded.map(({ atMs }) => atMs),
  );
  t.true(turns >= 3, `${turns}`);
});

test('pretence › large wishes do not count as a whole: what is kept of them is short', async (t) => {
  const pretence = await open();
  for (let n = 0; n < 40; n++) {
    await pretence.wish({ operation: 'publish', data: { topic: 'a', payload: [n, 'x'.repeat(250_000)] } });
  }
  t.is(pretence.wishes.length, 40);
  t.is(pretence.leftOut, 0);
  t.is(new Set(pretence.wishes.map(({ digest }) => digest)).size, 40);
  t.true(pretence.wishes.every(({ text }) => text.length === 2_049));
});

test('pretence › keeps 4 MiB of wishes that have an effect, and counts what is left out', async (t) => {
  const pretence = await open();
  const bytes = () => pretence.wishes.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  // Each character takes three bytes: the text is heavier than it is long.
  const wish = (n: number): Wish => ({
    operation: 'publish',
    data: { topic: 'a', payload: [n, '€'.repeat(1_900)] },
  });
  for (let n = 0; n < 1_000; n++) await pretence.wish(wish(n));
  t.is(pretence.wishes.length + pretence.leftOut, 1_000);
  t.true(pretence.leftOut > 0 && bytes() <= 4_194_304 && bytes() > 4_180_000, `${bytes()}`);
  const { leftOut } = pretence;
  t.like(await pretence.wish(wish(1)), { ok: true }, 'what is left out is answered all the same');
  for (let n = 0; n < 100; n++) await pretence.wish(get(`k${n}`));
  t.is(pretence.leftOut, leftOut + 1, 'reads take no room');
});

test('pretence › keeps 10,000 wishes however small', async (t) => {
  const pretence = await open();
  for (let n = 0; n < 10_001; n++) await pretence.wish({ operation: 'state.delete', data: { key: 'k' } });
  t.is(pretence.wishes.length, 10_000);
  t.is(pretence.leftOut, 1);
});

test('pretence › of what is written beyond 4 MiB a read finds what is there, until there is room again', async (t) => {
  const pretence = await open();
  const write = (key: string, chars: number) =>
    pretence.wish({ operation: 'state.set', data: { key, value: 'x'.repeat(chars) } });
  const read = async (key: string) => {
    const answer = await pretence.wish(get(key));
    return answer.ok ? answer.value : answer.code;
  };
  for (let n = 0; n < 16; n++) await write(`k${n}`, 250_000);
  t.is(pretence.leftOut, 0);
  t.like(await write('late', 250_000), { ok: true });
  t.is(pretence.leftOut, 1);
  t.is(await read('late'), 'real');
  t.like(await read('k0'), { key: 'k0', version: 1 });
  await write('k0', 10);
  await write('late', 250_000);
  t.is(pretence.leftOut, 1, 'what is replaced makes room');
  t.like(await read('late'), { key: 'late' });
  await write('k1', 600_000);
  t.is(pretence.leftOut, 2);
  t.is(await read('k1'), 'real', 'nor is it read as it was before');
});
