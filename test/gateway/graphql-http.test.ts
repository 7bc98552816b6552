import test from 'ava';
import {
  buildClientSchema,
  getIntrospectionQuery,
  getOperationAST,
  type IntrospectionQuery,
  parse,
} from 'graphql';
import { ProblemError, problem } from '../../src/errors.ts';
import { costOf, documentLimits, exceedsShape } from '../../src/gateway/graphql/limits.ts';
import { executableSchema } from '../../src/gateway/graphql/schema.ts';
import { askGraphql, getGraphql, graphqlJson, postGraphql } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';

const hub = await openHub();
const broken = await openHub({
  wrap: (core) => ({
    ...core,
    services: async () => {
      throw new Error('a secret of the inside');
    },
    topics: async () => {
      throw new ProblemError(problem('log_unavailable', 'told as it is'));
    },
  }),
});
test.after.always(async () => {
  await hub.close();
  await broken.close();
});

const accept = (type: string) => ({ accept: type });

test('the media type › is the one that is accepted, application/json when any is', async (t) => {
  const of = async (headers: Readonly<Record<string, string>>) =>
    (await askGraphql(hub, '{ health { status } }', undefined, headers)).type;
  t.is(await of(accept('*/*')), 'application/json');
  t.is(await of(accept('application/json')), 'application/json');
  t.is(await of(accept(graphqlJson)), graphqlJson);
  t.is(await of(accept(`${graphqlJson}, application/json;q=0.9`)), graphqlJson);
  t.is(await of(accept(`${graphqlJson};q=0.1, application/json`)), 'application/json');
  t.is((await askGraphql(hub, '{ health { status } }', undefined, accept('image/png'))).status, 406);
});

test('the status › of a document that is not executed is 400 in the media type of GraphQL, 200 in application/json', async (t) => {
  const documents = [
    '{',
    '{ nothing }',
    'query A { health { status } } query B { health { status } }',
    '{ state { key } }',
  ];
  for (const query of documents) {
    const own = await askGraphql(hub, query, undefined, accept(graphqlJson));
    t.is(own.status, 400, query);
    t.false('data' in own.body);
    t.is(typeof own.errors[0]?.extensions.code, 'string');
    const legacy = await askGraphql(hub, query, undefined, accept('application/json'));
    t.is(legacy.status, 200, query);
    t.deepEqual(legacy.body, own.body);
  }
  const variables = await askGraphql(
    hub,
    'query ($v: Int!) { state(key: "a", version: $v) { key } }',
    { v: 'x' },
    accept(graphqlJson),
  );
  t.is(variables.status, 400);
  t.is(variables.errors[0]?.extensions.code, 'invalid');
});

test('a request that is not one of GraphQL over HTTP › is 400 in both media types', async (t) => {
  const bodies = [
    '{}',
    '[]',
    '"x"',
    '{"query":1}',
    '{"query":"{health{status}}","variables":[]}',
    '{"query":"{health{status}}","operationName":1}',
    '{"query":"{health{status}}","extensions":"x"}',
  ];
  for (const type of ['application/json', graphqlJson]) {
    for (const body of bodies) {
      const answer = await postGraphql(hub, body, accept(type));
      t.is(answer.status, 400, body);
      t.is(answer.errors[0]?.extensions.code, 'invalid', body);
    }
  }
  t.is((await postGraphql(hub, '{"query":')).status, 400);
  t.is((await postGraphql(hub, '{"query":"{health{status}}","variables":{"constructor":1}}')).status, 400);
  t.is(
    (
      await postGraphql(
        hub,
        '{"query":"{health{status}}","variables":null,"operationName":null,"extensions":null}',
      )
    ).status,
    200,
  );
});

