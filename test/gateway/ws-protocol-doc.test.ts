import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { GraphQLObjectType } from 'graphql';
import { documentLimits } from '../../src/gateway/graphql/limits.ts';
import { executableSchema } from '../../src/gateway/graphql/schema.ts';
import { closeCodes } from '../../src/gateway/ws/session.ts';

const root = join(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'docs/protocol.md'), 'utf8');
const source = (path: string): string => readFileSync(join(root, path), 'utf8');

const documented = new Set([...text.matchAll(/type: "([a-zA-Z]+)"/g)].map(([, type]) => type));

const understood = new Set(
  [
    ...(source('src/gateway/ws/frame.ts') + source('src/gateway/ws/service-frames.ts')).matchAll(
      /case '([a-zA-Z]+)':/g,
    ),
  ].map(([, type]) => type),
);
/** In the code a frame is an object or a text; the types of a watch's frames are arguments. */
const literals = [/type: '([a-zA-Z]+)'/g, /"type":"([a-zA-Z]+)"/g, /, '([a-zA-Z]+)'(?=[,)])/g];
const sent = new Set(
  globSync(
    'src/gateway/ws/{mutate,exchange,feed,session,subscriptions,consumer,settlements,replays,services}.ts',
    {
      cwd: root,
    },
  ).flatMap((path) =>
    literals.flatMap((literal) => [...source(path).matchAll(literal)].map(([, type]) => type)),
  ),
);

test('docs/protocol.md › names each type of frame that the hub understands', (t) => {
  t.true(understood.size >= 13);
  for (const type of understood) t.true(documented.has(type) || text.includes(`\`${type}\``), type);
});

test('docs/protocol.md › names no type of frame that is neither understood nor sent', (t) => {
  t.true(documented.size >= 20);
  for (const type of documented) t.true(understood.has(type) || sent.has(type), type);
  for (const type of [
    'published',
    'result',
    'error',
    'pong',
    'unsubscribed',
    'authenticated',
    'message',
    'done',
    'tailing',
  ]) {
    t.true(sent.has(type) && documented.has(type), type);
  }
});

test('docs/protocol.md › has a row for each close code', (t) => {
  for (const code of Object.values(closeCodes)) t.true(text.includes(`\n| ${code} |`), String(code));
});

test('docs/protocol.md › names each root field of the schema', (t) => {
  const schema = executableSchema();
  for (const [kind, line] of [
    ['Query', 'queries'],
    ['Mutation', 'mutations'],
    ['Subscription', 'subscriptions'],
  ] as const) {
    const type = schema.getType(kind);
    const fields = type instanceof GraphQLObjectType ? Object.keys(type.getFields()) : [];
    const named = new RegExp(`^- ${line} (.*)$`, 'm').exec(text)?.[1] ?? '';
    t.deepEqual(
      [...named.matchAll(/`(\w+)`/g)].map(([, field]) => field),
      fields,
    );
  }
});

test('docs/protocol.md › tells the limits of documents as they are', (t) => {
  const { maxTokens, maxDepth, maxAliases, maxFields, maxCost, maxRepeats } = documentLimits;
  const { maxFragments, maxSpreads, maxDirectives, maxVariables } = documentLimits;
  t.true(text.includes(`32 KiB, ${maxTokens.toLocaleString('en')} tokens`));
  t.true(text.includes(`| depth | ${maxDepth} `));
  t.true(text.includes(`| aliases of one field | ${maxAliases} |`));
  t.true(text.includes(`| fields in the document | ${maxFields} |`));
  t.true(text.includes(`| times that one name stands in one place | ${maxRepeats} |`));
  t.true(text.includes(`| fragments, spreads of fragments | ${maxFragments}, ${maxSpreads} |`));
  t.true(text.includes(`| directives, variables | ${maxDirectives}, ${maxVariables} |`));
  t.true(text.includes(`| cost | ${maxCost.toLocaleString('en')}:`));
});
