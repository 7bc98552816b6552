import test from 'ava';
import { makeGroup } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { type Frame, openWs, type WsClient } from '../support/ws-client.ts';

// biome-ignore-start lint/suspicious/noThenProperty: numbers and effects, by the name that they have on the wire

const hub = await openHub({ wsFramesPerSec: 0 });
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

type Order = { readonly id: string; readonly items: readonly number[] };
type Work = (order: Order, messageId: unknown, send: (frame: object) => Promise<Frame>) => Promise<void>;

/** A subscriber as teams write them: what it does because of a message names it as the cause. */
const serve = async (ws: WsClient, messages: number, work: Work): Promise<void> => {
  for (let served = 0; served < messages; served++) {
    const { messageId, payload } = await ws.waitForType('message');
    await work(payload as Order, messageId, (frame) => ws.ask({ ...frame, causationId: messageId }));
  }
};

const totalOf = ({ items }: Order): number => items.reduce((sum, price) => sum + price, 0);

/** The first version bills every order. */
const bill: Work = async (order, _messageId, send) => {
  const invoice = { order: order.id, total: totalOf(order) };
  await send({ type: 'publish', topic: 'invoices.created', payload: invoice, key: order.id });
  await send({
    type: 'command',
    command: { type: 'SetState', data: { key: `billed/${order.id}`, value: invoice.total } },
  });
};

/** The second one adds a tax, bills no empty order, and tells the warehouse. */
const billWithTax: Work = async (order, _messageId, send) => {
  if (order.items.length === 0) return;
  const invoice = { order: order.id, total: totalOf(order) + 1, tax: 1 };
  await send({ type: 'publish', topic: 'invoices.created', payload: invoice, key: order.id });
  await send({
    type: 'command',
    command: { type: 'SetState', data: { key: `billed/${order.id}`, value: totalOf(order) } },
  });
  if (order.id === 'o-3') await send({ type: 'publish', topic: 'warehouse.pick', payload: order.id });
};

const orders: readonly Order[] = [
  { id: 'o-1', items: [5, 7] },
  { id: 'o-2', items: [] },
  { id: 'o-3', items: [1] },
];

const position = async (own = hub): Promise<unknown> => (await own.core.health()).log.position;

/** Orders that the first version has billed. */
const billed = async (): Promise<{ readonly from: unknown; readonly ids: readonly unknown[] }> => {
  const from = await position();
  const worker = await openWs(hub.url);
  await worker.ask({ type: 'subscribe', topic: 'orders.placed' });
  const ids: unknown[] = [];
  for (const payload of orders) {
    const { body } = await request(hub.url, 'POST', '/events/orders.placed', { body: { payload } });
    ids.push(body.messageId);
  }
  await serve(worker, orders.length, bill);
  await worker.close();
  return { from, ids };
};

const dryRun = async (ws: WsClient, body: object): Promise<Frame> => {
  const told = await ws.ask({ type: 'replay', dryRun: true, subscription: 'dry', ...body });
  if (told.type !== 'replaying') throw new Error(JSON.stringify(told));
  return told;
};
const finish = (ws: WsClient): Promise<Frame> => ws.ask({ type: 'finish', subscription: 'dry' });

test.serial('the same version › differs in nothing, and writes nothing', async (t) => {
  const { from } = await billed();
  const before = await position();
  const ws = await openWs(hub.url);
  t.like(await dryRun(ws, { topic: 'orders.placed', from }), { dryRun: true, topic: 'orders.placed' });
  await serve(ws, orders.length, bill);
  const { id: _id, ...report } = await finish(ws);
  t.deepEqual(report, {
    type: 'dryRunReport',
    subscription: 'dry',
    messages: 3,
    captured: 6,
    then: 6,
    differences: [],
  });
  t.is(await position(), before);
  // From then on what is sent is done.
  t.like(await ws.ask({ type: 'publish', topic: 'after.dry', payload: 1 }), { type: 'published' });
  t.not(await position(), before);
  await ws.close();
});

