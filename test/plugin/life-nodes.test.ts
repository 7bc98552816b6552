import { generateKeyPairSync } from 'node:crypto';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { runHere } from '../support/cli.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { hookOf, hookSource, writePlugin } from '../support/plugin-folder.ts';
import {
  commandAt,
  marking,
  payloadsAt,
  pluginEvents,
  publishAt,
  untilEnabled,
  viewOf,
} from '../support/plugin-hub.ts';
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
  await until(isAt(a, '2.0.0'));
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

test('nodes whose folders differ keep what they run, and tell of it once', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const node = async (mark: string): Promise<Hub> => {
    const own = await mkdtemp(join(root, 'plugins-'));
    await writePlugin(own, 'differs', { ...marking(mark, 'differs'), version: `${mark}.0.0` });
    const opened = await openHub({
      dataDir: await mkdtemp(join(root, 'data-')),
      log: [redis.url],
      pluginDir: own,
    });
    t.teardown(() => opened.close());
    return opened;
  };
  const enable = async ({ url }: Hub, memoryMb: number): Promise<void> => {
    const body = { name: 'differs', limits: { memoryMb } };
    t.is((await commandAt(url, 'EnablePlugin', body)).status, 200);
  };
  const a = await node('1');
  await enable(a, 31);
  const b = await node('2');
  await untilEnabled(b.url, 'differs');
  await enable(a, 30);
  await enable(b, 29);
  await enable(a, 28);
  for (const [of, version] of [
    [a, '1.0.0'],
    [b, '2.0.0'],
  ] as const) {
    await untilEnabled(of.url, 'differs');
    t.is((await viewOf(of, 'differs')).version, version);
    t.is((await publishAt(of.url, 'differs.x')).status, 201);
  }
  t.deepEqual(await payloadsAt(a.url, 'differs.x'), [{ mark: '1' }, { mark: '2' }]);
  const installed = (await pluginEvents(a.url, 'differs')).filter(({ type }) => type === 'PluginInstalled');
  t.deepEqual(
    installed.map(({ data }) => {
      const { version, cause } = data as { readonly version: string; readonly cause: string };
      return [version, cause];
    }),
    [
      ['1.0.0', 'enable'],
      ['2.0.0', 'reload'],
      ['1.0.0', 'enable'],
      ['2.0.0', 'enable'],
      ['1.0.0', 'enable'],
    ],
  );
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
    await untilEnabled(running.url, 'killed');
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

test('with a signature demanded, only what a known key has signed runs, and its change does not', async (t) => {
  const own = await mkdtemp(join(root, 'plugins-'));
  const [known, stranger] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
  const files = {
    known: join(root, 'known.pem'),
    stranger: join(root, 'stranger.pem'),
    keys: join(root, 'keys.pem'),
  };
  for (const [file, key] of [
    [files.known, known.privateKey],
    [files.stranger, stranger.privateKey],
  ] as const) {
    await writeFile(file, key.export({ format: 'pem', type: 'pkcs8' }));
  }
  await writeFile(files.keys, known.publicKey.export({ format: 'pem', type: 'spki' }));
  const strict = await openHub({ pluginDir: own, pluginIntegrity: 'signature', pluginKeys: files.keys });
  t.teardown(() => strict.close());
  const enable = () => commandAt(strict.url, 'EnablePlugin', { name: 'signed' });
  const signed = async (key: string): Promise<void> => {
    const { code, stderr } = await runHere(['plugins', 'sign', join(own, 'signed'), '--key', key], {});
    t.is(code, 0, stderr);
  };
  await writePlugin(own, 'signed', marking('1', 'signed'));
  t.like((await enable()).body, { status: 409, code: 'plugin_rejected' });
  await signed(files.stranger);
  t.is((await enable()).status, 409);
  await signed(files.known);
  const enabled = await enable();
  t.is(enabled.status, 200, JSON.stringify(enabled.body));
  const { signedBy, hash } = await viewOf(strict, 'signed');
  t.is(typeof signedBy, 'string');
  t.regex((await runHere(['plugins', 'hash', join(own, 'signed')], {})).stdout, new RegExp(`^${hash}\n$`));
  await appendFile(join(own, 'signed/index.ts'), '\n// changed');
  t.is((await commandAt(strict.url, 'ReloadPlugin', { name: 'signed' })).status, 409);
});

test('a plugin that dies again and again is disabled, with the reason; one that guards stays and refuses', async (t) => {
  const own = await mkdtemp(join(root, 'plugins-'));
  const hub = await openHub({ pluginDir: own });
  t.teardown(() => hub.close());
  const source = hookSource(
    'before_publish',
    `const all: unknown[] = []; for (;;) all.push(new Array(100_000).fill(all.length));`,
  );
  const limits = { memoryMb: 8, cpuMsPerCall: 10_000, timeoutMs: 10_000 };
  for (const [name, onFailure] of [
    ['dies', 'skip'],
    ['dies-guarding', 'refuse'],
  ] as const) {
    await writePlugin(own, name, {
      source,
      manifest: { ...hookOf('before_publish', { match: [`${name}.>`], onFailure }), limits },
    });
    t.is((await commandAt(hub.url, 'EnablePlugin', { name })).status, 200);
  }
  const becomes = (name: string, status: string) =>
    until(async () => {
      await publishAt(hub.url, `${name}.a`);
      return (await viewOf(hub, name)).status === status;
    });
  await Promise.all([becomes('dies', 'disabled'), becomes('dies-guarding', 'failed')]);
  t.like((await publishAt(hub.url, 'dies-guarding.a')).body, { status: 503, code: 'plugin_failed' });
  const told = await pluginEvents(hub.url, 'dies');
  t.deepEqual(
    told.slice(2).map(({ type, data }) => [type, (data as { readonly strikes?: number }).strikes]),
    [
      ['PluginFailed', 1],
      ['PluginFailed', 2],
      ['PluginFailed', 3],
      ['PluginDisabled', undefined],
    ],
  );
});
