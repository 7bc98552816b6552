import test from 'ava';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { type Answered, commandsOver, entryOf, type Handler, type Heard, mutate } from '../support/hooks.ts';
import { openHub } from '../support/hub.ts';
import { openResponder } from '../support/responder.ts';
import { request } from '../support/rest.ts';
import { until } from '../support/until.ts';
import { type Frame, openWs } from '../support/ws-client.ts';
import { openDealer } from '../support/zeromq.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
const { url } = hub;
const { hooks } = hub.core.parts;
const zeroMq = await openZeroMq({
  core: hub.core,
  config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
  logger: createLogger('silent'),
});
test.after.always(async () => {
  await zeroMq.close();
  await hub.close();
});

const publishOverRest = async (topic: string, data: Frame): Promise<Answered> => {
  const { status, body } = await request(url, 'POST', `/events/${topic}`, { body: data });
  return { code: body.code ?? status, body };
};

const publishOverGraphql = (topic: string, { payload }: Frame): Promise<Answered> => {
  const text = JSON.stringify(JSON.stringify(payload));
  return mutate(hub, `publishEvent(topic: "${topic}", payload: ${text})`, 'messageId position');
};

const publishAsCloudEvent = async (topic: string, { payload }: Frame): Promise<Answered> => {
  const event = { specversion: '1.0', id: String(Math.random()), source: '/t', type: 't', data: payload };
  const { status, body } = await request(url, 'POST', `/events/${topic}`, {
    headers: { 'content-type': 'application/cloudevents+json' },
    body: event,
  });
  return { code: body.code ?? status, body };
};

const publishOverWebSocket = async (topic: string, data: Frame): Promise<Answered> => {
  const ws = await openWs(url);
  const body = await ws.ask({ type: 'publish', topic, ...data });
  await ws.close();
  return { code: body.code ?? body.type, body };
};

const publishOverZeroMq = async (topic: string, data: Frame): Promise<Answered> => {
  const dealer = openDealer(zeroMq.command ?? '');
  const body = await dealer.ask({ type: 'publish', id: '1', topic, ...data });
  dealer.close();
  return { code: body.code ?? body.type, body };
};

/** The newest events of a stream, the newest first. */
const eventsOf = async (stream: string): Promise<readonly Frame[]> => {
  const { body } = await request(
    url,
    'GET',
    `/streams/${encodeURIComponent(stream)}?direction=backwards&limit=9`,
  );
  return ((body.events ?? []) as readonly { readonly data: Frame }[]).map(({ data }) => data);
};
const newest = async (topic: string): Promise<Frame> => (await eventsOf(`topic-${topic}`))[0] ?? {};

for (const [name, publish] of [
  ['REST', publishOverRest],
  ['GraphQL', publishOverGraphql],
  ['a CloudEvent', publishAsCloudEvent],
  ['a WebSocket', publishOverWebSocket],
  ['ZeroMQ', publishOverZeroMq],
] as const) {
  test.serial(
    `before_publish › over ${name} changes the message, and refuses one with its reason`,
    async (t) => {
      const handler: Handler = ({ payload }) =>
        payload === 'bad'
          ? { refuse: 'no\u0000bad ones', details: { at: '/x' } }
          : { change: { payload: { wrapped: payload }, priority: 'HIGH', headers: { by: 'a' } } };
      hooks.set('guard', [entryOf('guard', 'before_publish', handler, { match: ['shop.*'] })]);
      await publish('shop.one', { payload: 1 });
      t.like(await newest('shop.one'), {
        payload: { wrapped: 1 },
        priority: 'HIGH',
        headers: { by: 'a' },
      });
      const refused = await publish('shop.one', { payload: 'bad' });
      t.is(refused.code, 'plugin_refused');
      t.like(refused.body, {
        plugin: 'guard',
        hook: 'before_publish',
        reason: 'no bad ones',
        details: { at: '/x' },
      });
      await publish('other.one', { payload: 1 });
      t.like(await newest('other.one'), { payload: 1, priority: 'NORMAL' }, 'a topic that it is not for');
      hooks.remove('guard');
      await publish('shop.one', { payload: 2 });
      t.is((await newest('shop.one')).payload, 2);
    },
  );
}

