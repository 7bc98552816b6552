import { createHash } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { auditServer } from 'graphql-http';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { createUnderstand } from '../../src/gateway/graphql/document.ts';
import { openPersistedDocuments } from '../../src/gateway/graphql/persisted.ts';
import { executableSchema } from '../../src/gateway/graphql/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { askGraphql, type GraphqlAnswer, getGraphql, graphqlJson, postGraphql } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { until } from '../support/until.ts';
import { call } from './client.ts';

const folder = await mkdtemp(join(tmpdir(), 'nexus-documents-'));
const file = join(folder, 'documents.json');
const shaOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const readState = 'query Read($key: String!) { state(key: $key) { key value } }';
const writeState = 'mutation { setState(key: "p/w", value: 1) { version } }';
const watchState = 'subscription { stateChanged(prefix: "p/", after: "start") { key } }';
const stored = {
  [shaOf(readState)]: readState,
  'x-app:write': writeState,
  watch: watchState,
  two: 'query A { health { status } } query B { topics { topic } }',
};
const write = async (content: unknown): Promise<void> => {
  await writeFile(`${file}.new`, typeof content === 'string' ? content : JSON.stringify(content));
  await rename(`${file}.new`, file);
};
await write(stored);

const hub = await openHub({ graphqlDocuments: file });
const strict = await openHub({
  jwtSecret,
  graphqlIntrospection: false,
  graphqlDocuments: file,
  graphqlDocumentsOnly: true,
});
const closed = await openHub({ graphqlIntrospection: false });
test.after.always(async () => {
  await Promise.all([hub.close(), strict.close(), closed.close()]);
  await rm(folder, { recursive: true, force: true });
});

const token = { authorization: `Bearer ${signToken('ada', 'admin')}` };
const post = (to: Hub, body: object, headers: Readonly<Record<string, string>> = {}) =>
  postGraphql(to, JSON.stringify(body), headers);
const codeOf = (answer: GraphqlAnswer): unknown => answer.errors[0]?.extensions.code;

for (const [mode, options] of [
  ['without authentication', {}],
  ['with a token', { jwtSecret }],
] as const) {
  test(`the audits of graphql-http › all pass ${mode}, those that may fail too`, async (t) => {
    const audited = await openHub(options);
    t.teardown(() => audited.close());
    const results = await auditServer({
      url: `${audited.url}/graphql`,
      fetchFn: (url: string, init: RequestInit) =>
        fetch(url, {
          ...init,
          headers: {
            ...Object.fromEntries(new Headers(init?.headers)),
            ...('jwtSecret' in options ? token : {}),
          },
        }),
    });
    t.true(results.length >= 61);
    t.deepEqual(
      results.filter(({ status }) => status !== 'ok').map(({ name, status }) => `${status}: ${name}`),
      [],
    );
  });
}

/** What a browser sends across sites without asking first (fetch standard, CORS-safelisted). */
const simple: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'text/plain': { 'content-type': 'text/plain' },
  'text/plain with JSON in a parameter': { 'content-type': 'text/plain; x=application/json' },
  'a form': { 'content-type': 'application/x-www-form-urlencoded' },
  'a form of parts': { 'content-type': 'multipart/form-data; boundary=x' },
  'no type': {},
};

for (const [what, headers] of Object.entries(simple)) {
  test(`a foreign page › changes nothing by a body of ${what}`, async (t) => {
    const query = `mutation { setState(key: "csrf", value: 1) { version } }`;
    for (const raw of [JSON.stringify({ query }), `query=${encodeURIComponent(query)}`]) {
      const answer = await call(hub.url, 'POST', '/graphql', { headers, raw });
      t.is(answer.status, 415, raw);
    }
    t.deepEqual((await askGraphql(hub, '{ state(key: "csrf") { key } }')).data, { state: null });
  });
}

