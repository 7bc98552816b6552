import test from 'ava';
import type { Json } from '../../domain/event.ts';
import type { CallAnswer } from '../../src/plugin/sandbox/sandbox.ts';
import { createTargets } from '../../src/registry/target/targets.ts';
import { createTestClock, listen } from '../registry/support.ts';
import { openHub } from '../support/hub.ts';
import { until } from '../support/until.ts';
import {
  type Called,
  codeOf,
  handled,
  holding,
  malformed,
  openPlugin,
  threw,
  ungranted,
} from './capabilities-support.ts';

const hub = await openHub();
const { core } = hub;
test.after.always(() => hub.close());

const operator = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'test' };
const execute = async (type: string, data: Json): Promise<void> => {
  const done = await core.execute({ type, data }, operator);
  if (!done.ok) throw new Error(done.problem.detail);
};
const publish = (topic: string, payload: Json): Promise<void> =>
  execute('PublishMessage', { topic, payload });
const payloads = (called: readonly Called[]): readonly Json[] =>
  called.map(({ input }) => input.payload ?? null);
const deadLetters = async (name: string) => {
  const found = await core.deadLetters(name, {}, operator);
  if (!found.ok) throw new Error(found.problem.detail);
  return found.value.deadLetters;
};

test('what was not granted is refused, counted by operation, and told to the audit', async (t) => {
  const audited: unknown[] = [];
  const denied = (found: { readonly code: string }, who: object) => audited.push([found.code, who]);
  const plugin = openPlugin(
    { ...core, denied },
    {
      name: 'curious',
      permissions: {
        publish: ['own.>'],
        subscribe: ['own.>'],
        // Whatever is granted, the keys of others stay closed.
        state: { read: ['*', 'nexus/x', 'plugin/other/*'], write: ['nexus/*', 'plugin/other/x'] },
        services: { list: false, invoke: ['bill*'] },
        fetch: ['https://api.example'],
      },
    },
  );
  for (const [operation, data] of ungranted) {
    t.is(codeOf(await plugin.ask(operation, data)), 'not_granted', `${operation} ${JSON.stringify(data)}`);
  }
  t.deepEqual(
    plugin.refused,
    ungranted.map(([operation]) => operation),
  );
  t.deepEqual(
    audited,
    ungranted.map(() => ['forbidden', { subject: 'plugin:curious' }]),
  );
  const made = await core.subscription('plugin.curious.d', operator);
  t.like(made, { ok: false, problem: { code: 'not_found' } });
  await plugin.stop();
});

test('a wish that is malformed is told so', async (t) => {
  const plugin = openPlugin(core, { permissions: { publish: ['own.>'], subscribe: ['own.>'] } });
  for (const [operation, data] of malformed) {
    t.is(codeOf(await plugin.wish({ operation, data })), 'invalid', `${operation} ${JSON.stringify(data)}`);
  }
  t.deepEqual(plugin.refused, []);
  await plugin.stop();
});

test('a message is published as the plugin’s, once for each messageId', async (t) => {
  const plugin = openPlugin(core, { name: 'writer', permissions: { publish: ['own.>'] } });
  const data = {
    topic: 'own.note',
    payload: { a: 1 },
    priority: 'HIGH',
    headers: { h: 'v' },
    messageId: 'm-1',
  };
  const first = await plugin.get('publish', data);
  t.like(first, { messageId: 'm-1' });
  t.deepEqual(await plugin.get('publish', data), first);
  const page = await core.messages({ topic: 'own.note' }, operator);
  if (!page.ok) return t.fail();
  t.is(page.value.events.length, 1);
  t.like(page.value.events[0], {
    payload: { a: 1 },
    priority: 'HIGH',
    headers: { h: 'v' },
    publisher: 'plugin:writer',
  });
  return plugin.stop();
});

test('its own keys are read, written, listed and deleted, by version', async (t) => {
  const plugin = openPlugin(core, { name: 'keeper' });
  const key = 'plugin/keeper/a';
  t.is(await plugin.get('state.get', { key }), null);
  t.like(await plugin.get('state.set', { key, value: { n: 1 }, expectedVersion: 0 }), { version: 1 });
  t.is(codeOf(await plugin.ask('state.set', { key, value: 2, expectedVersion: 0 })), 'version_conflict');
  t.like(await plugin.get('state.get', { key }), {
    key,
    value: { n: 1 },
    version: 1,
    updatedBy: 'plugin:keeper',
  });
  await plugin.get('state.set', { key: 'plugin/keeper/b', value: 'b', ttlSec: 60 });
  const entry = await core.state('plugin/keeper/b', {}, operator);
  t.true(entry.ok && entry.value.expiresAt !== undefined);
  const keysOf = (list: Json) =>
    Array.isArray(list) ? list.map((item: { readonly key: string }) => item.key) : list;
  t.deepEqual(keysOf(await plugin.get('state.list', { prefix: 'plugin/keeper/' })), [key, 'plugin/keeper/b']);
  t.deepEqual(keysOf(await plugin.get('state.list', { prefix: 'plugin/keeper/', after: key })), [
    'plugin/keeper/b',
  ]);
  t.deepEqual(keysOf(await plugin.get('state.list', { prefix: 'plugin/keeper/', limit: 1 })), [key]);
  t.is(await plugin.get('state.delete', { key, expectedVersion: 1 }), null);
  t.is(codeOf(await plugin.ask('state.delete', { key })), 'not_found');
  await plugin.stop();
});

