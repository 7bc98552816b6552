import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { hookOf, hookSource, writePlugin } from '../support/plugin-folder.ts';
import { commandAt, marking, payloadsAt, pluginEvents, publishAt, viewOf } from '../support/plugin-hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const root = await mkdtemp(join(tmpdir(), 'nexus-life-'));
test.after.always(() => rm(root, { recursive: true, force: true }));

test('two nodes of one log run the same, and what one takes back the other does too', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const own = await mkdtemp(join(root, 'plugins-'));
  const node = async (): Promise<Hub> => {
    const opened = await openHub({
      dataDir: await mkdtemp(join(root, 'data-')),
      log: [redis.url],
      pluginDir: own,
    });
    t.teardown(() => opened.close());
    return opened;
  };
  const [a, b] = [await node(), await node()];
  const isAt = (of: Hub, version: string) => async (): Promise<boolean> => {
    const { status, version: at } = await viewOf(of, 'shared');
    return status === 'enabled' && at === version;
  };
  await writePlugin(own, 'shared', marking('1', 'shared'));
  t.is((await commandAt(a.url, 'EnablePlugin', { name: 'shared' })).status, 200);
  await until(isAt(b, '1.0.0'));
  await writePlugin(own, 'shared', {
    version: '2.0.0',
    manifest: hookOf('before_publish', { match: ['shared.>'] }),
    source: hookSource('before_publish', `throw new Error('worse');`),
  });
  t.is((await commandAt(b.url, 'ReloadPlugin', { name: 'shared' })).status, 200);
  await until(async () => {
    for (const { url } of [a, b]) await publishAt(url, 'shared.a');
    return (await isAt(a, '1.0.0')()) && (await isAt(b, '1.0.0')());
  });
  await publishAt(a.url, 'shared.b');
  await publishAt(b.url, 'shared.b');
  t.deepEqual(await payloadsAt(a.url, 'shared.b'), [{ mark: '1' }, { mark: '1' }]);
  t.is((await commandAt(a.url, 'DisablePlugin', { name: 'shared' })).status, 200);
  await until(async () => (await viewOf(b, 'shared')).status === 'disabled');
});

test('a hub that is killed while it reloads runs what its log says when it is back', async (t) => {
  t.timeout(120_000);
  const folder = await mkdtemp(join(root, 'killed-'));
  const own = await mkdtemp(join(root, 'plugins-'));
  const start = () => startHubProcess(folder, ['--plugin-dir', own]);
  await writePlugin(own, 'killed', marking('0', 'killed'));
  let running = await start();
  t.teardown(() => running.kill('SIGKILL'));
  t.is((await commandAt(running.url, 'EnablePlugin', { name: 'killed' })).status, 200);
  const rounds = process.env.NEXUS_LONG === undefined ? 2 : 20;
  for (let round = 1; round <= rounds; round++) {
    const mark = String(round);
    await writePlugin(own, 'killed', { ...marking(mark, 'killed'), version: `1.0.${mark}` });
    const { url } = running;
    const before = (await pluginEvents(url, 'killed')).length;
    const reload = commandAt(url, 'ReloadPlugin', { name: 'killed' }).catch(() => undefined);
    // Half of the rounds end before the event is written, the other half right behind it.
    if (round % 2 === 0) await until(async () => (await pluginEvents(url, 'killed')).length > before);
    await running.kill('SIGKILL');
    await reload;
    running = await start();
    const installed = (await pluginEvents(running.url, 'killed')).findLast(
      ({ type }) => type === 'PluginInstalled',
    );
    if (installed === undefined) return t.fail('nothing was installed');
    const { version } = installed.data as { readonly version: string };
    t.is((await publishAt(running.url, `killed.r${mark}`)).status, 201);
    t.deepEqual(await payloadsAt(running.url, `killed.r${mark}`), [{ mark: version.split('.')[2] }]);
    t.is((await commandAt(running.url, 'ReloadPlugin', { name: 'killed' })).status, 200);
  }
});
