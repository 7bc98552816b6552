import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseConfig } from '../../src/config.ts';
import { type Core, openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import { startEsdbServer } from '../support/esdb-server.ts';

const folderFor = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-accept-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const esdbFor = async (t: ExecutionContext) => {
  const server = await startEsdbServer();
  t.teardown(() => server.stop());
  return server;
};

const open = (
  dataDir: string,
  log: string,
  acceptLog: string | null = null,
  { signal = new AbortController().signal, logger = createLogger('silent') } = {},
): Promise<Core> => {
  const parsed = parseConfig([], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, dataDir, log: [log], acceptLog, stateFile: 'none' };
  return openCore(config, { watchdogMs: 60_000, logger, signal });
};

const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };

const set = async (t: ExecutionContext, core: Core, value: string): Promise<void> => {
  const done = await core.execute({ type: 'SetState', data: { key: 'k', value } }, context);
  t.true(done.ok);
};

/** Value of `k` once the read models have all that the log has. */
const storedIn = async (core: Core): Promise<unknown> => {
  const minPosition = await core.parts.log.position();
  await core.parts.runner.reached(minPosition, 5_000);
  const entry = await core.state('k', {}, { ...context, minPosition });
  return entry.ok ? entry.value.value : entry.problem.code;
};

const rememberedBy = async (folder: string): Promise<string> =>
  JSON.parse(await readFile(join(folder, 'node.json'), 'utf8')).log.logId;

test('an accepted log takes the place of the remembered one, and the read models are of it alone', async (t) => {
  const [mine, others] = [await folderFor(t), await folderFor(t)];
  const [first, second] = [await esdbFor(t), await esdbFor(t)];
  const other = await open(others, second.url);
  await set(t, other, 'of the other');
  await other.close();
  const before = await open(mine, first.url);
  await set(t, before, 'mine');
  await before.close();
  const otherId = await rememberedBy(others);
  t.not(await rememberedBy(mine), otherId);

  const moved = await open(mine, second.url, otherId);
  t.is(await storedIn(moved), 'of the other');
  t.is(moved.node, before.node);
  await moved.close();
  t.is(await rememberedBy(mine), otherId);

  const again = await open(mine, second.url);
  t.is(await storedIn(again), 'of the other', 'it is remembered without the flag');
  await again.close();
});

test('an accepted log that is never found leaves the memory and the read models as they were', async (t) => {
  const [folder, server] = [await folderFor(t), await esdbFor(t)];
  const before = await open(folder, server.url);
  await set(t, before, 'mine');
  await before.close();
  const [logId, models] = [await rememberedBy(folder), await readdir(join(folder, 'read-models'))];

  const stopping = new AbortController();
  const logger = createLogger('warn', {
    write: (line) => {
      if (line.includes('waiting for the event log')) stopping.abort();
    },
  });
  const unknown = '0199aaaa-0000-7000-8000-000000000000';
  const opening = open(folder, server.url, unknown, { signal: stopping.signal, logger });
  await t.throwsAsync(opening, { name: 'AbortError' });
  t.is(await rememberedBy(folder), logId);
  t.deepEqual(await readdir(join(folder, 'read-models')), models);
  const after = await open(folder, server.url);
  t.is(await storedIn(after), 'mine');
  await after.close();
});

test('a start that waits for its first log ends with 0 when it is asked to stop', async (t) => {
  const folder = await folderFor(t);
  const main = join(import.meta.dirname, '../../bin/nexus.js');
  const child = spawn(process.execPath, [main, 'start', '--api-port', '0', '--log', 'redis://127.0.0.1:1'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NEXUS_LOG_LEVEL: 'warn' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = await once(child.stderr, 'data');
  t.regex(String(line), /waiting for the event log/);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  t.deepEqual(await ended, [0, null]);
});