test.serial('a new version › is told by message what it does no more, anew, and otherwise', async (t) => {
  const { from, ids } = await billed();
  const before = await position();
  const ws = await openWs(hub.url);
  await dryRun(ws, { topic: 'orders.placed', from });
  await serve(ws, orders.length, billWithTax);
  t.like(await ws.waitForType('replayed'), { subscription: 'dry', messages: 3 });
  const report = await finish(ws);
  t.like(report, { messages: 3, captured: 5, then: 6 });
  const invoice = (key: string, payload: object) => ({
    type: 'message',
    topic: 'invoices.created',
    payload,
    priority: 'NORMAL',
    key,
  });
  const changedTo = (key: string, total: number) => ({
    then: invoice(key, { order: key, total }),
    now: invoice(key, { order: key, total: total + 1, tax: 1 }),
    patch: [
      { op: 'replace', path: '/payload/total', value: total + 1 },
      { op: 'add', path: '/payload/tax', value: 1 },
    ],
  });
  t.deepEqual(report.differences, [
    { cause: ids[0], onlyThen: [], onlyNow: [], changed: [changedTo('o-1', 12)] },
    {
      cause: ids[1],
      onlyThen: [invoice('o-2', { order: 'o-2', total: 0 }), { type: 'state', key: 'billed/o-2', value: 0 }],
      onlyNow: [],
      changed: [],
    },
    {
      cause: ids[2],
      onlyThen: [],
      onlyNow: [{ type: 'message', topic: 'warehouse.pick', payload: 'o-3', priority: 'NORMAL' }],
      changed: [changedTo('o-3', 1)],
    },
  ]);
  t.is(await position(), before);
  await ws.close();
});

test.serial('no frame of a dry run writes › publish, every command, request and reply', async (t) => {
  await request(hub.url, 'PUT', '/subscriptions/dry-sub', { body: { topic: 'dry.>' } });
  await request(hub.url, 'POST', '/services', {
    body: { id: 'dry-1', name: 'dry', version: '1.0.0', host: '127.0.0.1', port: 9 },
  });
  await request(hub.url, 'POST', '/services', {
    body: { id: 'old-1', name: 'old', version: '1.0.0', host: '127.0.0.1', port: 9, methods: { add: {} } },
  });
  await request(hub.url, 'DELETE', '/services/old-1');
  const asked = await openWs(hub.url);
  await asked.ask({ type: 'subscribe', topic: 'dry.asked' });
  const asker = await openWs(hub.url);
  asker.send({ type: 'request', topic: 'dry.asked', payload: 1, timeoutMs: 300_000 });
  const { headers } = await asked.waitForType('message');
  const replyTo = (headers as Frame)['nexus-reply-to'];

  const ws = await openWs(hub.url);
  await dryRun(ws, { topic: 'dry.>', from: 'start' });
  await ws.waitForType('replayed');
  const before = await position();
  const commands = {
    RegisterService: { name: 'other', version: '1.0.0', host: '127.0.0.1', port: 9 },
    UpdateService: { id: 'dry-1', weight: 7 },
    DeregisterService: { id: 'dry-1' },
    RetireInterface: { name: 'old', major: '1' },
    SetState: { key: 'dry/a', value: 1, expectedVersion: 77 },
    DeleteState: { key: 'dry/a' },
    PatchState: { key: 'dry/a', format: 'merge-patch', patch: { a: 1 } },
    IncrementState: { key: 'dry/a' },
    TransactState: { then: [{ op: 'set', key: 'dry/a', value: 1 }] },
    AcquireLock: { key: 'dry/a', ttlMs: 60_000 },
    RenewLock: { key: 'dry/a', token: 1, ttlMs: 60_000 },
    ReleaseLock: { key: 'dry/a' },
    SetStatePolicy: { pattern: 'dry/*', maxKeys: 1 },
    RemoveStatePolicy: { pattern: 'dry/*' },
    PublishMessage: { topic: 'dry.b', payload: 1, messageId: 'mine' },
    CreateSubscription: { name: 'dry-new', topic: 'dry.>' },
    DeleteSubscription: { name: 'dry-sub' },
    PauseSubscription: { name: 'dry-sub' },
    ResumeSubscription: { name: 'dry-sub' },
    ResetSubscription: { name: 'dry-sub', to: 'start' },
    RedriveDeadLetters: { name: 'dry-sub', all: true },
    DiscardDeadLetters: { name: 'dry-sub', all: true },
    ReplayMessages: { name: 'dry-sub', from: 'start' },
    StopReplays: { name: 'dry-sub' },
    SetRetention: { topic: 'dry.>', maxMessages: 1 },
    RemoveRetention: { topic: 'dry.>' },
    CreateApiKey: { name: 'dry', scopes: ['admin'] },
    RevokeApiKey: { id: '0'.repeat(24) },
    RevokeToken: { jti: 'dry' },
    EnablePlugin: { name: 'state-resolver' },
    DisablePlugin: { name: 'state-resolver' },
    ReloadPlugin: { name: 'state-resolver' },
  };
  const { body } = await request(hub.url, 'POST', '/commands', { body: { type: 'None', data: {} } });
  const known = /one of (.*)$/.exec(String((body.errors as readonly Frame[])[0]?.detail))?.[1]?.split(', ');
  t.deepEqual(Object.keys(commands).toSorted(), known?.toSorted(), 'every command is tried');
  for (const [type, data] of Object.entries(commands)) {
    const done = await ws.ask({ type: 'command', command: { type, data, commandId: `c-${type}` } });
    t.like(done, { type: 'result', commandId: `c-${type}`, events: [], position: null, dryRun: true }, type);
  }
  const published = await ws.ask({ type: 'publish', topic: 'dry.a', payload: 1 });
  t.like(published, { type: 'published', position: null, dryRun: true });
  t.is(typeof published.messageId, 'string');
  t.like(await ws.ask({ type: 'publish', topic: 'dry.a', payload: 1, messageId: 'own' }), {
    messageId: 'own',
  });
  const requested = await ws.ask({ type: 'request', topic: 'dry.a', payload: 1 });
  t.like(requested, { type: 'published', requestId: requested.messageId, position: null, dryRun: true });
  t.like(await ws.ask({ type: 'reply', replyTo, payload: 'pretended' }), {
    type: 'published',
    requestId: (headers as Frame)['nexus-request-id'],
    position: null,
    dryRun: true,
  });
  for (const type of ['ack', 'nak', 'term', 'extend']) {
    t.like(await ws.ask({ type, delivery: 'd' }), { type: 'error', code: 'stale_delivery' });
  }
  t.like(await finish(ws), { captured: Object.keys(commands).length + 4 });
  t.is(await position(), before);
  t.like(await asked.ask({ type: 'reply', replyTo, payload: 'true' }), { type: 'published' });
  t.like(await asker.waitForType('reply'), { payload: 'true' });
  for (const one of [ws, asked, asker]) await one.close();
});