test('a foreign page › changes nothing by GET, and reads nothing of a hub that has tokens', async (t) => {
  const query = encodeURIComponent('mutation { setState(key: "csrf", value: 1) { version } }');
  const asImage = { accept: 'image/*', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' };
  for (const path of [`/graphql?query=${query}`, '/graphql?documentId=x-app:write']) {
    t.is((await call(hub.url, 'GET', path)).status, 405);
    t.is((await call(hub.url, 'GET', path, { headers: { accept: 'text/event-stream' } })).status, 405);
    t.is((await call(hub.url, 'GET', path, { headers: asImage })).status, 405);
    t.is((await call(strict.url, 'GET', path, { headers: asImage })).status, 401);
  }
  const origin = { origin: 'https://evil.example' };
  t.is((await call(hub.url, 'GET', '/graphql?query={health{status}}', { headers: origin })).status, 403);
  t.deepEqual(
    (await askGraphql(hub, '{ csrf: state(key: "csrf") { key } w: state(key: "p/w") { key } }')).data,
    {
      csrf: null,
      w: null,
    },
  );
});

test('a body that is an array › is 400: there is no batching', async (t) => {
  const one = { query: '{ health { status } }' };
  for (const body of [[], [one], [one, one]]) {
    const answer = await post(hub, body, { accept: graphqlJson });
    t.is(answer.status, 400);
    t.is(codeOf(answer), 'invalid');
  }
});

test('with introspection off › no schema is told, neither asked for nor by suggestions', async (t) => {
  const said: string[] = [];
  for (const query of [
    '{ __schema { types { name } } }',
    '{ __type(name: "Query") { name } }',
    '{ healt { status } }',
    '{ health { statu } }',
    '{ state(ky: "a") { key } }',
    'query ($a: Strin) { health { status } }',
    '{ ... on Quer { health { status } } }',
    'mutation { publishEvent(topic: "a", payload: "1", priority: HIG) { messageId } }',
    'mutation { registerService(input: { nam: "a" }) { id } }',
  ]) {
    const { status, errors, body } = await askGraphql(closed, query, undefined, { accept: graphqlJson });
    t.is(status, 400, query);
    t.false('data' in body);
    said.push(...errors.map(({ message }) => message));
  }
  const variables: readonly (readonly [string, object])[] = [
    [
      'mutation ($p: Priority) { publishEvent(topic: "a", payload: "1", priority: $p) { messageId } }',
      { p: 'HIG' },
    ],
    ['mutation ($i: RegisterServiceInput!) { registerService(input: $i) { id } }', { i: { nam: 'a' } }],
  ];
  for (const [query, given] of variables) {
    said.push(...(await askGraphql(closed, query, given)).errors.map(({ message }) => message));
    const open = await askGraphql(hub, query, given);
    t.regex(open.errors.map(({ message }) => message).join(), /Did you mean/, 'control: told where it is on');
  }
  t.true(said.length >= 11);
  t.deepEqual(
    said.filter((message) => message.includes('Did you mean')),
    [],
  );
  t.regex((await askGraphql(hub, '{ healt { status } }')).errors[0]?.message ?? '', /Did you mean "health"/);
  t.deepEqual((await askGraphql(closed, '{ __typename health { __typename } }')).data, {
    __typename: 'Query',
    health: { __typename: 'Health' },
  });
  const page = await call(closed.url, 'GET', '/graphql', { headers: { accept: 'text/html' } });
  t.regex(page.text, /Introspection is turned off/);
  t.regex(page.text, /data-schema="none"/);
});

test('a persisted document › is run by its id, over POST and GET, and by graphql-transport-ws', async (t) => {
  await askGraphql(hub, 'mutation { setState(key: "p/a", value: 7) { version } }');
  const documentId = shaOf(readState);
  const answer = { data: { state: { key: 'p/a', value: 7 } } };
  const posted = await post(hub, { documentId, variables: { key: 'p/a' } });
  t.deepEqual(posted.body, answer);
  const got = await getGraphql(hub, { documentId, variables: '{"key":"p/a"}', operationName: 'Read' });
  t.deepEqual(got.body, answer);
  t.deepEqual((await post(hub, { documentId: 'two', operationName: 'A' })).data, {
    health: { status: 'ok' },
  });
  const client = createClient({ url: `${hub.url}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 });
  t.teardown(() => client.dispose());
  const overSocket = { query: '', variables: { key: 'p/a' }, extensions: { documentId } };
  for await (const result of client.iterate(overSocket)) t.deepEqual(result, answer);
  for await (const { data } of client.iterate({ query: '', extensions: { documentId: 'watch' } })) {
    t.deepEqual(data, { stateChanged: { key: 'p/a' } });
    break;
  }
});

test('a persisted document › that is not there, or beside a query, is refused', async (t) => {
  const absent = await post(hub, { documentId: shaOf('{ nothing }') }, { accept: graphqlJson });
  t.is(absent.status, 400);
  t.is(codeOf(absent), 'not_found');
  t.is(absent.errors.length, 1);
  t.is((await post(hub, { documentId: 'constructor' })).status, 200);
  for (const body of [{ documentId: 1 }, { documentId: 'watch', query: '{ health { status } }' }, {}]) {
    t.is(codeOf(await post(hub, body)), 'invalid', JSON.stringify(body));
  }
  t.is(codeOf(await post(closed, { documentId: 'watch' })), 'not_found', 'a hub without such a file');
});

test('with documents only › what a client writes itself is refused, and what is stored is run', async (t) => {
  for (const accept of ['application/json', graphqlJson]) {
    const answer = await askGraphql(strict, '{ health { status } }', undefined, { ...token, accept });
    t.is(answer.status, 403);
    t.is(codeOf(answer), 'forbidden');
  }
  t.is((await post(strict, { documentId: 'x-app:write' }, token)).status, 200);
  const client = createClient({
    url: `${strict.url}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { token: signToken('ada', 'admin') },
  });
  t.teardown(() => client.dispose());
  const refused = await t.throwsAsync(
    async () => {
      for await (const _ of client.iterate({ query: '{ health { status } }' })) t.fail();
    },
    { any: true },
  );
  t.like(refused, { 0: { extensions: { code: 'forbidden' } } });
  for await (const { data } of client.iterate({ query: '', extensions: { documentId: 'x-app:write' } }))
    t.truthy(data?.setState);
  const page = await call(strict.url, 'GET', '/graphql', { headers: { accept: 'text/html' } });
  t.regex(page.text, /persisted documents alone/);
});

test.serial(
  'the file of documents › is read again when it changes, and a broken one leaves the former',
  async (t) => {
    const before = hub.logged.length;
    await write('{ broken');
    await until(() => hub.logged.length > before);
    t.like(hub.logged.at(-1), { level: 'warn', file });
    t.is((await post(hub, { documentId: 'two', operationName: 'A' })).status, 200);
    await write({ ...stored, later: '{ health { status } }' });
    await until(async () => (await post(hub, { documentId: 'later' })).data != null);
    t.is(codeOf(await post(hub, { documentId: shaOf(readState), variables: { key: 'p/none' } })), undefined);
  },
);

const broken: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  'no JSON': ['{', /JSON/],
  'a list': [[], /must be an object/],
  'text that is none': [{ a: 1 }, /a must be text/],
  'an id of other characters': [{ 'a b': '{ health { status } }' }, /"a b" is no id/],
  'a reserved prefix': [{ 'md5:0': '{ health { status } }' }, /"md5:0" is no id/],
  'a wrong hash': [{ [shaOf('x')]: '{ health { status } }' }, /is not the SHA-256/],
  'a document that is not valid': [{ a: '{ nothing }' }, /Cannot query field/],
  'a document beyond the limits': [{ a: `${'{ a'.repeat(13)}${' }'.repeat(13)}` }, /12 fields deep/],
};
test('the file of documents › that cannot be used stops the start, and says why', async (t) => {
  const understand = createUnderstand({ schema: executableSchema(), introspection: true });
  const bad = join(folder, 'bad.json');
  for (const [what, [content, said]] of Object.entries(broken)) {
    await writeFile(bad, typeof content === 'string' ? content : JSON.stringify(content));
    const open = () =>
      openPersistedDocuments({ file: bad, only: false, understand, logger: createLogger('silent') });
    const error = t.throws(open, undefined, what);
    t.regex(error?.message ?? '', /^graphqlDocuments .* cannot be used$/);
    t.regex(String(error?.cause), said, what);
  }
  const error = await t.throwsAsync(openHub({ graphqlDocuments: join(folder, 'absent.json') }));
  t.regex(String(error?.cause), /ENOENT/);
});

