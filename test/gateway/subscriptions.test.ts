import test from 'ava';
import { makeGroup } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';

const hub = await openHub();
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

const defaults = {
  ackWaitMs: 30_000,
  maxDeliver: 5,
  backoffMs: [1_000, 5_000, 30_000, 120_000],
  maxInFlight: 1_000,
  order: 'none',
};

test('PUT › makes a subscription with the defaults, and answers 200 with what it is when it is there', async (t) => {
  const made = await request(hub.url, 'PUT', '/subscriptions/put-1', { body: { topic: 'put.*' } });
  t.is(made.status, 201);
  t.regex(made.headers.get('x-nexus-position') ?? '', /^[0-9a-f]{16,32}$/);
  const { createdAt, position, ...rest } = made.body;
  t.deepEqual(rest, {
    name: 'put-1',
    status: 'active',
    topic: 'put.*',
    ...defaults,
    createdBy: 'local',
    owner: null,
    lagEvents: 0,
    inFlight: 0,
    gap: null,
    deadLetters: 0,
  });
  t.is(typeof createdAt, 'string');
  t.regex(String(position), /^[0-9a-f]{16,32}$/);
  const again = await request(hub.url, 'PUT', '/subscriptions/put-1', { body: { topic: 'put.*' } });
  t.is(again.status, 200);
  t.deepEqual({ ...again.body, position }, made.body);
});

test('PUT › of one that is there gives it the settings, and leaves it where it stands', async (t) => {
  const group = await makeGroup(hub.url);
  await group.publish(1);
  const settings = {
    topic: group.topic,
    from: 'start',
    ackWaitMs: 100,
    maxDeliver: 1,
    backoffMs: [0],
    maxInFlight: 5_000,
    order: 'key',
  };
  const { from, ...told } = settings;
  const changed = await group.call('PUT', '', settings);
  t.is(changed.status, 200);
  t.like(changed.body, told);
  t.like(await group.view(), { ...told, lagEvents: 1 });
});

test('GET › one, all of them, and 404 for one that is not there', async (t) => {
  const group = await makeGroup(hub.url);
  const one = await request(hub.url, 'GET', `/subscriptions/${group.name}`);
  t.is(one.status, 200);
  t.like(one.body, { name: group.name, topic: group.topic });
  const all = await request(hub.url, 'GET', '/subscriptions');
  t.is(all.status, 200);
  t.regex(String(all.body.position), /^[0-9a-f]{16,32}$/);
  const names = (all.body.subscriptions as readonly { readonly name: string }[]).map(({ name }) => name);
  t.true(names.includes(group.name));
});

test('DELETE › ends it, with a reason or without; its name begins anew, without the dead letters', async (t) => {
  const group = await makeGroup(hub.url, { maxDeliver: 1 });
  await group.publish(1);
  await group.settle('term', await group.pull(), { reason: 'broken' });
  await group.lettersWhen(1);
  const gone = await group.call('DELETE', '', { reason: 'unused' });
  t.is(gone.status, 204);
  t.regex(gone.headers.get('x-nexus-position') ?? '', /^[0-9a-f]{16,32}$/);
  t.is((await group.call('GET', '')).status, 404);
  t.is((await group.call('DELETE', '')).status, 404);
  t.is((await group.call('PUT', '', { topic: group.topic })).status, 201);
  t.like(await group.view(), { deadLetters: 0, lagEvents: 0 });
  t.deepEqual(await group.letters(), []);
  t.deepEqual((await group.call('POST', '/dead-letters/redrive', { all: true })).body, { done: 0 });
  const { body } = await request(hub.url, 'GET', `/streams/subscription-${group.name}?limit=100`);
  const events = body.events as readonly { readonly type: string; readonly data: unknown }[];
  t.deepEqual(events.find(({ type }) => type === 'SubscriptionDeleted')?.data, { reason: 'unused' });
});

