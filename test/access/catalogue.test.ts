import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { GraphQLObjectType } from 'graphql';
import { commandTypes } from '../../src/command/catalog.ts';
import { createAskers } from '../../src/gateway/askers.ts';
import { executableSchema } from '../../src/gateway/graphql/schema.ts';
import { commandOperations } from '../../src/gateway/operations/commands.ts';
import { commandSocketFrames, socketFrames } from '../../src/gateway/operations/frames.ts';
import { graphqlOperations } from '../../src/gateway/operations/graphql.ts';
import { restOperations, templateOf } from '../../src/gateway/operations/rest.ts';
import { createSections } from '../../src/gateway/rest/router.ts';
import { createTails } from '../../src/gateway/tails.ts';
import { createLogger } from '../../src/logger.ts';
import { openHub } from '../support/hub.ts';
import { tables } from './tables.ts';

const root = join(import.meta.dirname, '../..');
const source = (path: string): string => readFileSync(join(root, path), 'utf8');

const sorted = (names: Iterable<string>): readonly string[] => [...names].toSorted();
const nameOf = ({ method, path }: { readonly method: string; readonly path: string }) => `${method} ${path}`;

/** What stands in front of the routers of REST (src/gateway/gateway.ts). */
const beforeRest = ['ANY /proxy/{name}/{path}', 'GET /graphql', 'POST /graphql'];

test('the catalogue › has each route of the routers, and no other', async (t) => {
  const hub = await openHub();
  t.teardown(hub.close);
  const logger = createLogger('silent', { write: () => {} });
  const watch = () => () => {};
  const sections = createSections({
    core: hub.core,
    config: hub.config,
    logger,
    tails: createTails({ logger, watch }),
    askers: createAskers(watch),
    whileGood: (_, work) => work(),
    isDraining: () => false,
  });
  const routes = new Set<string>(beforeRest);
  for (const router of new Set(sections.values())) {
    for (const { path, methods } of router.stack) {
      // What is there for all methods refuses them.
      if (methods.length > 2) continue;
      for (const method of methods) {
        if (method !== 'HEAD') routes.add(`${method} ${templateOf(String(path))}`);
      }
    }
  }
  t.true(routes.size > 50);
  t.deepEqual(sorted(restOperations.map(nameOf)), sorted(routes));
  for (const { path } of restOperations) {
    const [, segment = ''] = path.split('/');
    t.true(sections.has(segment) || segment === 'graphql' || segment === 'proxy', path);
  }
});

test('the catalogue › has each root field of the schema, and no other', (t) => {
  const schema = executableSchema();
  for (const [name, fields] of Object.entries(graphqlOperations)) {
    const type = schema.getType(name);
    const known = type instanceof GraphQLObjectType ? Object.keys(type.getFields()) : [];
    t.true(known.length > 0);
    t.deepEqual(sorted(Object.keys(fields)), sorted(known));
  }
});

/** The types that a function tells apart, from its source. */
const casesOf = (path: string, from = '', to?: string): readonly string[] => {
  const text = source(path);
  const begin = text.indexOf(from);
  const part = text.slice(begin, to === undefined ? undefined : text.indexOf(to, begin));
  return [...part.matchAll(/case '([a-zA-Z]+)':/g)].flatMap(([, type = '']) => type);
};

test('the catalogue › has each frame that /ws understands, and no other', (t) => {
  const understood = [
    ...casesOf('src/gateway/ws/frame.ts', 'const understand =', 'serviceFrame(fields)'),
    ...casesOf('src/gateway/ws/service-frames.ts'),
  ];
  t.true(understood.length > 15);
  t.deepEqual(sorted(Object.keys(socketFrames)), sorted(understood));
});

test('the catalogue › has each frame that the command socket takes, and no other', (t) => {
  const taken = casesOf('src/bus/zeromq/commands.ts', 'switch (understood.type)', 'default:');
  t.deepEqual(sorted(Object.keys(commandSocketFrames)), sorted(taken));
});

test('the catalogue › has each command, and no other', (t) => {
  t.deepEqual(sorted(Object.keys(commandOperations)), sorted(commandTypes));
});

test('docs/access.md › has the rows of the catalogue under its headings, and no others', (t) => {
  const sections = new Map(
    source('docs/access.md')
      .split('\n## ')
      .map((section) => {
        const [title = '', ...lines] = section.split('\n');
        return [title, lines.filter((line) => line.startsWith('| `'))] as const;
      }),
  );
  for (const [title, rows] of Object.entries(tables)) t.deepEqual(sections.get(title), rows, title);
});

test('docs/owasp-api-security.md › names for each of the ten risks tests that there are', (t) => {
  const [, ...risks] = source('docs/owasp-api-security.md').split('\n## ');
  t.deepEqual(
    risks.map((risk) => /^API(\d+): /.exec(risk)?.[1]),
    Array.from({ length: 10 }, (_, index) => String(index + 1)),
  );
  for (const risk of risks) {
    const shown = [...risk.matchAll(/^- `(test\/[\w./-]+\.test\.ts)`: (.+)$/gm)];
    t.true(shown.length >= 3, risk.slice(0, 60));
    t.is(risk.match(/^- /gm)?.length, shown.length, 'each line names a file and a title');
    for (const [, path = '', title = ''] of shown) {
      const titles = [...source(path).matchAll(/\btest(?:\.serial|\.after|\.skip)?\(\s*(['`])(.*?)\1/g)];
      t.true(
        titles.some(([, , own = '']) => own.includes(title)),
        `${path} has no test “${title}”`,
      );
    }
  }
});
