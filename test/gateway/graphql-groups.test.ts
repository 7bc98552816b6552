import test from 'ava';
import { askGraphql } from '../support/graphql.ts';
import { makeGroup, payloadsOf, pullAll } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';

const hub = await openHub();
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

const dataOf = async (query: string, variables?: object): Promise<Readonly<Record<string, unknown>>> => {
  const { data, errors } = await askGraphql(hub, query, variables);
  if (errors.length > 0 || data === null || data === undefined) throw new Error(JSON.stringify(errors));
  return data;
};
const codeOf = async (query: string, variables?: object): Promise<unknown> =>
  (await askGraphql(hub, query, variables)).errors[0]?.extensions.code;

const all = `name status topic ackWaitMs maxDeliver backoffMs maxInFlight order createdAt createdBy owner position
  lagEvents inFlight deadLetters gap { from to }`;

/** A group whose messages of these payloads are dead letters. */
const withLetters = async (...payloads: readonly unknown[]) => {
  const group = await makeGroup(hub.url, { maxDeliver: 1, backoffMs: [0] });
  await group.publish(...payloads);
  await group.settle('nak', await pullAll(group, payloads.length), { reason: 'no stock' });
  return { group, letters: await group.lettersWhen(payloads.length) };
};

test('subscriptions and subscription › are what REST tells of them, and one that is not there is null', async (t) => {
  const group = await makeGroup(hub.url, { order: 'key' });
  await group.publish(1);
  const { subscription } = await dataOf(`{ subscription(name: "${group.name}") { ${all} } }`);
  t.deepEqual(subscription, await group.view());
  t.like(subscription, { order: 'key', lagEvents: 1 });
  const { subscriptions } = await dataOf('{ subscriptions { name topic } }');
  const found = (subscriptions as readonly { readonly name: string }[]).find(
    ({ name }) => name === group.name,
  );
  t.deepEqual(found, { name: group.name, topic: group.topic });
  t.deepEqual(await dataOf('{ subscription(name: "never-was") { name } }'), { subscription: null });
});

test('createSubscription › makes one, changes one, and a fault has its code and pointers', async (t) => {
  const create = `mutation ($topic: String!, $max: Int) {
    createSubscription(name: "gq-made", topic: $topic, from: "start", maxDeliver: $max, backoffMs: [0, 1]) {
      success name created position subscription { name topic maxDeliver backoffMs position }
    }
  }`;
  const made = await dataOf(create, { topic: 'gq-made.a' });
  t.like(made.createSubscription, {
    success: true,
    name: 'gq-made',
    created: true,
    subscription: { name: 'gq-made', topic: 'gq-made.a', maxDeliver: 5, backoffMs: [0, 1] },
  });
  const changed = await dataOf(create, { topic: 'gq-made.a', max: 9 });
  t.like(changed.createSubscription, { created: false, subscription: { maxDeliver: 9 } });
  const { errors } = await askGraphql(hub, create, { topic: 'gq..made' });
  t.like(errors[0]?.extensions, { code: 'invalid', errors: [{ pointer: '/topic' }] });
});

test('pause, resume, reset and delete › do what the routes do', async (t) => {
  const group = await makeGroup(hub.url);
  await group.publish(1);
  await group.settle('ack', await group.pull());
  const change = async (field: string, more = '') =>
    (
      await dataOf(
        `mutation { ${field}(name: "${group.name}"${more}) { success name position subscription { status } } }`,
      )
    )[field];
  t.like(await change('pauseSubscription', ', reason: "release"'), { subscription: { status: 'paused' } });
  t.like(await change('resumeSubscription'), { success: true, subscription: { status: 'active' } });
  t.like(await change('resetSubscription', ', to: "start"'), { name: group.name });
  t.deepEqual(payloadsOf(await group.pull()), [1]);
  const remove = `mutation { deleteSubscription(name: "${group.name}") { success name position } }`;
  t.like((await dataOf(remove)).deleteSubscription, { success: true, name: group.name });
  t.is(await codeOf(remove), 'not_found');
  t.is(await codeOf(`mutation { pauseSubscription(name: "${group.name}") { success } }`), 'not_found');
});