test.serial(
  'before_publish › each plugin sees what those before have made, by order and then name',
  async (t) => {
    const seen: Heard[] = [];
    const add =
      (letter: string): Handler =>
      (input) => {
        seen.push(input);
        return { change: { payload: `${input.payload}${letter}` } };
      };
    hooks.set('c', [entryOf('c', 'before_publish', add('c'))]);
    hooks.set('b', [entryOf('b', 'before_publish', add('b'))]);
    hooks.set('z', [entryOf('z', 'before_publish', add('z'), { order: -1 })]);
    t.teardown(() => ['c', 'b', 'z'].forEach(hooks.remove));
    await publishOverRest('order.one', { payload: '', key: 'k' });
    t.is((await newest('order.one')).payload, 'zbc');
    t.deepEqual(seen[1], {
      topic: 'order.one',
      payload: 'z',
      priority: 'NORMAL',
      key: 'k',
      headers: {},
      subject: 'local',
    });
  },
);

const stateOf = async (key: string): Promise<unknown> =>
  (await request(url, 'GET', `/state/${encodeURIComponent(key)}`)).body.value;

const overGraphql = (type: string, data: Frame): Promise<Answered> => {
  const arguments_ = (names: readonly string[]): string =>
    names.map((name) => `${name}: ${JSON.stringify(data[name])}`).join(', ');
  switch (type) {
    case 'SetState':
      return mutate(hub, `setState(${arguments_(['key', 'value'])})`, 'version');
    case 'PatchState':
      return mutate(
        hub,
        `patchState(${arguments_(['key', 'patch']).replace(/"(\w+)":/g, '$1:')})`,
        'version',
      );
    case 'IncrementState':
      return mutate(hub, `incrementState(${arguments_(['key', 'by'])})`, 'version');
    default:
      return mutate(hub, `deleteState(${arguments_(['key'])})`, 'position');
  }
};