const needsOne = [
  ['GET', '', undefined],
  ['DELETE', '', undefined],
  ['POST', '/pull', {}],
  ['POST', '/ack', { deliveries: ['d'] }],
  ['POST', '/nak', { deliveries: ['d'] }],
  ['POST', '/term', { deliveries: ['d'] }],
  ['POST', '/extend', { deliveries: ['d'] }],
  ['POST', '/reset', { to: 'start' }],
  ['POST', '/pause', {}],
  ['POST', '/resume', {}],
  ['GET', '/dead-letters', undefined],
  ['POST', '/dead-letters/redrive', { all: true }],
  ['POST', '/dead-letters/discard', { all: true }],
] as const;

for (const [method, route, body] of needsOne) {
  test(`${method} …${route} › of a subscription that is not there is 404`, async (t) => {
    for (const name of ['never-was', 'a%2Fb', 'x'.repeat(129)]) {
      const path = `/subscriptions/${name}${route}`;
      const answer = await request(hub.url, method, path, body === undefined ? {} : { body });
      t.true(answer.status === 404 || (answer.status === 422 && name !== 'never-was'), `${answer.status}`);
      if (name === 'never-was') t.is(answer.body.code, 'not_found');
    }
  });

  test(`${method} …${route} › needs events:read of the whole pattern`, async (t) => {
    const url = guarded.url;
    const name = `scope${route.replaceAll('/', '-')}-${method.toLowerCase()}`;
    const owner = { authorization: `Bearer ${signToken('ada', 'events:read:scope.>')}` };
    await request(url, 'PUT', `/subscriptions/${name}`, { headers: owner, body: { topic: 'scope.>' } });
    for (const scope of [
      'events:read:scope.*',
      'events:read:other.>',
      'events:publish:scope.>',
      'log:read',
    ]) {
      const headers = { authorization: `Bearer ${signToken('eve', scope)}` };
      const answer = await request(url, method, `/subscriptions/${name}${route}`, {
        headers,
        ...(body === undefined ? {} : { body }),
      });
      t.is(answer.status, 403, scope);
      t.like(answer.body, { code: 'forbidden', scope: 'events:read:scope.>' });
    }
    const allowed = await request(url, method, `/subscriptions/${name}${route}`, {
      headers: owner,
      ...(body === undefined ? {} : { body }),
    });
    t.true(allowed.status < 300, `${allowed.status} ${JSON.stringify(allowed.body)}`);
  });
}

test('PUT › needs events:read of the pattern it asks for, and of the one that is there', async (t) => {
  const put = (scope: string, name: string, topic: string) =>
    request(guarded.url, 'PUT', `/subscriptions/${name}`, {
      headers: { authorization: `Bearer ${signToken('ada', scope)}` },
      body: { topic },
    });
  const wide = await put('events:read:orders.*', 'put-scope', 'orders.>');
  t.is(wide.status, 403);
  t.like(wide.body, { code: 'forbidden', scope: 'events:read:orders.>' });
  t.is((await put('events:read:orders.>', 'put-scope', 'orders.>')).status, 201);
  // Whoever may read no more than a part cannot take the whole over by narrowing it.
  t.is((await put('events:read:orders.*', 'put-scope', 'orders.*')).status, 403);
});

test('GET /subscriptions › lists those whose whole pattern the token may read', async (t) => {
  const admin = { authorization: `Bearer ${signToken('root', 'admin')}` };
  for (const [name, topic] of [
    ['list-1', 'list.a'],
    ['list-2', 'list.>'],
  ] as const) {
    await request(guarded.url, 'PUT', `/subscriptions/${name}`, { headers: admin, body: { topic } });
  }
  const names = async (scope: string) => {
    const headers = { authorization: `Bearer ${signToken('ada', scope)}` };
    const { body } = await request(guarded.url, 'GET', '/subscriptions', { headers });
    return (body.subscriptions as readonly { readonly name: string }[]).map(({ name }) => name);
  };
  t.deepEqual(await names('events:read:list.*'), ['list-1']);
  t.deepEqual(await names('events:read:list.>'), ['list-1', 'list-2']);
  t.deepEqual(await names('log:read'), []);
});