test('deadLetters › has each with its message, in order, from behind a position on', async (t) => {
  const { group, letters } = await withLetters(1, 2, 3);
  const page = async (more: string) =>
    (
      await dataOf(
        `{ deadLetters(subscription: "${group.name}"${more}) { messageId position attempts redrives deadLetteredAt
             errors { at reason } message { messageId topic payload priority key headers publishedAt publisher position } } }`,
      )
    ).deadLetters as readonly { readonly messageId: string; readonly position: string }[];
  const whole = await page('');
  t.like(whole[0], {
    ...letters[0],
    attempts: 1,
    message: { payload: 1, key: null, priority: 'NORMAL' },
  });
  const idsOf = (items: typeof whole) => items.map(({ messageId }) => messageId);
  const ids = letters.map(({ messageId }) => messageId);
  t.deepEqual(idsOf(whole), ids);
  const first = await page(', first: 2');
  t.deepEqual(idsOf(first), ids.slice(0, 2));
  t.deepEqual(idsOf(await page(`, after: "${first[1]?.position}"`)), ids.slice(2));
  t.deepEqual(await page(', errorLike: "nothing like it"'), []);
  t.is(await codeOf('{ deadLetters(subscription: "never-was") { messageId } }'), 'not_found');
  t.is(await codeOf(`{ deadLetters(subscription: "${group.name}", first: 0) { messageId } }`), 'invalid');
  t.is(await codeOf(`{ deadLetters(subscription: "${group.name}", after: "x") { messageId } }`), 'invalid');
});

test('redriveDeadLetters › by id, by error or all, edited by JSON text; discardDeadLetters › takes them away', async (t) => {
  const { group, letters } = await withLetters('a', 'b', 'c', 'd');
  const { name } = group;
  const redrive = `mutation ($ids: [ID!], $all: Boolean, $like: String, $payload: String) {
    redriveDeadLetters(subscription: "${name}", messageIds: $ids, all: $all, errorLike: $like, payload: $payload) {
      success done position
    }
  }`;
  const first = await dataOf(redrive, { ids: [letters[0]?.messageId] });
  t.like(first.redriveDeadLetters, { success: true, done: 1 });
  const again = await group.pull();
  t.deepEqual(payloadsOf(again), ['a']);
  await group.settle('ack', again);
  const edited = { ids: [letters[1]?.messageId], all: false, payload: '{"fixed": true}' };
  t.like((await dataOf(redrive, edited)).redriveDeadLetters, { done: 1 });
  t.deepEqual(payloadsOf(await group.pull()), [{ fixed: true }]);
  t.like((await dataOf(redrive, { like: 'nothing like it' })).redriveDeadLetters, { done: 0 });
  t.is(await codeOf(redrive, {}), 'invalid');
  t.is(await codeOf(redrive, { all: true, like: 'stock' }), 'invalid');
  t.is(await codeOf(redrive, { all: true, payload: '{' }), 'bad_json');
  const discard = `mutation { discardDeadLetters(subscription: "${name}", messageIds: ["${letters[2]?.messageId}"]) { success done position } }`;
  t.like((await dataOf(discard)).discardDeadLetters, { success: true, done: 1 });
  t.like((await dataOf(redrive, { all: true })).redriveDeadLetters, { done: 1 });
  t.deepEqual(payloadsOf(await group.pull()), ['d']);
});

test('scopes › are those of REST: what the token may not read is forbidden, and in no list', async (t) => {
  const as = (scope: string) => ({ authorization: `Bearer ${signToken('ada', scope)}` });
  const create = 'mutation { createSubscription(name: "gq-scope", topic: "scope.>") { success } }';
  const refused = await askGraphql(guarded, create, undefined, as('events:read:scope.*'));
  t.like(refused.errors[0]?.extensions, { code: 'forbidden', scope: 'events:read:scope.>' });
  t.deepEqual((await askGraphql(guarded, create, undefined, as('events:read:scope.>'))).errors, []);
  for (const document of [
    '{ subscription(name: "gq-scope") { name } }',
    '{ deadLetters(subscription: "gq-scope") { messageId } }',
    'mutation { pauseSubscription(name: "gq-scope") { success } }',
    'mutation { discardDeadLetters(subscription: "gq-scope", all: true) { done } }',
  ]) {
    const { errors } = await askGraphql(guarded, document, undefined, as('log:read'));
    t.is(errors[0]?.extensions.code, 'forbidden', document);
  }
  const list = await askGraphql(guarded, '{ subscriptions { name } }', undefined, as('log:read'));
  t.deepEqual(list.data, { subscriptions: [] });
});
