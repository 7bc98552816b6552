import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseConfig } from '../../src/config.ts';
import { createReads } from '../../src/core/reads.ts';
import { createServiceQueries } from '../../src/core/services.ts';
import { openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import type { Context } from '../../src/nexus-core.ts';
import type { ReadStore } from '../../src/projection/read-store.ts';
import type { Runner } from '../../src/projection/runner.ts';

const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };

test('a list by name › reads the instances of that name alone, and another filter those that it lets through', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-index-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, log: [`file:${folder}`] };
  const core = await openCore(config, { watchdogMs: 60_000, logger: createLogger('silent') });
  t.teardown(() => core.close());
  for (let index = 0; index < 60; index++) {
    const name = index % 20 === 0 ? 'few' : 'many';
    const data = { id: `s-${index}`, name, version: '1.0.0', host: '127.0.0.1', port: 9 };
    t.true((await core.execute({ type: 'RegisterService', data }, context)).ok);
  }

  let documents = 0;
  const { runner, registry, log, hub } = core.parts;
  const { store } = runner;
  const counted: ReadStore = {
    ...store,
    checkpoint: store.checkpoint,
    read(model, key) {
      documents++;
      return store.read(model, key);
    },
    *range(model, options) {
      for (const one of store.range<never>(model, options)) {
        documents++;
        yield one;
      }
    },
  };
  const counting: Runner = Object.create(runner, { store: { value: counted } });
  const { services } = createServiceQueries(createReads({ log, hub, runner: counting }), registry);
  const read = async (filter: object): Promise<readonly [found: number, looked: number]> => {
    documents = 0;
    const found = await services(filter, context);
    return [found.ok ? found.value.services.length : -1, documents];
  };
  t.deepEqual(await read({ name: 'few' }), [3, 3]);
  t.deepEqual(await read({ name: 'few', limit: 1 }), [1, 2]);
  t.deepEqual(await read({ name: 'none' }), [0, 0]);
  t.deepEqual(await read({ tag: 'x' }), [0, 0]);
  t.deepEqual(await read({ version: '^1', limit: 10 }), [10, 11]);
  t.deepEqual(await read({ limit: 10 }), [10, 11]);
});