test('a live subscription hands over what is published, as many at a time as it wants, the rest waiting in the log', async (t) => {
  const guest = holding();
  const plugin = openPlugin(core, { permissions: { subscribe: ['live.>'] }, guest: guest.guest });
  await publish('live.a', 'before');
  await plugin.get('subscribe', { n: 7, pattern: 'live.*', maxInFlight: 2 });
  for (let n = 0; n < 9; n++) await publish('live.a', n);
  await publish('live.b.c', 'not matched');
  await until(() => guest.open === 2);
  t.like(plugin.called[0], { target: 'message:7', input: { topic: 'live.a', payload: 0, publisher: 'ann' } });
  for (let n = 0; n < 9; n++) {
    await until(() => guest.open > 0);
    // What its handler fails at is over.
    guest.answer(n % 2 === 0 ? handled : threw('no'));
  }
  t.deepEqual(payloads(plugin.called), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  t.is(guest.most, 2);
  t.is(await plugin.get('unsubscribe', { n: 7 }), null);
  t.is(await plugin.get('unsubscribe', { n: 8 }), null);
  await publish('live.a', 'after');
  await plugin.stop();
  t.is(plugin.called.length, 9);
});

test('changes of state are handed over one at a time and in order', async (t) => {
  const guest = holding();
  const plugin = openPlugin(core, {
    name: 'watcher',
    permissions: { state: { read: ['seen/*'], write: [] } },
    guest: guest.guest,
  });
  await plugin.get('state.watch', { n: 1, selector: 'seen/*' });
  t.is(codeOf(await plugin.ask('state.watch', { n: 1, selector: 'seen/*' })), 'invalid');
  for (let value = 1; value <= 3; value++) await execute('SetState', { key: 'seen/a', value });
  await execute('DeleteState', { key: 'seen/a' });
  for (let n = 0; n < 4; n++) {
    await until(() => guest.open > 0);
    guest.answer(handled);
  }
  t.deepEqual(
    plugin.called.map(({ target, input }) => [target, input.value, input.oldValue, input.deleted]),
    [
      ['change:1', 1, null, false],
      ['change:1', 2, 1, false],
      ['change:1', 3, 2, false],
      ['change:1', null, 3, true],
    ],
  );
  t.is(guest.most, 1);
  await plugin.get('state.unwatch', { n: 1 });
  await plugin.stop();
});

const durable = { n: 1, pattern: 'work.>', durable: 'jobs', from: 'start', maxDeliver: 3, backoffMs: [0] };

test('a durable subscription tries again what fails, and buries what goes on failing', async (t) => {
  const plugin = openPlugin(core, {
    name: 'worker',
    permissions: { subscribe: ['work.>'] },
    guest: ({ input }) => (input.payload === 'bad' ? threw('cannot do it') : handled),
  });
  await publish('work.a', 'early');
  await plugin.get('subscribe', durable);
  await publish('work.a', 'bad');
  await publish('work.a', 'late');
  const name = 'plugin.worker.jobs';
  await until(async () => (await deadLetters(name)).length === 1);
  await until(() => payloads(plugin.called).includes('late'));
  t.deepEqual(
    payloads(plugin.called).filter((payload) => payload !== 'bad'),
    ['early', 'late'],
  );
  t.is(payloads(plugin.called).filter((payload) => payload === 'bad').length, 3);
  const [letter] = await deadLetters(name);
  t.is(letter?.message.payload, 'bad');
  t.is(letter?.errors.at(-1)?.reason, 'threw: cannot do it');
  const found = await core.subscription(name, operator);
  t.like(found, { ok: true, value: { createdBy: 'plugin:worker', topic: 'work.>' } });
  await plugin.stop();
  await execute('DeleteSubscription', { name });
});

test('what a guest had not handled is handed to its next life, and what it was not handed has not failed', async (t) => {
  const guest = holding();
  const open = (handler: () => Promise<CallAnswer> | CallAnswer) =>
    openPlugin(core, { name: 'mortal', permissions: { subscribe: ['task.>'] }, guest: handler });
  const wish = { n: 1, pattern: 'task.>', durable: 'jobs', maxDeliver: 1, backoffMs: [0], maxInFlight: 2 };
  const first = open(guest.guest);
  await first.get('subscribe', wish);
  for (let n = 0; n < 6; n++) await publish('task.a', n);
  await until(() => guest.open === 2);
  const stopped = first.stop();
  t.is(codeOf(await first.ask('subscribe', wish)), 'shutting_down');
  // One is done before the guest is gone, the other is lost with it: its only attempt.
  guest.answer(handled);
  guest.answer({ ok: false, fault: 'gone', message: 'the process ended' });
  await stopped;
  const name = 'plugin.mortal.jobs';
  await until(async () => (await deadLetters(name)).length === 1);
  const second = open(() => handled);
  await second.get('subscribe', wish);
  await until(() => second.called.length === 4);
  t.deepEqual(payloads(first.called), [0, 1]);
  t.deepEqual(payloads(second.called).toSorted(), [2, 3, 4, 5]);
  t.deepEqual(
    (await deadLetters(name)).map(({ message, errors }) => [message.payload, errors[0]?.reason]),
    [[1, 'gone: the process ended']],
  );
  await second.stop();
});

test('quiet() hands nothing more over and lets the guest go on asking', async (t) => {
  const plugin = openPlugin(core, { name: 'leaving', permissions: { subscribe: ['calm.>'] } });
  await plugin.get('subscribe', { n: 1, pattern: 'calm.>' });
  await plugin.quiet();
  await publish('calm.a', 1);
  t.is(codeOf(await plugin.ask('subscribe', { n: 2, pattern: 'calm.>' })), 'shutting_down');
  t.like(await plugin.get('state.set', { key: 'plugin/leaving/last', value: 1 }), { version: 1 });
  await plugin.stop();
  t.deepEqual(plugin.called, []);
});

test('a message that is too large for the plugin is a dead letter at once, and nothing of a live subscription', async (t) => {
  const plugin = openPlugin(core, {
    name: 'small',
    permissions: { subscribe: ['big.>'] },
    limits: { messageBytes: 1_024 },
  });
  await plugin.get('subscribe', { n: 1, pattern: 'big.>', durable: 'all', backoffMs: [60_000] });
  await plugin.get('subscribe', { n: 2, pattern: 'big.>' });
  await publish('big.a', 'x'.repeat(2_000));
  await publish('big.a', 'y');
  await until(async () => (await deadLetters('plugin.small.all')).length === 1);
  await until(() => plugin.called.length === 2);
  t.deepEqual(payloads(plugin.called), ['y', 'y']);
  t.deepEqual([...new Set(plugin.limited)], ['messageBytes']);
  await plugin.stop();
});

test('a guest that has too many calls is asked again, and no attempt is lost by it', async (t) => {
  let asked = 0;
  const clock = createTestClock();
  const plugin = openPlugin(core, {
    name: 'busy',
    permissions: { subscribe: ['rush.>'] },
    guest: () => (++asked < 3 ? { ok: false, fault: 'overloaded', message: 'full' } : handled),
    clock,
  });
  await plugin.get('subscribe', { n: 1, pattern: 'rush.>', durable: 'all', maxDeliver: 1 });
  await publish('rush.a', 1);
  await until(() => {
    clock.advance(250);
    return asked === 3;
  });
  await plugin.stop();
  t.deepEqual(await deadLetters('plugin.busy.all'), []);
});

test('services are listed and called, and a call of a plugin that ends is cut off', async (t) => {
  let cut = 0;
  const server = await listen((request, response) => {
    if (request.url !== '/hang') return void request.resume().on('end', () => response.end('{"sum":3}'));
    response.on('close', () => {
      cut += 1;
    });
  });
  const service = { id: 'b-1', name: 'billing', version: '1.0.0', host: '127.0.0.1', port: server.port };
  await execute('RegisterService', { ...service, capabilities: ['sums'] });
  const plugin = openPlugin(core, { permissions: { services: { list: true, invoke: ['bill*'] } } });
  t.like(await plugin.get('services.list', { name: 'billing' }), [{ id: 'b-1', status: 'healthy' }]);
  t.like(await plugin.get('services.list', { capability: 'sums' }), [{ id: 'b-1' }]);
  t.deepEqual(await plugin.get('services.list', { capability: 'none' }), []);
  t.deepEqual(await plugin.get('services.invoke', { service: 'billing', method: 'add', data: [1, 2] }), {
    result: { sum: 3 },
    instance: 'b-1',
    attempts: 1,
  });
  t.is(
    codeOf(await plugin.ask('services.invoke', { service: 'billing2', method: 'add' })),
    'service_not_found',
  );
  const hanging = plugin.ask('services.invoke', { service: 'billing', method: 'hang' });
  await new Promise((resolve) => server.server.once('request', resolve));
  await plugin.stop();
  t.not(codeOf(await hanging), 'ok');
  await until(() => cut === 1);
  await server.close();
});

test('what is fetched is held to the rule of granted origins, and not to that of services', async (t) => {
  const server = await listen((_request, response) => response.end('here'));
  const options = { mode: 'protected', allowedTargets: [], ownPorts: () => [hub.port] } as const;
  const origins = [server.port, hub.port].flatMap((port) => [
    `http://127.0.0.1:${port}`,
    `http://name.example:${port}`,
  ]);
  const plugin = openPlugin(core, {
    permissions: { fetch: origins },
    targets: createTargets({ ...options, resolve: async () => ['127.0.0.1'] }),
  });
  const codes = origins.map(async (origin) => codeOf(await plugin.ask('fetch', { url: `${origin}/health` })));
  t.deepEqual(await Promise.all(codes), ['ok', 'target_refused', 'target_refused', 'target_refused']);
  await plugin.stop();
  await server.close();
});

test('calls beyond the budget are refused at once, and told of once a second', async (t) => {
  const clock = createTestClock();
  const plugin = openPlugin(core, { limits: { callsPerSec: 5 }, clock });
  const ask = () => plugin.ask('state.get', { key: 'plugin/me/x' });
  const burst = await Promise.all(Array.from({ length: 8 }, ask));
  t.deepEqual(burst.map(codeOf), [
    ...Array<string>(5).fill('ok'),
    ...Array<string>(3).fill('limit_exceeded'),
  ]);
  t.deepEqual(plugin.limited, ['callsPerSec']);
  clock.advance(400);
  t.deepEqual(
    [codeOf(await ask()), codeOf(await ask()), codeOf(await ask())],
    ['ok', 'ok', 'limit_exceeded'],
  );
  // Set back, the clock gives nothing and takes nothing.
  clock.advance(-10_000);
  t.is(codeOf(await ask()), 'limit_exceeded');
  clock.advance(60_000);
  t.deepEqual((await Promise.all(Array.from({ length: 6 }, ask))).map(codeOf), [
    ...Array<string>(5).fill('ok'),
    'limit_exceeded',
  ]);
  t.is(plugin.limited.length, 3);
  await plugin.stop();
});

test('answers are bounded in bytes, calls in number, and subscriptions too', async (t) => {
  const sockets = await listen(() => {});
  const origin = `http://127.0.0.1:${sockets.port}`;
  const plugin = openPlugin(core, {
    name: 'greedy',
    permissions: { subscribe: ['many.>'], fetch: [origin], state: { read: ['large'], write: [] } },
    limits: { messageBytes: 1_024, callsPerSec: 100_000 },
  });
  const key = 'plugin/greedy/x';
  t.is(codeOf(await plugin.ask('state.set', { key, value: 'x'.repeat(900) })), 'ok');
  await execute('SetState', { key: 'large', value: 'x'.repeat(2_000) });
  t.is(codeOf(await plugin.ask('state.get', { key: 'large' })), 'limit_exceeded');
  await plugin.get('state.set', { key: 'plugin/greedy/y', value: 'y'.repeat(900) });
  t.is(codeOf(await plugin.ask('state.list', { prefix: 'plugin/greedy/' })), 'limit_exceeded');
  t.deepEqual(new Set(plugin.limited), new Set(['messageBytes']));

  const durably = (n: number) =>
    plugin.ask('subscribe', { n, pattern: 'many.>', durable: `d${n}` }).then(codeOf);
  for (let n = 101; n <= 164; n++) {
    t.is(await durably(n), 'ok');
    await plugin.get('unsubscribe', { n });
  }
  t.is(await durably(165), 'overloaded', 'they stay when nobody follows them');
  await until(async () => codeOf(await plugin.ask('subscribe', { n: 1, pattern: 'many.>' })) === 'ok');
  for (let n = 2; n <= 64; n++) await plugin.get('subscribe', { n, pattern: 'many.>' });
  t.is(codeOf(await plugin.ask('state.watch', { n: 65, selector: key })), 'overloaded');
  await plugin.get('unsubscribe', { n: 64 });
  await until(async () => codeOf(await plugin.ask('state.watch', { n: 66, selector: key })) === 'ok');

  const waiting = Array.from({ length: 256 }, () => plugin.ask('fetch', { url: `${origin}/` }));
  t.is(codeOf(await plugin.ask('state.get', { key })), 'overloaded');
  await plugin.stop();
  const codes = new Set((await Promise.all(waiting)).map(codeOf));
  t.false(codes.has('ok'));
  t.is(codeOf(await plugin.ask('state.get', { key })), 'shutting_down');
  await sockets.close();
});
