import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Config, parseConfig } from '../../src/config.ts';
import { openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import { startEsdbServer } from '../support/esdb-server.ts';
import { startHubProcess } from '../support/hub-process.ts';

const logger = createLogger('silent');

const folderFor = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-folder-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const configFor = (dataDir: string, log: string): Config => {
  const parsed = parseConfig(
    ['--data-dir', dataDir, '--log', log, '--state-file', 'none'],
    {},
    () => undefined,
  );
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.config;
};

const esdbFor = async (t: ExecutionContext): Promise<string> => {
  const server = await startEsdbServer();
  t.teardown(() => server.stop());
  return server.url;
};

test('one hub at a time uses a data folder, whatever its log is', async (t) => {
  const [folder, url] = [await folderFor(t), await esdbFor(t)];
  const config = configFor(folder, url);
  const first = await openCore(config, { watchdogMs: 60_000, logger });
  const before = await readFile(join(folder, 'node.json'), 'utf8');
  const error = await t.throwsAsync(openCore(config, { watchdogMs: 60_000, logger }));
  t.regex(
    error.message,
    new RegExp(`^the data folder in ${folder} is open already, by process ${process.pid} `),
  );
  t.is(await readFile(join(folder, 'node.json'), 'utf8'), before);
  t.is((await first.health()).log.reachable, true, 'the one that has it goes on');
  await first.close();

  const second = await openCore(config, { watchdogMs: 60_000, logger });
  t.is(second.node, first.node, 'the folder is free again, and the node the same');
  await second.close();
});

test('nodes with folders of their own share a log', async (t) => {
  const url = await esdbFor(t);
  const [one, two] = await Promise.all(
    [await folderFor(t), await folderFor(t)].map((folder) =>
      openCore(configFor(folder, url), { watchdogMs: 60_000, logger }),
    ),
  );
  t.not(one?.node, two?.node);
  await one?.close();
  await two?.close();
});

test('a start that fails gives the folder back', async (t) => {
  const folder = await folderFor(t);
  const config = configFor(folder, await esdbFor(t));
  await writeFile(join(folder, 'node.json'), 'damaged');
  await t.throwsAsync(openCore(config, { watchdogMs: 60_000, logger }), { message: /is damaged/ });
  await rm(join(folder, 'node.json'));
  await writeFile(join(folder, 'read-models'), 'a file where a folder must be');
  await t.throwsAsync(openCore(config, { watchdogMs: 60_000, logger }));
  await rm(join(folder, 'read-models'));
  const core = await openCore(config, { watchdogMs: 60_000, logger });
  t.is((await core.health()).node, core.node);
  await core.close();
});

test('a start that is given up while it waits for its log gives the folder back and remembers nothing', async (t) => {
  const folder = await folderFor(t);
  const stopping = new AbortController();
  const opening = openCore(configFor(folder, 'redis://127.0.0.1:1'), {
    watchdogMs: 60_000,
    logger,
    signal: stopping.signal,
  });
  stopping.abort();
  await t.throwsAsync(opening, { name: 'AbortError' });
  t.false((await readdir(folder)).includes('node.json'));
  const core = await openCore(configFor(folder, await esdbFor(t)), { watchdogMs: 60_000, logger });
  await core.close();
});

test('a folder whose hub was killed is free', async (t) => {
  const folder = await folderFor(t);
  const killed = await startHubProcess(folder);
  const refused = await t.throwsAsync(startHubProcess(folder));
  t.regex(
    refused.message,
    new RegExp(`the data folder in .*nexus-data is open already, by process ${killed.pid} `),
  );
  await killed.kill('SIGKILL');
  const next = await startHubProcess(folder);
  t.is(await next.kill('SIGTERM'), 0);
});
