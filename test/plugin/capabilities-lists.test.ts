import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Json } from '../../domain/event.ts';
import type { NexusCore } from '../../src/nexus-core.ts';
import { openHub } from '../support/hub.ts';
import { codeOf, openPlugin } from './capabilities-support.ts';

const hub = await openHub();
const { core } = hub;
test.after.always(() => hub.close());

const operator = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'test' };
const execute = async (type: string, data: Json): Promise<void> => {
  const done = await core.execute({ type, data }, operator);
  if (!done.ok) throw new Error(done.problem.detail);
};
const register = (id: string, more: object = {}): Promise<void> =>
  execute('RegisterService', { id, name: 'many', version: '1.0.0', host: '127.0.0.1', port: 9, ...more });
const bytesOf = (value: Json): number => Buffer.byteLength(JSON.stringify(value));
const lists = { services: { list: true, invoke: [] }, state: { read: ['app/*'], write: [] } };

/** Counts the turns of the event loop while a test runs. */
const turnsOf = (t: ExecutionContext) => {
  let turns = 0;
  let isOver = false;
  const counting = (async () => {
    for (; !isOver; turns++) await nextTurn();
  })();
  t.teardown(() => {
    isOver = true;
    return counting;
  });
  return {
    get turns() {
      return turns;
    },
  };
};

test('a list of just as many bytes as an answer may have is answered, and one of a byte more is refused', async (t) => {
  for (const n of [1, 2, 3, 4]) {
    await execute('SetState', { key: `app/${n}`, value: { text: 'ü'.repeat(200), n } });
    await register(`just-${n}`, { name: 'just', metadata: { text: 'ü'.repeat(100) } });
  }
  for (const [operation, data] of [
    ['state.list', { prefix: 'app/' }],
    ['services.list', { name: 'just' }],
  ] as const) {
    const all = openPlugin(core, { permissions: lists });
    const list = await all.get(operation, data);
    const just = openPlugin(core, { permissions: lists, limits: { messageBytes: bytesOf(list) } });
    t.deepEqual(await just.get(operation, data), list);
    t.deepEqual(just.limited, []);
    const less = openPlugin(core, { permissions: lists, limits: { messageBytes: bytesOf(list) - 1 } });
    t.is(codeOf(await less.ask(operation, data)), 'limit_exceeded');
    t.deepEqual(less.limited, ['messageBytes']);
    for (const plugin of [all, just, less]) await plugin.stop();
  }
});

test('a list of state that is refused has not read all that there is, and one that fits is whole', async (t) => {
  let read = 0;
  const states: NexusCore['states'] = async (options, context) => {
    const page = await core.states(options, context);
    if (page.ok) read += page.value.entries.length;
    return page;
  };
  const key = (n: number) => `plugin/lister/${String(n).padStart(3, '0')}`;
  const writer = openPlugin(core, { name: 'lister' });
  for (let n = 0; n < 60; n++) await writer.get('state.set', { key: key(n), value: [n, 'x'.repeat(500)] });
  const open = (messageBytes: number) =>
    openPlugin({ ...core, states }, { name: 'lister', limits: { messageBytes } });
  const small = open(4_096);
  const list = { prefix: 'plugin/lister/', limit: 1_000 };
  t.is(codeOf(await small.ask('state.list', list)), 'limit_exceeded');
  t.true(read < 20, `${read} entries were read`);
  const large = open(65_536);
  const whole = await large.get('state.list', list);
  t.deepEqual(
    Array.isArray(whole) && whole.map((entry: { readonly value: Json }) => entry.value),
    Array.from({ length: 60 }, (_, n) => [n, 'x'.repeat(500)]),
  );
  for (const plugin of [writer, small, large]) await plugin.stop();
});

test('a list of state looks at so many deleted keys at most, and others have their turn between its pages', async (t) => {
  const turns = turnsOf(t);
  const at: number[] = [];
  let pages = 0;
  const states: NexusCore['states'] = async (_options, context) => {
    const none = await core.states({ prefix: 'plugin/me/none/' }, context);
    at.push(turns.turns);
    if (!none.ok) return none;
    const more = at.length < pages ? { cursor: `${at.length}` } : {};
    return { ok: true, value: { ...none.value, ...more, scanned: 20_000 } };
  };
  const plugin = openPlugin({ ...core, states });
  const ask = async (count: number) => {
    pages = count;
    at.length = 0;
    const answer = await plugin.ask('state.list', { prefix: 'plugin/me/' });
    t.is(new Set(at).size, at.length, 'no two pages in one turn');
    return answer;
  };
  t.deepEqual(await ask(5), { ok: true, value: [] });
  t.is(at.length, 5);
  const refused = await ask(100);
  t.is(codeOf(refused), 'limit_exceeded');
  t.regex(refused.ok ? '' : refused.message, /100000 keys/);
  t.is(at.length, 5);
  t.deepEqual(plugin.limited, []);
  await plugin.stop();
});

test('the list of a plugin that is stopped ends with the page that was under way', async (t) => {
  let pages = 0;
  const states: NexusCore['states'] = async (_options, context) => {
    const none = await core.states({ prefix: 'plugin/me/none/' }, context);
    pages += 1;
    void plugin.stop();
    return none.ok ? { ok: true, value: { ...none.value, cursor: 'more' } } : none;
  };
  const plugin = openPlugin({ ...core, states });
  t.is(codeOf(await plugin.ask('state.list', { prefix: 'plugin/me/' })), 'shutting_down');
  t.is(pages, 1);
});

test('services are listed a page at a time, and no page is asked for behind what is too much', async (t) => {
  for (const n of [1, 2, 3, 4, 5, 6, 7]) await register(`many-${n}`);
  const turns = turnsOf(t);
  const at: number[] = [];
  const services: NexusCore['services'] = (filter, context) => {
    at.push(turns.turns);
    return core.services({ ...filter, limit: 2 }, context);
  };
  const open = (messageBytes: number) =>
    openPlugin({ ...core, services }, { permissions: lists, limits: { messageBytes } });
  const large = open(65_536);
  const all = await large.get('services.list', { name: 'many' });
  t.deepEqual(
    Array.isArray(all) && all.map(({ id }: { readonly id: string }) => id),
    [1, 2, 3, 4, 5, 6, 7].map((n) => `many-${n}`),
  );
  t.is(at.length, 4);
  t.is(new Set(at).size, 4, 'no two pages in one turn');
  at.length = 0;
  const small = open(1_024);
  t.is(codeOf(await small.ask('services.list', { name: 'many' })), 'limit_exceeded');
  t.is(at.length, 1);
  for (const plugin of [large, small]) await plugin.stop();
});