test.serial('what the real thing would refuse › is refused, and not taken down', async (t) => {
  const ws = await openWs(hub.url);
  await dryRun(ws, { topic: 'nothing.here', from: 'start' });
  const command = (type: string, data: object) => ({ type: 'command', command: { type, data } });
  for (const [frame, code] of [
    [{ type: 'publish', topic: 'a..b', payload: 1 }, 'invalid'],
    [{ type: 'publish', topic: 'a' }, 'invalid'],
    [{ type: 'publish', topic: 'a', payload: 1, priority: 'NOW' }, 'invalid'],
    [{ type: 'publish', topic: 'a', payload: 'x'.repeat(1_000_001) }, 'too_large'],
    [command('Nothing', {}), 'invalid'],
    [command('SetState', { key: '', value: 1 }), 'invalid'],
    [command('UpdateService', { id: 'a' }), 'invalid'],
    [command('PauseSubscription', { name: 'nobody' }), 'not_found'],
    [command('CreateSubscription', { name: 'n', topic: 'a', from: 'yesterday' }), 'invalid'],
    [{ type: 'request', topic: 'a', payload: 1, timeoutMs: 0 }, 'invalid'],
    [{ type: 'request', topic: 'a.*', payload: 1 }, 'invalid'],
    [{ type: 'reply', replyTo: 'nobody', payload: 1 }, 'not_found'],
    [{ type: 'reply', replyTo: 'nobody' }, 'invalid'],
  ] as const) {
    const answer = await ws.ask(frame);
    t.like(answer, { type: 'error', code }, JSON.stringify(frame).slice(0, 200));
    t.false('dryRun' in answer);
  }
  t.like(await finish(ws), { captured: 0, differences: [] });
  await ws.close();
});