test('redrive › with another payload needs events:publish too', async (t) => {
  const url = guarded.url;
  const as = (scope: string) => ({ authorization: `Bearer ${signToken('ada', scope)}` });
  const reader = as('events:read:edit.a');
  await request(url, 'PUT', '/subscriptions/edit', { headers: reader, body: { topic: 'edit.a' } });
  const body = { all: true, payload: 1 };
  const redrive = (scope: string) =>
    request(url, 'POST', '/subscriptions/edit/dead-letters/redrive', { headers: as(scope), body });
  const refused = await redrive('events:read:edit.a');
  t.is(refused.status, 403);
  t.like(refused.body, { scope: 'events:publish:edit.a' });
  t.is((await redrive('events:read:edit.a events:publish:edit.a')).status, 200);
});

const wrong: readonly (readonly [string, string, unknown, pointers: readonly string[]])[] = [
  ['PUT', '', {}, ['/topic']],
  ['PUT', '', { topic: 'a..b' }, ['/topic']],
  ['PUT', '', { topic: 'a.>.b' }, ['/topic']],
  ['PUT', '', { topic: 'a', from: 'yesterday' }, ['/from']],
  ['PUT', '', { topic: 'a', ackWaitMs: 99, maxDeliver: 0 }, ['/ackWaitMs', '/maxDeliver']],
  ['PUT', '', { topic: 'a', backoffMs: [] }, ['/backoffMs']],
  ['PUT', '', { topic: 'a', backoffMs: [1, -1] }, ['/backoffMs/1']],
  ['PUT', '', { topic: 'a', maxInFlight: 5_001, order: 'topic' }, ['/maxInFlight', '/order']],
  ['PUT', '', { topic: 'a', name: 'other' }, ['/name']],
  ['PUT', '', [], ['']],
  ['POST', '/pull', { max: 0 }, ['/max']],
  ['POST', '/pull', { max: 1_001, waitMs: 60_001 }, ['/max', '/waitMs']],
  ['POST', '/pull', [], ['']],
  ['POST', '/ack', {}, ['/deliveries']],
  ['POST', '/ack', { deliveries: [] }, ['/deliveries']],
  ['POST', '/ack', { deliveries: [''] }, ['/deliveries/0']],
  ['POST', '/ack', { deliveries: ['d'], delayMs: 1 }, ['/delayMs']],
  ['POST', '/nak', { deliveries: ['d'], delayMs: -1 }, ['/delayMs']],
  ['POST', '/term', { deliveries: ['d'], reason: '' }, ['/reason']],
  ['POST', '/ack', { deliveries: ['d'], durable: 'yes' }, ['/durable']],
  ['POST', '/reset', {}, ['/to']],
  ['POST', '/reset', { to: 'yesterday' }, ['/to']],
  ['POST', '/pause', { reason: 1 }, ['/reason']],
  ['POST', '/dead-letters/redrive', {}, ['']],
  ['POST', '/dead-letters/redrive', { all: false }, ['/all']],
  ['POST', '/dead-letters/redrive', { all: true, errorLike: 'e' }, ['']],
  ['POST', '/dead-letters/redrive', { messageIds: [] }, ['/messageIds']],
  ['POST', '/dead-letters/discard', { messageIds: ['m'], payload: 1 }, ['']],
  ['GET', '/dead-letters?cursor=x', undefined, ['/cursor']],
  ['GET', '/dead-letters?limit=0', undefined, ['/limit']],
  ['GET', '/dead-letters?error=x', undefined, ['/error']],
  ['GET', '?x=1', undefined, ['/x']],
];