test('a body of another type, or too large › is refused before it is read', async (t) => {
  for (const type of [
    'text/plain',
    'application/graphql',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
  ]) {
    t.is(
      (await postGraphql(hub, '{"query":"{health{status}}"}', { 'content-type': type })).status,
      415,
      type,
    );
  }
  t.is(
    (
      await postGraphql(hub, '{"query":"{health{status}}"}', {
        'content-type': 'application/json; charset=utf-8',
      })
    ).status,
    200,
  );
  t.is(
    (
      await postGraphql(
        hub,
        JSON.stringify({ query: '{health{status}}', variables: { pad: 'x'.repeat(1_048_576) } }),
      )
    ).status,
    413,
  );
});

test('GET › answers queries, and runs no mutation', async (t) => {
  const query = 'query Q($key: String!) { state(key: $key) { key } }';
  const answer = await getGraphql(
    hub,
    { query, variables: '{"key":"get/a"}', operationName: 'Q' },
    accept(graphqlJson),
  );
  t.is(answer.status, 200);
  t.deepEqual(answer.body, { data: { state: null } });
  const mutation = await getGraphql(hub, {
    query: 'mutation { setState(key: "get/a", value: 1) { version } }',
  });
  t.is(mutation.status, 405);
  t.is(mutation.allow, 'POST');
  t.deepEqual((await getGraphql(hub, { query, variables: '{"key":"get/a"}' })).data, { state: null });
  t.is((await getGraphql(hub, {})).status, 400);
  t.is((await getGraphql(hub, { query, variables: '{' })).status, 400);
  t.is((await getGraphql(hub, { query, variables: '[1]' })).status, 400);
  t.is((await fetch(`${hub.url}/graphql?query=a&query=b`)).status, 400);
});

test('another method › is 405 with Allow', async (t) => {
  for (const method of ['PUT', 'DELETE', 'PATCH']) {
    const response = await fetch(`${hub.url}/graphql`, { method });
    t.is(response.status, 405);
    t.is(response.headers.get('allow'), 'GET, POST');
  }
});