const set = (key: string, value: number): string =>
  `mutation { setState(key: "${key}", value: ${value}) { key version position } }`;

/** The same operation with a key, the three ways in which a key can come. */
const ways: Readonly<
  Record<
    string,
    (t: ExecutionContext, to: Hub, query: string, key: string) => Promise<Record<string, unknown>>
  >
> = {
  extensions: async (_t, to, query, key) => ({
    ...(await post(to, { query, extensions: { idempotencyKey: key } })).body,
  }),
  header: async (_t, to, query, key) => ({ ...(await post(to, { query }, { 'idempotency-key': key })).body }),
  'graphql-transport-ws': async (t, to, query, key) => {
    const client = createClient({ url: `${to.url}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 });
    t.teardown(() => client.dispose());
    for await (const result of client.iterate({ query, extensions: { idempotencyKey: key } }))
      return { ...result };
    return {};
  },
};

for (const [way, send] of Object.entries(ways)) {
  test(`idempotency by ${way} › the same key and document gives the first answer, another document is refused`, async (t) => {
    const key = `key-${way}`;
    const first = await send(t, hub, set(`i/${way}`, 1), key);
    t.like(first, { data: { setState: { version: 1 } } });
    t.is(first.extensions, undefined);
    const again = await send(t, hub, set(`i/${way}`, 1), key);
    t.deepEqual(again, { ...first, extensions: { idempotentReplayed: true } });
    for (const other of [set(`i/${way}`, 2), set(`i/${way}/other`, 1), `${set(`i/${way}`, 1)} `]) {
      const refused = await send(t, hub, other, key);
      t.like(refused, { errors: [{ extensions: { code: 'idempotency_mismatch' } }] }, other);
    }
    t.like(await send(t, hub, set(`i/${way}`, 1), `${key}-2`), { data: { setState: { version: 2 } } });
  });
}

test('idempotency › the ways of GraphQL share their keys', async (t) => {
  const answers: unknown[] = [];
  for (const send of Object.values(ways))
    answers.push((await send(t, hub, set('i/shared', 1), 'shared')).data);
  t.like(answers[0], { setState: { version: 1 } });
  t.deepEqual(answers, [answers[0], answers[0], answers[0]]);
});

test('idempotency › several mutations of one document are each done once, also when the first try ended half way', async (t) => {
  const query = `mutation {
    first: publishEvent(topic: "i.half", payload: "1") { messageId }
    second: publishEvent(topic: "i.half", payload: "1") { messageId }
    third: setState(key: "i/half", value: 3, expectedVersion: 1) { version }
  }`;
  const send = () => post(hub, { query, extensions: { idempotencyKey: 'half' } });
  const refused = await send();
  t.is(codeOf(refused), 'version_conflict');
  await askGraphql(hub, set('i/half', 1));
  const done = await send();
  t.is(done.body.extensions, undefined, 'not all of it had been done');
  const again = await send();
  t.deepEqual(again.body, { ...done.body, extensions: { idempotentReplayed: true } });
  const { data } = await askGraphql(hub, '{ events(topic: "i.half") { data } }');
  t.like(data?.events, { length: 2 });
  t.like(again.data, { third: { version: 2 } });
});

test('idempotency › many at once with one key do it once', async (t) => {
  const query = 'mutation { publishEvent(topic: "i.many", payload: "1") { messageId position } }';
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => post(hub, { query, extensions: { idempotencyKey: 'many' } })),
  );
  t.is(new Set(answers.map(({ data }) => JSON.stringify(data))).size, 1);
  t.is(answers.filter(({ body }) => body.extensions === undefined).length, 1, 'all but one are replays');
});

test('idempotency › holds after the hub has started anew, document and variables included', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'nexus-idempotency-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const options = { dataDir, log: [`file:${dataDir}`] };
  const query = 'mutation ($value: JSON) { setState(key: "a", value: $value) { version position } }';
  const send = (to: Hub, value: number, text = query) =>
    post(to, { query: text, variables: { value }, extensions: { idempotencyKey: 'anew' } });
  const before = await openHub(options);
  const first = await send(before, 1);
  await before.close();
  const after = await openHub(options);
  t.teardown(() => after.close());
  t.is(codeOf(await send(after, 2)), 'idempotency_mismatch');
  t.is(codeOf(await send(after, 1, query.replace('version ', ''))), 'idempotency_mismatch');
  t.deepEqual((await send(after, 1)).body, { ...first.body, extensions: { idempotentReplayed: true } });
});

test('idempotency › a key is refused where it could not be kept, or makes no sense', async (t) => {
  const refusals: readonly (readonly [query: string, key: unknown, code: string])[] = [
    ['{ health { status } }', 'k', 'not_supported'],
    ['mutation { invokeService(name: "a", method: "b") { result } }', 'k', 'not_supported'],
    ['mutation { request(topic: "a", payload: "1") { payload } }', 'k', 'not_supported'],
    ['mutation { heartbeat(id: "a") { status } }', 'k', 'not_supported'],
    ['mutation { reply(replyTo: "a", payload: "1") { messageId } }', 'k', 'not_supported'],
    [set('i/refused', 1), 'a b', 'invalid'],
    [set('i/refused', 1), '', 'invalid'],
    [set('i/refused', 1), 1, 'invalid'],
    [set('i/refused', 1), 'x'.repeat(256), 'invalid'],
  ];
  for (const [query, idempotencyKey, code] of refusals) {
    t.is(
      codeOf(await post(hub, { query, extensions: { idempotencyKey } })),
      code,
      `${query} ${idempotencyKey}`,
    );
  }
  const both = { query: set('i/refused', 1), extensions: { idempotencyKey: 'a' } };
  t.is(codeOf(await post(hub, both, { 'idempotency-key': 'b' })), 'invalid');
  t.deepEqual((await askGraphql(hub, '{ state(key: "i/refused") { key } }')).data, { state: null });
  t.is((await post(hub, both, { 'idempotency-key': 'a' })).body.errors, undefined);
});
