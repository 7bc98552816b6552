import { once } from 'node:events';
import { createServer } from 'node:http';
import test from 'ava';
import { askGraphql } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
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

const codeOf = async (query: string, variables?: object): Promise<unknown> => {
  const { errors } = await askGraphql(hub, query, variables);
  return errors[0]?.extensions.code;
};

test.serial('the three documents of the contract › work as written', async (t) => {
  const input = {
    id: 'doc-1',
    name: 'doc',
    version: '1.0.0',
    host: '127.0.0.1',
    port: 9,
    capabilities: ['x', 'y'],
  };
  await dataOf('mutation ($input: RegisterServiceInput!) { registerService(input: $input) { success } }', {
    input,
  });
  t.deepEqual(await dataOf('query { services { id name status capabilities } }'), {
    services: [{ id: 'doc-1', name: 'doc', status: 'healthy', capabilities: ['x', 'y'] }],
  });
  await dataOf(
    'mutation { setState(key: "app_config", value: {theme: "dark", sizes: [1, 2.5]}) { success } }',
  );
  t.deepEqual(await dataOf('query { state(key: "app_config") { key value version } }'), {
    state: { key: 'app_config', value: { theme: 'dark', sizes: [1, 2.5] }, version: 1 },
  });
  const document =
    'mutation { publishEvent(topic: "test.event", payload: "{\\"data\\": \\"test\\"}") { success messageId } }';
  const { publishEvent } = await dataOf(document);
  t.like(publishEvent, { success: true });
  const { events } = await dataOf('{ events(topic: "test.event") { type data position recordedAt actor } }');
  t.like(events, {
    0: {
      type: 'MessagePublished',
      data: {
        payload: { data: 'test' },
        messageId: (publishEvent as { readonly messageId: string }).messageId,
      },
      actor: 'local',
    },
  });
});

test('services › are found by each filter, and one that is not there is null', async (t) => {
  const register =
    'mutation ($input: RegisterServiceInput!) { registerService(input: $input) { id created service { name } } }';
  const base = { name: 'filter', host: '127.0.0.1', port: 9 };
  t.deepEqual(
    await dataOf(register, {
      input: { ...base, id: 'f-1', version: '1.2.0', tags: ['eu'], capabilities: ['a'] },
    }),
    {
      registerService: { id: 'f-1', created: true, service: { name: 'filter' } },
    },
  );
  await dataOf(register, {
    input: { ...base, id: 'f-2', version: '2.0.0', capabilities: ['a', 'b'], metadata: { team: 'core' } },
  });
  const ids = async (filter: string): Promise<unknown> => {
    const { services } = await dataOf(`{ services(name: "filter", ${filter}) { id } }`);
    return (services as readonly { readonly id: string }[]).map(({ id }) => id);
  };
  t.deepEqual(await ids('capability: "a"'), ['f-1', 'f-2']);
  t.deepEqual(await ids('capability: ["a", "b"]'), ['f-2']);
  t.deepEqual(await ids('version: "^1.0.0"'), ['f-1']);
  t.deepEqual(await ids('tag: "eu"'), ['f-1']);
  t.deepEqual(await ids('status: "offline"'), []);
  t.deepEqual(await dataOf('{ service(id: "f-2") { metadata port load ttlSec } }'), {
    service: { metadata: { team: 'core' }, port: 9, load: null, ttlSec: null },
  });
  t.deepEqual(await dataOf('mutation { deregisterService(id: "f-1") { success id } }'), {
    deregisterService: { success: true, id: 'f-1' },
  });
  t.deepEqual(await dataOf('{ service(id: "f-1") { id } }'), { service: null });
});

