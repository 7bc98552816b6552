import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';

const root = join(import.meta.dirname, '..');
const folders = ['domain', 'projections', 'plugins', 'src', 'test', 'bench', 'demo', 'examples'];
const files = globSync(`{${folders.join()}}/**/*.ts`, { cwd: root, exclude: ['**/node_modules'] })
  .filter((path) => existsSync(join(root, path)))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
const imports = files.flatMap(({ path, text }) =>
  [...text.matchAll(/\b(?:from|import)\s*\(?\s*'([\w@./:-]+)'/g)].map(([, name = '']) => ({
    path,
    to: name.startsWith('.') ? normalize(join(dirname(path), name)) : name,
  })),
);

/** `src/log/redis.ts` and all under `src/log/redis/` are one adapter. */
const adapterOf = (path: string) =>
  /^src\/(?:log\/(?:embedded|redis|eventstoredb)|projection\/lmdb)(?=\.ts$|\/)/.exec(path)?.[0];
const backEnds = ['lmdb', 'ioredis', '@eventstore/db-client'];
const compositionRoot = ['src/core.ts', 'src/log/open.ts', 'src/main.ts'];
/** The runner keeps generations of read models, each a folder of this one store, and so opens and deletes them itself. */
const ownsItsStore = (path: string, adapter: string) =>
  adapter === 'src/projection/lmdb' && /^src\/projection\/(?:runner|generations)\.ts$/.test(path);
const impure =
  /\b(?:Date|Math\.random|async|await|Promise|set(?:Timeout|Interval|Immediate)|queueMicrotask|performance|process|crypto|globalThis)\b|\bfetch\(|'node:/;
const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');

/** A claim, and what breaks it: `allowed` tells of each import of the files that `from` names. */
const only = (claim: string, from: RegExp, allowed: (to: string, path: string) => boolean) =>
  test(claim, (t) => {
    const own = imports.filter(({ path }) => from.test(path));
    t.not(own.length, 0, 'the scan sees no import at all');
    t.deepEqual(
      own.filter(({ to, path }) => !allowed(to, path)),
      [],
    );
  });

only('the domain imports only itself', /^domain\//, (to) => to.startsWith('domain/'));
only('projections import only the domain and themselves', /^projections\//, (to) =>
  /^(?:domain|projections)\//.test(to),
);
only(
  'an adapter imports the log’s folder, the domain and packages',
  /^src\/log\/(?:embedded|redis|eventstoredb)/,
  (to) => /^(?:src\/log\/|(?!src\/|projections\/|test\/))/.test(to),
);
only('only the composition root names an adapter, not even another adapter does', /^src\//, (to, path) => {
  const adapter = adapterOf(to);
  if (adapter === undefined || adapter === adapterOf(path)) return true;
  return compositionRoot.includes(path) || ownsItsStore(path, adapter);
});
only(
  'only an adapter names its back end',
  /^src\//,
  (to, path) => !backEnds.includes(to) || !!adapterOf(path),
);
only('the product imports no test and no benchmark', /^(?:src|plugins)\//, (to) =>
  /^(?!test\/|bench\/|demo\/)/.test(to),
);

test('domain and projections know no clock, no randomness, no host and nothing asynchronous', (t) => {
  const pure = files.filter(({ path }) => /^(?:domain|projections)\//.test(path));
  t.not(pure.length, 0);
  t.deepEqual(
    pure.filter(({ text }) => impure.test(withoutComments(text))).map(({ path }) => path),
    [],
  );
});

test('every file has 400 lines at most', (t) => {
  t.deepEqual(
    files.filter(({ text }) => text.split('\n').length > 401).map(({ path }) => path),
    [],
  );
});