for (const [index, [name, run]] of [
  ...commandsOver(hub, zeroMq.command ?? ''),
  ['GraphQL', overGraphql] as const,
].entries()) {
  test.serial(
    `before_state_change › over ${name} sees and changes what each write is made with`,
    async (t) => {
      const seen: Heard[] = [];
      const change: Handler = (input) => {
        seen.push(input);
        switch (input.operation) {
          case 'set':
            return { change: { value: { set: input.value } } };
          case 'patch':
            return { change: { value: { patched: input.patch } } };
          case 'increment':
            return { change: { value: Number(input.by) * 10 } };
          default:
            return { refuse: 'nothing is deleted' };
        }
      };
      hooks.set('guard', [entryOf('guard', 'before_state_change', change, { match: [`s${index}/*`] })]);
      t.teardown(() => hooks.remove('guard'));
      const [key, count] = [`s${index}/v`, `s${index}/n`];
      t.is((await run('SetState', { key, value: 1 })).code, 'done');
      t.deepEqual(await stateOf(key), { set: 1 });
      t.is((await run('PatchState', { key, format: 'merge-patch', patch: { a: 2 } })).code, 'done');
      t.deepEqual(await stateOf(key), { set: 1, patched: { a: 2 } });
      await run('IncrementState', { key: count, by: 2 });
      t.is(await stateOf(count), 20);
      const refused = await run('DeleteState', { key });
      t.is(refused.code, 'plugin_refused');
      t.like(refused.body, { plugin: 'guard', hook: 'before_state_change', reason: 'nothing is deleted' });
      const subject = 'local';
      t.deepEqual(seen, [
        { operation: 'set', key, value: 1, subject },
        { operation: 'patch', key, patch: { a: 2 }, subject },
        { operation: 'increment', key: count, by: 2, subject },
        { operation: 'delete', key, subject },
      ]);
    },
  );

  if (name === 'GraphQL') continue;
  test.serial(
    `before_state_change › over ${name} is asked for each key that a transaction may write`,
    async (t) => {
      const seen: string[] = [];
      const guard: Handler = ({ operation, key, value }) => {
        seen.push(`${operation} ${key}`);
        return value === 'bad'
          ? { refuse: 'bad' }
          : operation === 'set'
            ? { change: { value: [value ?? null] } }
            : null;
      };
      hooks.set('guard', [entryOf('guard', 'before_state_change', guard, { match: [`t${index}/*`] })]);
      t.teardown(() => hooks.remove('guard'));
      const key = (letter: string): string => `t${index}/${letter}`;
      const transaction = (value: string) => ({
        compare: [{ key: key('none'), exists: false }],
        // biome-ignore lint/suspicious/noThenProperty: the name on the wire
        then: [
          { op: 'set', key: key('a'), value: 'x' },
          { op: 'increment', key: key('b') },
          { op: 'get', key: key('c') },
          { op: 'set', key: `other${index}`, value: 'x' },
        ],
        else: [{ op: 'set', key: key('d'), value }],
      });
      t.is((await run('TransactState', transaction('bad'))).code, 'plugin_refused');
      t.is(await stateOf(key('a')), undefined, 'nothing of it was done');
      seen.length = 0;
      t.is((await run('TransactState', transaction('good'))).code, 'done');
      t.deepEqual(seen.toSorted(), [`increment ${key('b')}`, `set ${key('a')}`, `set ${key('d')}`]);
      t.deepEqual(await stateOf(key('a')), ['x']);
      t.is(await stateOf(`other${index}`), 'x');
    },
  );

  test.serial(`before_service_register › over ${name} changes a registration, and refuses one`, async (t) => {
    const guard: Handler = ({ service }) => {
      const { name: given, tags } = service as Heard;
      if (given === `reg${index}bad`) return { refuse: 'bad' };
      return { change: { tags: ['checked', ...(tags as string[])], weight: 7, metadata: { by: 'guard' } } };
    };
    hooks.set('guard', [entryOf('guard', 'before_service_register', guard, { match: [`reg${index}*`] })]);
    t.teardown(() => hooks.remove('guard'));
    const service = (label: string) => ({
      id: label,
      name: label,
      version: '1.0.0',
      reach: 'socket',
      tags: ['own'],
    });
    t.is((await run('RegisterService', service(`reg${index}`))).code, 'done');
    const { body } = await request(url, 'GET', `/services/reg${index}`);
    t.like(body, { tags: ['checked', 'own'], weight: 7, metadata: { by: 'guard' } });
    t.is((await run('RegisterService', service(`reg${index}bad`))).code, 'plugin_refused');
    t.is((await request(url, 'GET', `/services/reg${index}bad`)).status, 404);
  });
}

const context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

test.serial('a repeated command › has the recorded answer, and nobody is asked or told again', async (t) => {
  let asked = 0;
  let told = 0;
  const ask: Handler = () => (++asked > 1 ? { refuse: 'again' } : { change: { payload: 'changed' } });
  const askState: Handler = () => (++asked > 1 ? { refuse: 'again' } : undefined);
  const see: Handler = () => {
    told++;
  };
  t.teardown(() => hooks.remove('guard'));
  for (const [command, handler] of [
    [{ type: 'PublishMessage', data: { topic: 'once.a', payload: 1 }, commandId: 'once-1' }, ask],
    [{ type: 'PublishMessage', data: { topic: 'once.b', payload: 1, messageId: 'm' } }, ask],
    [{ type: 'SetState', data: { key: 'once', value: 1 }, commandId: 'once-2' }, askState],
    [
      // biome-ignore lint/suspicious/noThenProperty: the name on the wire
      { type: 'TransactState', data: { then: [{ op: 'increment', key: 'once/n' }] }, commandId: 'once-3' },
      askState,
    ],
  ] as const) {
    asked = 0;
    told = 0;
    hooks.set('guard', [
      entryOf('guard', 'before_publish', handler),
      entryOf('guard', 'before_state_change', handler),
      entryOf('guard', 'after_publish', see),
      entryOf('guard', 'after_state_change', see),
    ]);
    const first = await hub.core.execute(command, context);
    const second = await hub.core.execute(command, context);
    t.true(first.ok && !first.value.duplicate, command.type);
    t.true(second.ok && second.value.duplicate, command.type);
    await until(() => told === 1);
    t.is(asked, 1);
  }
  const other = await hub.core.execute(
    { type: 'PublishMessage', data: { topic: 'once.a', payload: 2 }, commandId: 'once-1' },
    context,
  );
  t.like(other, { ok: false, problem: { code: 'idempotency_mismatch' } });
});