test('state › is set with an expected version, read as it was, paged by key and deleted', async (t) => {
  const set =
    'mutation ($value: JSON, $expected: Int) { setState(key: "gq/a", value: $value, expectedVersion: $expected) { success key value version position } }';
  const first = await dataOf(set, { value: { n: 1 }, expected: 0 });
  t.like(first.setState, { success: true, key: 'gq/a', value: { n: 1 }, version: 1 });
  await dataOf(set, { value: null });
  t.deepEqual(await dataOf('{ state(key: "gq/a") { value version } }'), {
    state: { value: null, version: 2 },
  });
  t.deepEqual(await dataOf('{ state(key: "gq/a", version: 1) { value } }'), { state: { value: { n: 1 } } });
  const { position } = first.setState as { readonly position: string };
  t.deepEqual(await dataOf(`{ state(key: "gq/a", asOf: "${position}") { value } }`), {
    state: { value: { n: 1 } },
  });
  const { errors, data } = await askGraphql(hub, set, { value: 3, expected: 1 });
  t.is(data, null);
  t.like(errors[0]?.extensions, {
    code: 'version_conflict',
    expectedVersion: 1,
    currentVersion: 2,
    currentValue: null,
  });

  for (const key of ['gq/b', 'gq/c'])
    await dataOf(`mutation { setState(key: "${key}", value: "${key}") { version } }`);
  t.deepEqual(await dataOf('{ states(prefix: "gq/", first: 2) { key } }'), {
    states: [{ key: 'gq/a' }, { key: 'gq/b' }],
  });
  t.deepEqual(await dataOf('{ states(prefix: "gq/", after: "gq/b") { key value } }'), {
    states: [{ key: 'gq/c', value: 'gq/c' }],
  });
  t.deepEqual(await dataOf('mutation { deleteState(key: "gq/a", expectedVersion: 2) { success key } }'), {
    deleteState: { success: true, key: 'gq/a' },
  });
  t.deepEqual(
    await dataOf('{ state(key: "gq/a") { key } stateHistory(key: "gq/a") { version deleted value } }'),
    {
      state: null,
      stateHistory: [
        { version: 3, deleted: true, value: null },
        { version: 2, deleted: false, value: null },
        { version: 1, deleted: false, value: { n: 1 } },
      ],
    },
  );
  t.deepEqual(await dataOf('{ stateHistory(key: "gq/a", last: 1, before: 3) { version } }'), {
    stateHistory: [{ version: 2 }],
  });
  t.deepEqual(await dataOf('{ stateHistory(key: "gq/never") { version } }'), { stateHistory: [] });
});

test('events › are paged by position, by topic, stream, type and category', async (t) => {
  for (const n of [1, 2, 3])
    await dataOf(
      `mutation { publishEvent(topic: "gq.page", payload: "${n}", priority: HIGH, key: "k") { success } }`,
    );
  const page = async (
    args: string,
  ): Promise<readonly { readonly position: string; readonly data: unknown }[]> => {
    const { events } = await dataOf(`{ events(${args}) { position data type stream revision id metadata } }`);
    return events as readonly { readonly position: string; readonly data: unknown }[];
  };
  const [first, second] = await page('topic: "gq.*", first: 2');
  t.like(first, {
    data: { payload: 1, priority: 'HIGH', key: 'k' },
    type: 'MessagePublished',
    stream: 'topic-gq.page',
  });
  const rest = await page(`topic: "gq.page", after: "${second?.position}"`);
  t.like(rest, { 0: { data: { payload: 3 } } });
  t.is(rest.length, 1);
  const byStream = await page('stream: "topic-gq.page", type: "MessagePublished", category: "topic"');
  t.is(byStream.length, 3);
  t.like(byStream[2], { revision: 2, data: { payload: 3 } });
  t.is(await codeOf('{ events(topic: "gq.page", category: "topic") { id } }'), 'invalid');
  t.is(await codeOf('{ events(category: "cars") { id } }'), 'invalid');
  t.is(await codeOf('{ events(first: 0) { id } }'), 'invalid');
  const { topics } = await dataOf('{ topics { topic messages } }');
  t.true(
    (topics as readonly object[]).some(
      (topic) => JSON.stringify(topic) === '{"topic":"gq.page","messages":3}',
    ),
  );
});

test('health › says what the log and the read models are', async (t) => {
  const { health } = await dataOf(
    '{ health { status version uptimeSec node log { kind reachable durable position } projections { name lagEvents } } }',
  );
  t.like(health, { status: 'ok', log: { kind: 'embedded', reachable: true, durable: true } });
});

test('invokeService › calls a healthy instance and answers its JSON', async (t) => {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ path: request.url, got: JSON.parse(body) }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const input = { id: 'echo-1', name: 'echo', version: '1.0.0', host: '127.0.0.1', port };
  await dataOf('mutation ($input: RegisterServiceInput!) { registerService(input: $input) { id } }', {
    input,
  });
  const { invokeService } = await dataOf(
    'mutation { invokeService(name: "echo", method: "say/it", data: {words: ["a"]}) { success result instance attempts durationMs } }',
  );
  t.like(invokeService, {
    success: true,
    instance: 'echo-1',
    attempts: 1,
    result: { path: '/say/it', got: { words: ['a'] } },
  });
  t.is(
    await codeOf('mutation { invokeService(name: "nobody", method: "x") { result } }'),
    'service_not_found',
  );
  server.close();
  server.closeAllConnections();
});

test('a payload that is no JSON text › is an error with a code, and nothing is published', async (t) => {
  for (const payload of ['not json', '', '{\\"__proto__\\": 1}']) {
    const { data, errors } = await askGraphql(
      hub,
      `mutation { publishEvent(topic: "gq.bad", payload: "${payload}") { success } }`,
    );
    t.is(data, null);
    t.is(errors[0]?.extensions.code, 'bad_json');
    t.deepEqual(errors[0]?.path, ['publishEvent']);
  }
  t.deepEqual(await dataOf('{ events(topic: "gq.bad") { id } }'), { events: [] });
});