test('input of the wrong shape › is 422 with a pointer for each fault', async (t) => {
  const { name } = await makeGroup(hub.url);
  for (const [method, route, body, pointers] of wrong) {
    const path = `/subscriptions/${name}${route}`;
    const answer = await request(hub.url, method, path, body === undefined ? {} : { body });
    const what = `${method} ${route} ${JSON.stringify(body)}`;
    t.is(answer.status, 422, what);
    t.is(answer.body.code, 'invalid', what);
    const errors = answer.body.errors as readonly { readonly pointer: string }[];
    t.deepEqual(
      errors.map(({ pointer }) => pointer),
      [...pointers],
      what,
    );
  }
  const badName = await request(hub.url, 'PUT', '/subscriptions/a%20b', { body: { topic: 'a' } });
  t.is(badName.status, 422);
  t.like(badName.body, { errors: [{ pointer: '/name' }] });
  const nowhere = await request(hub.url, 'PUT', '/subscriptions/nowhere', {
    body: { topic: 'a', from: 'yesterday' },
  });
  t.is(nowhere.status, 422);
  t.like(nowhere.body, { errors: [{ pointer: '/from' }] });
});

test('a method that a path does not take › is 405 with those that it does', async (t) => {
  for (const [method, route, allow] of [
    ['PATCH', '', 'GET'],
    ['POST', '', 'PUT'],
    ['GET', '/pull', 'POST'],
    ['POST', '/dead-letters', 'GET'],
  ] as const) {
    const answer = await request(hub.url, method, `/subscriptions/x${route}`, { body: {} }).catch(() =>
      request(hub.url, method, `/subscriptions/x${route}`),
    );
    t.is(answer.status, 405, `${method} ${route}`);
    t.true((answer.headers.get('allow') ?? '').includes(allow), `${method} ${route}`);
  }
  t.is((await request(hub.url, 'GET', '/subscriptions/x/nothing')).status, 404);
});

test('POST /commands › takes each of the commands, with what its route answers as the result', async (t) => {
  const group = await makeGroup(hub.url);
  const { name, topic } = group;
  const run = async (type: string, data: object) => {
    const answer = await request(hub.url, 'POST', '/commands', { body: { type, data: { name, ...data } } });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    const { events, result } = answer.body;
    return { types: (events as readonly { readonly type: string }[]).map(({ type: of }) => of), result };
  };
  const changed = await run('CreateSubscription', { topic, maxDeliver: 1 });
  t.deepEqual(changed.types, ['SubscriptionUpdated']);
  t.like(changed.result, { name, maxDeliver: 1, status: 'active' });
  const paused = await run('PauseSubscription', { reason: 'release' });
  t.deepEqual(paused.types, ['SubscriptionPaused']);
  t.like(paused.result, { name, status: 'paused' });
  const resumed = await run('ResumeSubscription', {});
  t.deepEqual(resumed.types, ['SubscriptionResumed']);
  t.like(resumed.result, { status: 'active' });
  await group.publish(1, 2);
  await group.settle('term', await group.pull(1));
  await group.settle('term', await group.pull(1));
  const [letter] = await group.lettersWhen(2);
  const redriven = await run('RedriveDeadLetters', { messageIds: [letter?.messageId] });
  t.deepEqual(redriven.types, ['DeadLettersRedriven']);
  t.deepEqual(redriven.result, { done: 1 });
  const discarded = await run('DiscardDeadLetters', { all: true });
  t.deepEqual(discarded.types, ['DeadLettersDiscarded']);
  t.deepEqual(discarded.result, { done: 1 });
  const reset = await run('ResetSubscription', { to: 'now' });
  t.deepEqual(reset.types, ['SubscriptionReset']);
  t.like(reset.result, { name });
  const deleted = await run('DeleteSubscription', {});
  t.deepEqual(deleted.types, ['SubscriptionDeleted']);
  const again = await request(hub.url, 'POST', '/commands', {
    body: { type: 'DeleteSubscription', data: { name } },
  });
  t.is(again.status, 404);
  const nameless = await request(hub.url, 'POST', '/commands', {
    body: { type: 'PauseSubscription', data: {} },
  });
  t.is(nameless.status, 422);
  t.like(nameless.body, { errors: [{ pointer: '/data/name' }] });
});