test.serial('scopes › hold in a dry run, and what may not be read is not told', async (t) => {
  const as = (scope: string, subject = 'bob') => ({ authorization: `Bearer ${signToken(subject, scope)}` });
  const call = (path: string, body: object, headers: Readonly<Record<string, string>>) =>
    request(guarded.url, 'POST', path, { body, headers });
  const from = await position(guarded);
  const { messageId } = (await call('/events/orders.placed', { payload: 1 }, as('admin', 'shop'))).body;
  const cause = { 'x-causation-id': String(messageId) };
  await call('/events/bills.a', { payload: 'open' }, { ...as('admin'), ...cause });
  await call('/events/secret.a', { payload: 'hidden' }, { ...as('admin'), ...cause });
  await call('/events/bills.a', { payload: 'another’s' }, { ...as('admin', 'eve'), ...cause });
  await call(
    '/services',
    { id: 'eves', name: 'eves', version: '1.0.0', host: '10.0.0.1', port: 9 },
    as('admin', 'eve'),
  );

  const scope = 'events:read:orders.> events:read:bills.> events:publish:bills.> services:write';
  const run = async (more: object) => {
    const ws = await openWs(guarded.url, { headers: as(scope) });
    await dryRun(ws, { topic: 'orders.>', from, ...more });
    await ws.waitForType('replayed');
    return ws;
  };
  const ws = await run({});
  t.like(await ws.ask({ type: 'publish', topic: 'secret.a', payload: 1 }), { code: 'forbidden' });
  t.like(await ws.ask({ type: 'command', command: { type: 'SetState', data: { key: 'a', value: 1 } } }), {
    code: 'forbidden',
  });
  t.like(await ws.ask({ type: 'command', command: { type: 'DeregisterService', data: { id: 'eves' } } }), {
    code: 'id_taken',
  });
  // Of the last message that came, as it names none.
  t.like(await ws.ask({ type: 'publish', topic: 'bills.a', payload: 'changed' }), { dryRun: true });
  const report = await finish(ws);
  t.like(report, { messages: 1, captured: 1, then: 1, hidden: 1 });
  t.like(report.differences, [
    {
      cause: messageId,
      onlyThen: [],
      onlyNow: [],
      changed: [{ then: { payload: 'open' }, now: { payload: 'changed' } }],
    },
  ]);
  const other = await run({ actor: 'eve' });
  t.like(await finish(other), {
    captured: 0,
    then: 1,
    differences: [{ cause: messageId, onlyThen: [{ payload: 'another’s' }] }],
  });
  t.false(JSON.stringify(report).includes('hidden"}') || JSON.stringify(report).includes('another’s'));
  for (const one of [ws, other]) await one.close();
});

test.serial('a dry run › lasts until it is finished, whatever becomes of its replay', async (t) => {
  await request(hub.url, 'POST', '/events/lasting.a', { body: { payload: 1 } });
  const ws = await openWs(hub.url);
  await dryRun(ws, { topic: 'lasting.a', from: 'start' });
  await ws.waitForType('replayed');
  const before = await position();
  t.like(await ws.ask({ type: 'replay', topic: 'lasting.a', from: 'start', dryRun: true }), {
    code: 'invalid',
  });
  const group = await makeGroup(hub.url);
  const begun = await position();
  t.not(begun, before);
  t.like(await ws.ask({ type: 'subscribe', group: group.name }), { code: 'invalid' });
  // A replay and a subscription that are none of it are as ever.
  t.like(await ws.ask({ type: 'replay', topic: 'lasting.a', from: 'start' }), { type: 'replaying' });
  t.like(await ws.ask({ type: 'publish', topic: 'lasting.b', payload: 1, causationId: 'no-message' }), {
    dryRun: true,
  });
  t.like(await ws.ask({ type: 'finish', subscription: 'other' }), { code: 'not_found' });
  t.like(await ws.ask({ type: 'publish', topic: 'lasting.b', payload: 2 }), { dryRun: true });
  t.is(await position(), begun);
  const report = await finish(ws);
  t.like(report, { captured: 2 });
  t.deepEqual(
    (report.differences as readonly Frame[]).map(({ cause }) => cause === 'no-message'),
    [false, true],
  );
  t.like(await finish(ws), { code: 'not_found' });
  await ws.close();
});

test.serial(
  'finish in the middle of a replay › ends it, and unsubscribe leaves the dry run on',
  async (t) => {
    for (const payload of [1, 2]) await request(hub.url, 'POST', '/events/middle.a', { body: { payload } });
    for (const end of ['finish', 'unsubscribe']) {
      const ws = await openWs(hub.url);
      await dryRun(ws, { topic: 'middle.>', from: 'start', speed: 0.000_001 });
      await ws.waitForType('message');
      if (end === 'unsubscribe') {
        await ws.ask({ type: 'unsubscribe', subscription: 'dry' });
        t.like(await ws.ask({ type: 'publish', topic: 'middle.b', payload: 1 }), { dryRun: true });
      }
      const report = await finish(ws);
      t.is(report.type, 'dryRunReport');
      t.true(Number(report.messages) >= 1);
      t.false('dryRun' in (await ws.ask({ type: 'publish', topic: 'elsewhere', payload: 1 })));
      await ws.close();
    }
  },
);

test.serial('a consumer of a durable subscription › has no dry run beside it', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name, subscription: 'g' });
  const frame = { type: 'replay', topic: group.topic, from: 'start', dryRun: true };
  t.like(await ws.ask(frame), { type: 'error', code: 'invalid' });
  await ws.ask({ type: 'unsubscribe', subscription: 'g' });
  t.like(await ws.ask(frame), { type: 'replaying' });
  await ws.close();
});

// biome-ignore-end lint/suspicious/noThenProperty: see above