test('a JSON literal › is held to the rules of JSON bodies', async (t) => {
  const set = (value: string): string => `mutation { setState(key: "literal", value: ${value}) { version } }`;
  t.is(await codeOf(set('{constructor: 1}')), 'bad_json');
  t.is(await codeOf(set('{a: {__proto__: 1}}')), 'bad_json');
  t.is(await codeOf(set('1e999')), 'bad_json');
  t.is(await codeOf(set(`${'['.repeat(65)}${']'.repeat(65)}`)), 'bad_json');
  t.like(await dataOf(set(`${'['.repeat(64)}${']'.repeat(64)}`)), { setState: { version: 1 } });
});

test('a refusal › carries the code and facts of REST, and the other fields their data', async (t) => {
  const { status, data, errors } = await askGraphql(hub, '{ a: state(key: "") { key } health { status } }');
  t.is(status, 200);
  t.deepEqual(data, { a: null, health: { status: 'ok' } });
  t.like(errors[0], { path: ['a'], extensions: { code: 'invalid', errors: [{ pointer: '/key' }] } });
});

test('scopes › hold for GraphQL, and without a token nothing is parsed', async (t) => {
  t.is((await fetch(`${guarded.url}/graphql`, { method: 'POST', body: '{"query":"{' })).status, 401);
  const headers = { authorization: `Bearer ${signToken('reader', 'state:read:app/*')}` };
  const { data, errors } = await askGraphql(
    guarded,
    '{ state(key: "app/a") { key } services { id } }',
    undefined,
    headers,
  );
  t.is(data, null);
  t.like(errors[0]?.extensions, { code: 'forbidden', scope: 'services:read' });
  const allowed = await askGraphql(guarded, '{ state(key: "app/a") { key } }', undefined, headers);
  t.deepEqual(allowed.body, { data: { state: null } });
});

/** A hub that notes each call of its core, with the context that it was made in. */
const openCounted = async (): Promise<{
  readonly hub: Hub;
  readonly calls: { readonly name: string; readonly context: unknown }[];
}> => {
  const calls: { name: string; context: unknown }[] = [];
  const counted = await openHub({
    wrap: (core) =>
      new Proxy(core, {
        get: (target, name, receiver) => {
          const value: unknown = Reflect.get(target, name, receiver);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            calls.push({ name: String(name), context: args.at(-1) });
            return Reflect.apply(value, target, args);
          };
        },
      }),
  });
  return { hub: counted, calls };
};

test('reads › are one call for each root field, however much is asked for below it', async (t) => {
  const { hub: counted, calls } = await openCounted();
  t.teardown(() => counted.close());
  for (let n = 0; n < 20; n++) {
    await askGraphql(
      counted,
      `mutation {
        registerService(input: { name: "n${n}", version: "1.0.0", host: "127.0.0.1", port: 9 }) { id }
        createSubscription(name: "s${n}", topic: "t.${n}") { name }
      }`,
    );
  }
  calls.length = 0;
  const { errors, data } = await askGraphql(
    counted,
    `{
      services(first: 20) { id status circuit { reason } healthCheck { intervalMs } balancing { strategy } }
      subscriptions { name topic lagEvents inFlight deadLetters }
      serviceInterfaces(first: 20) { name interfaces { major version } }
      states(first: 20) { key value version }
    }`,
    undefined,
    { 'x-nexus-consistency': 'strong' },
  );
  t.deepEqual(errors, []);
  t.like(data, { services: { length: 20 }, subscriptions: { length: 20 } });
  t.deepEqual(calls.map(({ name }) => name).sort(), [
    'serviceInterfaces',
    'services',
    'states',
    'subscriptions',
  ]);
  t.is(new Set(calls.map(({ context }) => context)).size, 1);
  t.like(calls[0]?.context, { consistency: 'strong', together: true });
});

test('reads › of several keys in one document show one moment, while transactions change them together', async (t) => {
  const both = (value: number): Promise<unknown> =>
    askGraphql(
      hub,
      `mutation { transactState(then: [
        { op: SET, key: "torn/a", value: ${value} }, { op: SET, key: "torn/b", value: ${value} }
      ]) { succeeded } }`,
    );
  await both(0);
  let writing = true;
  const writer = (async () => {
    for (let value = 1; writing; value++) await both(value);
  })();
  const seen = new Set<unknown>();
  for (let n = 0; n < 150; n++) {
    const { a, b } = await dataOf('{ a: state(key: "torn/a") { value } b: state(key: "torn/b") { value } }');
    t.deepEqual(a, b);
    seen.add(JSON.stringify(a));
  }
  writing = false;
  await writer;
  t.true(seen.size > 1, 'control: they were being changed');
});