test('limits › are held before anything is executed, and tell which', async (t) => {
  const aliases = Array.from({ length: 17 }, (_, index) => `a${index}: health { status }`).join(' ');
  const nested = `${'{ a'.repeat(13)}${' }'.repeat(13)}`;
  const spreads = Array.from(
    { length: 30 },
    (_, n) => `fragment F${n} on Query { ...F${n + 1} ...F${n + 1} }`,
  ).join(' ');
  const fields = 'id type stream revision position data recordedAt actor metadata';
  const documents: readonly (readonly [name: string, query: string, said: RegExp])[] = [
    ['aliases', `{ ${aliases} }`, /16 aliases/],
    ['depth', nested, /12 fields deep/],
    ['fields', `{ ${'health { status } '.repeat(300)} }`, /500 fields/],
    [
      'cost',
      `{ ${['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}: events(first: 1000) { ${fields} }`).join(' ')} }`,
      /1000 are allowed/,
    ],
    [
      'cost of fragments',
      `{ ...F0 } ${spreads} fragment F30 on Query { health { status } }`,
      /1000 are allowed/,
    ],
    [
      'cyclic fragments',
      '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }',
      /Cannot spread/,
    ],
    ['tokens', `{ state(key: "a", asOf: [${'1 '.repeat(6_000)}]) { key } }`, /tokens/i],
    ['brackets', `{ state(key: ${'['.repeat(4_900)}`, /./],
    ['text', `{ health { status } } #${'x'.repeat(32_768)}`, /32768 bytes/],
  ];
  for (const [name, query, said] of documents) {
    const { status, errors, body } = await askGraphql(hub, query, undefined, accept(graphqlJson));
    t.is(status, 400, name);
    t.false('data' in body, name);
    t.regex(errors[0]?.message ?? '', said, name);
  }
  const sixteen = Array.from({ length: 16 }, (_, index) => `a${index}: health { status }`).join(' ');
  t.is((await askGraphql(hub, `{ ${sixteen} }`, undefined, accept(graphqlJson))).status, 200);
  const withVariable = `query ($n: Int) { ${['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}: events(first: $n) { ${fields} }`).join(' ')} }`;
  t.is((await askGraphql(hub, withVariable, { n: 1_000 }, accept(graphqlJson))).status, 400);
  t.is((await askGraphql(hub, withVariable, { n: 10 }, accept(graphqlJson))).status, 200);
});

const times = (count: number, of: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => of(index)).join(' ');

/** Documents of which the size says how much of one thing they have, and nothing else is near its limit. */
const sized: readonly (readonly [
  what: string,
  limit: number,
  document: (size: number) => string,
  said: RegExp,
])[] = [
  ['bytes', documentLimits.maxTextBytes, (n) => `{ health { status } }${' '.repeat(n - 21)}`, /32768 bytes/],
  [
    'tokens',
    documentLimits.maxTokens,
    (n) => `mutation { setState(key: "limits/a", value: [${'1 '.repeat(n - 16)}]) { version } }`,
    /5000 tokens/,
  ],
  [
    'aliases',
    documentLimits.maxAliases,
    (n) => `{ ${times(n, (i) => `a${i}: health { status }`)} }`,
    /16 aliases/,
  ],
  [
    'aliases in fragments',
    documentLimits.maxAliases,
    (n) =>
      `{ a: health { status } ...F } fragment F on Query { ${times(n - 1, (i) => `f${i}: health { status }`)} }`,
    /16 aliases/,
  ],
  [
    'fields',
    documentLimits.maxFields,
    (n) => `query Q0 { health { status } } ${times(n / 2 - 1, (i) => `query R${i} { health { status } }`)}`,
    /500 fields/,
  ],
  [
    'one name',
    documentLimits.maxRepeats,
    (n) => `{ health { ${'status '.repeat(n)} } }`,
    /16 times in one place/,
  ],
  [
    'fragments',
    documentLimits.maxFragments,
    (n) =>
      `{ ${times(n, (i) => `...F${i}`)} } ${times(n, (i) => `fragment F${i} on Query { health { status } }`)}`,
    /50 fragments/,
  ],
  [
    'spreads',
    documentLimits.maxSpreads,
    (n) => `{ health { ${'... { status } '.repeat(n)} } }`,
    /200 spreads/,
  ],
  [
    'directives',
    documentLimits.maxDirectives,
    (n) => `{ health { ${times(n, () => '... @include(if: true) { status }')} } }`,
    /100 directives/,
  ],
  [
    'variables',
    documentLimits.maxVariables,
    (n) =>
      `mutation (${times(n, (i) => `$v${i}: JSON`)}) { setState(key: "limits/v", value: [${times(n, (i) => `$v${i}`)}]) { version } }`,
    /100 variables/,
  ],
];
for (const [what, limit, document, said] of sized) {
  test(`limits › ${limit} ${what} are let through, and one more is refused`, async (t) => {
    const name = what === 'fields' ? { operationName: 'Q0' } : {};
    const send = (query: string) => postGraphql(hub, JSON.stringify({ query, ...name }), accept(graphqlJson));
    const within = await send(document(limit));
    t.is(within.status, 200, JSON.stringify(within.errors));
    const over = await send(document(limit + (what === 'fields' ? 2 : 1)));
    t.is(over.status, 400);
    t.regex(over.errors[0]?.message ?? '', said);
  });
}

test('limits › depth counts through fragments of every kind, and introspection apart', (t) => {
  const nest = (depth: number, inner: string) => `${'{ a '.repeat(depth)}${inner}${'}'.repeat(depth)}`;
  const deep: readonly ((depth: number) => string)[] = [
    (depth) => nest(depth, ''),
    (depth) => `${nest(depth - 5, '{ ...F }')} fragment F on A ${nest(5, '')}`,
    (depth) => nest(depth - 5, `{ ... on A ${nest(5, '')} }`),
    (depth) => `${nest(depth - 5, '{ ...F }')} fragment F on A { ...G } fragment G on A ${nest(5, '')}`,
    (depth) => `{ b } query Q ${nest(depth, '')}`,
    (depth) => nest(depth, `{ __schema ${nest(20, '')} }`),
  ];
  for (const of of deep) {
    t.is(exceedsShape(parse(of(documentLimits.maxDepth))), undefined);
    t.regex(
      exceedsShape(parse(of(documentLimits.maxDepth + 1)))?.message ?? '',
      /12 fields deep, and this one is 13/,
    );
  }
});

test('limits › 1,000 units are let through, and one step more is refused: literals, variables and defaults', async (t) => {
  const fields = 'id type stream revision position data recordedAt actor metadata';
  // 5 times 10 + 9 fields for 20 pages of 50 items, and 10 + 10 fields for 4 pages.
  const cost = (head: string, first: string) =>
    `${head} { ${times(5, (i) => `e${i}: events(first: 1000) { ${fields} }`)} last: events(first: ${first}) { ${fields} __typename } }`;
  const status = async (query: string, variables?: object): Promise<number> =>
    (await askGraphql(hub, query, variables, accept(graphqlJson))).status;
  t.is(await status(cost('', '200')), 200);
  t.is(await status(cost('', '201')), 400);
  t.is(await status(cost('query ($n: Int)', '$n'), { n: 200 }), 200);
  t.is(await status(cost('query ($n: Int)', '$n'), { n: 201 }), 400);
  t.is(await status(cost('query ($n: Int)', '$n')), 400, 'the longest page where nothing is said');
  t.is(await status(cost('query ($n: Int = 1)', '$n')), 400);
  const inFragments = (first: string) =>
    `{ ...F ... on Query { last: events(first: ${first}) { ${fields} __typename } } } fragment F on Query { ${times(5, (i) => `e${i}: events(first: 1000) { ...G }`)} } fragment G on Event { ${fields} }`;
  t.is(await status(inFragments('200')), 200);
  t.is(await status(inFragments('201')), 400);
  t.is(await status('{ ...I } fragment I on Query { __schema { queryType { name } } }'), 200);
});

test('limits › each root field that answers a list costs by its length', (t) => {
  const fields = Object.values(executableSchema().getQueryType()?.getFields() ?? {});
  const lists = fields.filter(({ type }) => String(type).startsWith('['));
  t.true(lists.length > 8);
  for (const { name } of lists) {
    const document = parse(`{ ${name} { x } }`);
    const operation = getOperationAST(document);
    if (operation) t.is(costOf(document, operation, undefined), 12, name);
  }
});

test('introspection › of GraphiQL passes, and gives a schema that describes the hub', async (t) => {
  const { status, data } = await askGraphql(
    hub,
    getIntrospectionQuery({ specifiedByUrl: true, inputValueDeprecation: true, schemaDescription: true }),
  );
  t.is(status, 200);
  const schema = buildClientSchema(data as unknown as IntrospectionQuery);
  t.true(Object.hasOwn(schema.getSubscriptionType()?.getFields() ?? {}, 'stateChanged'));
});

test('a fault of the inside › is masked and logged, one of the table is told', async (t) => {
  const { status, errors, data } = await askGraphql(broken, '{ services { id } }');
  t.is(status, 200);
  t.is(data, null);
  t.is(errors[0]?.extensions.code, 'internal');
  t.notRegex(JSON.stringify(errors), /secret/);
  t.is(broken.logged.length, 1);
  t.is((await askGraphql(broken, '{ topics { topic } }')).errors[0]?.extensions.code, 'log_unavailable');
  t.deepEqual(hub.logged, []);
});

test('the cost › of a list is that of the longest page, however many are asked for', async (t) => {
  const asked = await askGraphql(hub, '{ states(first: 2000000000) { key value version } }');
  t.deepEqual(asked.errors, []);
  const variable = await askGraphql(hub, 'query ($n: Int) { states(first: $n) { key } }', {
    n: 2_000_000_000,
  });
  t.deepEqual(variable.errors, []);
});