test.serial(
  'requests over the bus › are asked about without the address of their reply, and replies are not',
  async (t) => {
    const seen: Heard[] = [];
    const guard: Handler = (input) => {
      seen.push(input);
      return { change: { headers: { extra: 'x' } } };
    };
    hooks.set('guard', [entryOf('guard', 'before_publish', guard)]);
    t.teardown(() => hooks.remove('guard'));
    const responder = await openResponder(url, 'sums.add');
    const answering = request(url, 'POST', '/requests/sums.add', {
      body: { payload: 1, headers: { own: 'y' } },
    });
    const asked = await responder.next();
    t.is(asked.headers.extra, 'x');
    t.truthy(asked.headers['nexus-reply-to']);
    await responder.ws.ask({ type: 'reply', replyTo: asked.headers['nexus-reply-to'], payload: 2 });
    t.is((await answering).status, 200);
    t.deepEqual(
      seen.map(({ topic, headers }) => [topic, headers]),
      [['sums.add', { own: 'y' }]],
    );
    await responder.ws.close();
  },
);

test.serial('what a client may not do › is refused before a plugin is shown it', async (t) => {
  let asked = 0;
  hooks.set('guard', [
    entryOf('guard', 'before_state_change', () => {
      asked++;
    }),
  ]);
  t.teardown(() => hooks.remove('guard'));
  await hub.core.execute(
    { type: 'SetStatePolicy', data: { pattern: 'owned/*', owner: { subject: 'bob' } } },
    context,
  );
  const other = { ...context, subject: { id: 'eve', scopes: ['state:write:*'] } };
  const set = (key: string) => hub.core.execute({ type: 'SetState', data: { key, value: 1 } }, other);
  t.like(await set('owned/a'), { ok: false, problem: { code: 'forbidden' } });
  t.like(await set('nexus/a'), { ok: false, problem: { code: 'forbidden' } });
  t.is(asked, 0);
  t.true((await set('free')).ok);
  t.is(asked, 1);
});

test.serial(
  'before_publish › a change that no client could have sent is a fault of the plugin',
  async (t) => {
    t.teardown(() => hooks.remove('guard'));
    const wrong: readonly object[] = [
      { payload: 'x'.repeat(999_000) },
      { payload: 'x'.repeat(2_000_000) },
      { priority: 'URGENT' },
      { headers: { 'nexus-reply-to': 'me' } },
      { headers: { a: 'x'.repeat(5_000) } },
      { headers: { a: 1 } },
      { topic: 'another' },
      { ttlMs: 1 },
    ];
    for (const change of wrong) {
      hooks.set('guard', [entryOf('guard', 'before_publish', () => ({ change }))]);
      const refused = await publishOverRest('wrong.one', { payload: 1 });
      t.is(refused.code, 'plugin_failed', JSON.stringify(change).slice(0, 80));
    }
    t.deepEqual(await eventsOf('topic-wrong.one'), []);
    hooks.set('guard', [
      entryOf('guard', 'before_publish', () => ({ change: wrong[2] }), { onFailure: 'skip' }),
    ]);
    await publishOverRest('wrong.one', { payload: 1 });
    t.like(await newest('wrong.one'), { payload: 1, priority: 'NORMAL' });
    t.deepEqual(
      hub.logged.filter(({ level }) => level === 'error'),
      [],
    );
  },
);
