import test from 'ava';
import { startEsdbServer } from '../support/esdb-server.ts';
import { openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';

// biome-ignore-start lint/suspicious/noThenProperty: lists, by the name that they have on the wire

test('POST /state › needs the scope of each key, in both branches', async (t) => {
  const hub = await openHub({ jwtSecret });
  t.teardown(() => hub.close());
  const transact = (scope: string, body: object) =>
    request(hub.url, 'POST', '/state', {
      body,
      headers: { authorization: `Bearer ${signToken('ann', scope)}` },
    });
  const body = {
    compare: [{ key: 'cmp', exists: false }],
    then: [{ op: 'set', key: 'then', value: 1 }],
    else: [
      { op: 'delete', key: 'else' },
      { op: 'get', key: 'got' },
    ],
  };
  const needed = ['state:read:cmp', 'state:write:then', 'state:write:else', 'state:read:got'];
  for (const missing of needed) {
    const answer = await transact(needed.filter((scope) => scope !== missing).join(' '), body);
    t.is(answer.status, 403, missing);
    t.like(answer.body, { code: 'forbidden', scope: missing });
  }
  t.is((await transact(needed.join(' '), body)).status, 200);
  const reserved = await transact('state:read:* state:write:*', {
    then: [{ op: 'set', key: 'nexus/own', value: 1 }],
  });
  t.is(reserved.status, 403);
});

test('POST /state › writes no key of another owner, in neither branch, and reads it', async (t) => {
  const hub = await openHub({ jwtSecret });
  t.teardown(() => hub.close());
  const bearer = (subject: string, scope: string) => ({
    authorization: `Bearer ${signToken(subject, scope)}`,
  });
  await request(hub.url, 'PUT', `/state-policies/${encodeURIComponent('owned/*')}`, {
    headers: bearer('root', 'admin'),
    body: { owner: { subject: 'ann' } },
  });
  const transact = (subject: string, body: object) =>
    request(hub.url, 'POST', '/state', { body, headers: bearer(subject, 'state:read:* state:write:*') });
  const compare = [{ key: 'owned/k', exists: false }];
  const write = [{ op: 'set', key: 'owned/k', value: 1 }];
  const read = [{ op: 'get', key: 'owned/k' }];
  for (const body of [{ then: write }, { compare, then: read, else: write }]) {
    const refused = await transact('bob', body);
    t.is(refused.status, 403);
    t.like(refused.body, { code: 'forbidden', pattern: 'owned/*', key: 'owned/k' });
  }
  t.is((await transact('bob', { compare, then: read })).status, 200);
  t.is((await transact('ann', { compare, then: write })).status, 200);
});

test('POST /state › is not_supported on EventStoreDB, which is named', async (t) => {
  const server = await startEsdbServer();
  const hub = await openHub({ log: [server.url] });
  t.teardown(async () => {
    await hub.close();
    server.stop();
  });
  const answer = await request(hub.url, 'POST', '/state', {
    body: { then: [{ op: 'set', key: 'k', value: 1 }] },
  });
  t.is(answer.status, 501);
  t.like(answer.body, { code: 'not_supported', log: 'eventstoredb' });
  t.regex(String(answer.body.detail), /eventstoredb/);
  t.is((await request(hub.url, 'GET', '/state/k')).status, 404);
});

test('POST /state › of two nodes on one Redis is one order of transactions', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const hubs = [await openHub({ log: [server.url] }), await openHub({ log: [server.url] })];
  t.teardown(async () => {
    for (const hub of hubs) await hub.close();
  });
  const [one, two] = hubs.map(({ url }) => url);
  if (one === undefined || two === undefined) return t.fail();
  const count = async (url: string, key: string) => {
    const body = {
      then: [
        { op: 'increment', key: 'total', by: 1 },
        { op: 'increment', key, by: 1 },
      ],
    };
    const answer = await request(url, 'POST', '/state', {
      body,
      headers: { 'idempotency-key': `${key}-once` },
    });
    return answer;
  };
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) => [count(one, `a${n}`), count(two, `b${n}`)]).flat(),
  );
  for (const { status, body } of answers) t.is(status, 200, JSON.stringify(body));
  const totals = answers.map(
    ({ body }) => (body.results as readonly { readonly value: number }[])[0]?.value ?? 0,
  );
  t.deepEqual(
    totals.toSorted((left, right) => left - right),
    Array.from({ length: 20 }, (_, n) => n + 1),
  );
  // The same command through the other node is told what the first one was.
  t.deepEqual((await count(two, 'a0')).body, answers[0]?.body);
});
// biome-ignore-end lint/suspicious/noThenProperty: lists, by the name that they have on the wire
