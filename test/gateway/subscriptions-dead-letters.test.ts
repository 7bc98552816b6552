import test from 'ava';
import { makeGroup, payloadsOf, pullAll } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { openEvents } from './client.ts';

const hub = await openHub();
test.after.always(() => hub.close());

/** A group whose messages of these payloads are dead letters, all for one reason. */
const withLetters = async (payloads: readonly unknown[], reason = 'no stock') => {
  const group = await makeGroup(hub.url, { backoffMs: [0] });
  await group.publish(...payloads);
  await group.settle('term', await pullAll(group, payloads.length), { reason });
  return { group, letters: await group.lettersWhen(payloads.length) };
};

test('term › makes a dead letter at once, with the message, the attempts and the reason', async (t) => {
  const group = await makeGroup(hub.url, { backoffMs: [0] });
  const [published] = await group.publish({ order: 7 });
  await group.settle('nak', await group.pull(), { reason: 'no stock' });
  t.like((await group.settle('term', await group.pull(), { reason: 'no such article' })).body, { done: 1 });
  const [letter, ...more] = await group.lettersWhen(1);
  t.deepEqual(more, []);
  t.like(letter, {
    messageId: published?.messageId,
    attempts: 2,
    redrives: 0,
    position: published?.position,
    message: {
      messageId: published?.messageId,
      topic: group.topic,
      payload: { order: 7 },
      priority: 'NORMAL',
      position: published?.position,
    },
  });
  const errors = letter?.errors as readonly { readonly at: string; readonly reason: string }[];
  t.deepEqual(
    errors.map(({ reason }) => reason),
    ['no stock', 'no such article'],
  );
  for (const { at } of errors) t.false(Number.isNaN(Date.parse(at)));
  t.is(typeof letter?.deadLetteredAt, 'string');
  t.deepEqual(await group.pull(1, 1), []);
  t.like(await group.view(), { deadLetters: 1, inFlight: 0, lagEvents: 0 });
});

test('maxDeliver › is as many attempts as there are before a message is a dead letter', async (t) => {
  const group = await makeGroup(hub.url, { maxDeliver: 3, backoffMs: [0] });
  await group.publish(1);
  for (const attempt of [1, 2, 3]) {
    const deliveries = await group.pull();
    t.is(deliveries[0]?.attempt, attempt);
    await group.settle('nak', deliveries, { reason: `failure ${attempt}` });
  }
  t.like(await group.lettersWhen(1), [{ attempts: 3 }]);
});

test('dead letters › are paged by cursor, and picked by a part of the last error', async (t) => {
  const { group, letters } = await withLetters([1, 2, 3, 4, 5]);
  const [one] = await group.publish(6);
  await group.settle('term', await group.pull(), { reason: 'timed out upstream' });
  await group.lettersWhen(6);
  const seen: unknown[] = [];
  let query = '?limit=2';
  for (;;) {
    const { status, body } = await group.call('GET', `/dead-letters${query}`);
    t.is(status, 200);
    const page = body.deadLetters as readonly { readonly messageId: string }[];
    t.true(page.length <= 2);
    seen.push(...page.map(({ messageId }) => messageId));
    if (body.cursor === undefined) break;
    query = `?limit=2&cursor=${encodeURIComponent(String(body.cursor))}`;
  }
  t.deepEqual(seen, [...letters.map(({ messageId }) => messageId), one?.messageId]);
  t.like(await group.letters('?errorLike=upstream'), [{ messageId: one?.messageId }]);
  t.deepEqual(await group.letters('?errorLike=.*'), []);
});

test('list › one is found by the id of its message, whatever the id looks like', async (t) => {
  const { group, letters } = await withLetters([1, 2]);
  const [first] = letters;
  t.deepEqual(await group.letters(`?messageId=${first?.messageId}`), [first]);
  for (const none of ['', '1', '%00', '%2F', '..%2F', 'x'.repeat(3_000)]) {
    t.deepEqual(await group.letters(`?messageId=${none}`), [], none);
  }
});

test('redrive › sends the message again, edited or not, to that subscription alone', async (t) => {
  const { group, letters } = await withLetters(['a', 'b']);
  const { topic } = group;
  const other = await makeGroup(hub.url, { topic });
  const tail = await openEvents(`${hub.url}/events?topic=${topic}`);
  t.is((await tail.next())?.event, 'caughtUp');
  const redriven = await group.call('POST', '/dead-letters/redrive', {
    messageIds: [letters[0]?.messageId, 'never-was'],
  });
  t.is(redriven.status, 200);
  t.deepEqual(redriven.body, { done: 1 });
  t.regex(redriven.headers.get('x-nexus-position') ?? '', /^[0-9a-f]{16,32}$/);
  const again = await group.pull();
  t.like(again, [{ attempt: 1, message: { payload: 'a', messageId: letters[0]?.messageId } }]);
  await group.settle('ack', again);
  const edited = await group.call('POST', '/dead-letters/redrive', { all: true, payload: { fixed: true } });
  t.deepEqual(edited.body, { done: 1 });
  const fixed = await group.pull();
  t.deepEqual(payloadsOf(fixed), [{ fixed: true }]);
  t.is(fixed[0]?.message.topic, topic);
  await group.settle('ack', fixed);
  t.deepEqual(await group.letters(), []);
  // The next that the others see is the next that was published.
  await group.publish('marker');
  t.deepEqual(JSON.parse((await tail.next())?.data ?? '{}').payload, 'marker');
  t.deepEqual(payloadsOf(await other.pull()), ['marker']);
  tail.close();
});

test('redrive › by a part of the error takes those alone', async (t) => {
  const { group } = await withLetters([1, 2], 'timed out upstream');
  await group.publish(3);
  await group.settle('term', await group.pull(), { reason: 'no stock' });
  await group.lettersWhen(3);
  const redriven = await group.call('POST', '/dead-letters/redrive', { errorLike: 'upstream' });
  t.deepEqual(redriven.body, { done: 2 });
  t.deepEqual(payloadsOf(await pullAll(group, 2)), [1, 2]);
  t.like(await group.letters(), [{ message: { payload: 3 } }]);
});

test('a redriven message that fails again › is the same dead letter with more history', async (t) => {
  const { group } = await withLetters(['a'], 'first');
  await group.call('POST', '/dead-letters/redrive', { all: true });
  const again = await group.pull();
  t.deepEqual(await group.letters(), []);
  await group.settle('term', again, { reason: 'second' });
  t.like(await group.lettersWhen(1), [
    { attempts: 2, redrives: 1, errors: [{ reason: 'first' }, { reason: 'second' }] },
  ]);
  t.like(await group.view(), { deadLetters: 1 });
});

test('discard › takes dead letters away for good', async (t) => {
  const { group, letters } = await withLetters([1, 2, 3]);
  const one = await group.call('POST', '/dead-letters/discard', { messageIds: [letters[1]?.messageId] });
  t.deepEqual(one.body, { done: 1 });
  t.deepEqual(
    (await group.letters()).map(({ messageId }) => messageId),
    [letters[0]?.messageId, letters[2]?.messageId],
  );
  t.deepEqual((await group.call('POST', '/dead-letters/discard', { all: true })).body, { done: 2 });
  t.deepEqual((await group.call('POST', '/dead-letters/discard', { all: true })).body, { done: 0 });
  t.like(await group.view(), { deadLetters: 0 });
  t.deepEqual(await group.pull(1, 1), []);
});
