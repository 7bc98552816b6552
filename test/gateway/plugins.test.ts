import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { askGraphql } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { hookOf, hookSource, writePlugin } from '../support/plugin-folder.ts';
import { hashOf } from '../support/plugin-samples.ts';
import { redisForTest } from '../support/redis-server.ts';
import { readWholeLog, request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { until } from '../support/until.ts';
import { openWs } from '../support/ws-client.ts';
import { openDealer } from '../support/zeromq.ts';

const pluginDir = await mkdtemp(join(tmpdir(), 'nexus-plugins-'));
const hub: Hub = await openHub({ pluginDir });
test.after.always(async () => {
  await hub.close();
  await rm(pluginDir, { recursive: true, force: true });
});

type Headers = Readonly<Record<string, string>>;
const call = (method: string, path: string, body?: unknown, headers: Headers = {}) =>
  request(hub.url, method, path, { headers, ...(body === undefined ? {} : { body }) });
const enable = (name: string, body: unknown = {}, headers: Headers = {}) =>
  call('POST', `/plugins/${name}/enable`, body, headers);
const typesOf = async (name: string, of: Pick<Hub, 'url'> = hub): Promise<readonly string[]> =>
  (await readWholeLog(of.url))
    .filter(({ stream }: LogEvent) => stream === `plugin-${name}`)
    .map(({ type }) => type);

/** A plugin that asks for a hook, a topic and two prefixes of keys. */
const asking = {
  manifest: {
    description: 'asks for much',
    permissions: {
      publish: ['asked.>'],
      state: { read: ['a/*', 'b/*'], write: [] },
      hooks: { before_publish: { match: ['asked.>'], timeoutMs: 10_000 } },
    },
    configSchema: {
      type: 'object',
      properties: { limit: { type: 'number' } },
      additionalProperties: false,
    },
  },
  source: hookSource('before_publish', 'return undefined;'),
};

test('a plugin over REST › is offered, enabled with what was granted, reloaded, disabled, and shown as it is', async (t) => {
  await writePlugin(pluginDir, 'whole', asking);
  t.like((await call('GET', '/plugins/whole')).body, { status: 'available', version: '1.0.0' });
  const permissions = { publish: ['asked.more', 'other'], state: { read: ['a/*', 'c/*'] } };
  const enabled = await enable('whole', { permissions, limits: { memoryMb: 16 }, config: { limit: 1 } });
  t.is(enabled.status, 200, JSON.stringify(enabled.body));
  t.is(enabled.headers.get('x-nexus-position'), String(enabled.body.position));
  t.like(enabled.body, {
    name: 'whole',
    status: 'enabled',
    description: 'asks for much',
    permissions: { publish: ['asked.more'], state: { read: ['a/*'], write: [] }, hooks: {} },
    requested: { publish: ['asked.>'], state: { read: ['a/*', 'b/*'] } },
    limits: { memoryMb: 16, timeoutMs: 1_000 },
  });
  t.is((await call('POST', '/plugins/whole/reload')).body.status, 'enabled');
  const listed = (await call('GET', '/plugins')).body.plugins as readonly { readonly name: string }[];
  t.like(
    listed.find(({ name }) => name === 'whole'),
    { status: 'enabled', permissions: { publish: ['asked.more'] } },
  );
  const disabled = await call('POST', '/plugins/whole/disable', { reason: 'enough' });
  t.like(disabled.body, { status: 'disabled', statusReason: 'enough' });
  t.deepEqual(await typesOf('whole'), [
    'PluginInstalled',
    'PluginEnabled',
    'PluginInstalled',
    'PluginDisabled',
  ]);
});

test('a grant that is malformed is refused with a pointer per fault, and a configuration by the schema', async (t) => {
  await writePlugin(pluginDir, 'picky', asking);
  const permissions = {
    publish: ['a..b'],
    fetch: ['https://api.example.com/path', '*'],
    hooks: { before_publish: { match: [] }, on_nothing: {} },
    admin: true,
  };
  const { status, body } = await enable('picky', { permissions, limits: { memoryMb: 1 }, hash: 'sha1' });
  t.is(status, 422);
  t.deepEqual((body.errors as readonly { readonly pointer: string }[]).map(({ pointer }) => pointer).sort(), [
    '/hash',
    '/limits/memoryMb',
    '/permissions',
    '/permissions/fetch/0',
    '/permissions/fetch/1',
    '/permissions/hooks',
    '/permissions/hooks/before_publish/match',
    '/permissions/publish/0',
  ]);
  const config = await enable('picky', { config: { limit: 'much' } });
  t.like(config, { status: 422, body: { code: 'invalid' } });
  t.is((config.body.errors as readonly { readonly pointer: string }[])[0]?.pointer, '/config/limit');
  t.deepEqual(await typesOf('picky'), []);
});

test('another content than the one that is named, and a folder that is no plugin, are rejected', async (t) => {
  await writePlugin(pluginDir, 'other', asking);
  const named = await enable('other', { hash: hashOf('x') });
  t.like(named, { status: 409, body: { code: 'plugin_rejected', plugin: 'other' } });
  await mkdir(join(pluginDir, 'faulty'));
  await writeFile(join(pluginDir, 'faulty', 'plugin.json'), '{"name":"faulty","version":"one"}');
  t.like(await enable('faulty'), { status: 409, body: { code: 'plugin_rejected' } });
  t.like((await call('GET', '/plugins/faulty')).body, { status: 'failed' });
  t.like(await enable('nowhere'), { status: 404, body: { code: 'not_found' } });
  t.is((await call('POST', '/plugins/nowhere/disable')).status, 404);
  t.is((await call('POST', '/plugins/other/reload')).status, 404);
  t.is((await call('GET', '/plugins/No')).status, 404);
  t.is((await enable('No')).status, 422);
});

test('a plugin that does not start is enabled all the same, and the answer says why it does not run', async (t) => {
  const source = 'export const initialize = () => { throw new Error("no luck today"); };';
  await writePlugin(pluginDir, 'unlucky', { source });
  const { status, body } = await enable('unlucky');
  t.like({ status, plugin: body.status }, { status: 200, plugin: 'failed' });
  t.regex(String(body.statusReason), /no luck today/);
  t.deepEqual((await typesOf('unlucky')).slice(0, 3), ['PluginInstalled', 'PluginEnabled', 'PluginFailed']);
  await writePlugin(pluginDir, 'unlucky', asking);
  t.like((await enable('unlucky')).body, { status: 'enabled' });
});

test('a command is repeated by its key without a second event, and refused with another body', async (t) => {
  await writePlugin(pluginDir, 'once', asking);
  const key = { 'idempotency-key': 'enable-once' };
  const first = await enable('once', { config: { limit: 1 } }, key);
  t.is(first.status, 200);
  const again = await enable('once', { config: { limit: 1 } }, key);
  t.is(again.headers.get('idempotent-replayed'), 'true');
  t.like(again.body, { status: 'enabled', position: first.body.position });
  t.is((await enable('once', { config: { limit: 2 } }, key)).body.code, 'idempotency_mismatch');
  const reload = { 'idempotency-key': 'reload-once' };
  for (const replayed of [null, 'true']) {
    const answer = await call('POST', '/plugins/once/reload', {}, reload);
    t.is(answer.headers.get('idempotent-replayed'), replayed);
  }
  t.is((await enable('once')).status, 200, 'the same grant by another command');
  t.deepEqual(await typesOf('once'), ['PluginInstalled', 'PluginEnabled', 'PluginInstalled']);
});

test('one that others depend on is not disabled before they are', async (t) => {
  await writePlugin(pluginDir, 'base', asking);
  await writePlugin(pluginDir, 'upper', { ...asking, manifest: { dependencies: { base: '^1.0.0' } } });
  t.like(await enable('upper'), { status: 409, body: { code: 'plugin_rejected' } });
  await enable('base');
  t.like((await enable('upper')).body, { status: 'enabled', dependencies: { base: '^1.0.0' } });
  const refused = await call('POST', '/plugins/base/disable');
  t.like(refused, { status: 409, body: { code: 'plugin_in_use', dependents: ['upper'] } });
  t.is((await call('POST', '/plugins/upper/disable')).status, 200);
  t.is((await call('POST', '/plugins/base/disable')).status, 200);
});

test('the commands are the same over GraphQL, WebSocket, ZeroMQ and POST /commands', async (t) => {
  await writePlugin(pluginDir, 'many-ways', asking);
  const made = await askGraphql(
    hub,
    `mutation { enablePlugin(name: "many-ways", limits: { memoryMb: 8 }, config: { limit: 3 }) {
      success status permissions limits { memoryMb } metrics { calls } position
    } }`,
  );
  t.like(made.data?.enablePlugin, { success: true, status: 'enabled', limits: { memoryMb: 8 } });
  const asked = await askGraphql(
    hub,
    '{ plugins { name } plugin(name: "many-ways") { status offered { hash } } none: plugin(name: "no") { name } }',
  );
  t.like(asked.data, { plugin: { status: 'enabled', offered: null }, none: null });
  t.is(
    (await askGraphql(hub, 'mutation { enablePlugin(name: "no") { name } }')).errors[0]?.extensions.code,
    'not_found',
  );

  const client = await openWs(hub.url);
  t.teardown(() => client.close());
  const disable = { type: 'DisablePlugin', data: { name: 'many-ways' } };
  t.like(await client.ask({ type: 'command', command: disable }), {
    type: 'result',
    result: { status: 'disabled', statusReason: 'by local' },
  });

  const zeroMq = await openZeroMq({
    core: hub.core,
    config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
    logger: createLogger('silent'),
  });
  const { socket, ask } = openDealer(zeroMq.command ?? '');
  t.teardown(async () => {
    socket.close();
    await zeroMq.close();
  });
  const again = { type: 'EnablePlugin', data: { name: 'many-ways', permissions: 'requested' } };
  t.like(await ask({ type: 'command', command: again, id: 'again' }), {
    type: 'result',
    result: { status: 'enabled', limits: { memoryMb: 32 } },
  });
  const reload = { type: 'ReloadPlugin', data: { name: 'many-ways' } };
  t.like((await call('POST', '/commands', reload)).body, { result: { status: 'enabled' } });
  const enabled = (await readWholeLog(hub.url)).filter(
    ({ stream, type }) => stream === 'plugin-many-ways' && type === 'PluginEnabled',
  );
  t.deepEqual(
    enabled.map(({ data }) => (data as { readonly config: unknown }).config),
    [{ limit: 3 }, { limit: 3 }],
    'the configuration stays as it was',
  );
});

test('commands of one plugin at once are done one behind the other', async (t) => {
  await writePlugin(pluginDir, 'busy', asking);
  await enable('busy');
  const answers = await Promise.all([
    call('POST', '/plugins/busy/reload'),
    call('POST', '/plugins/busy/reload'),
    enable('busy', { limits: { memoryMb: 16 } }),
    call('POST', '/plugins/busy/reload'),
  ]);
  t.deepEqual(
    answers.map(({ status, body }) => [status, body.status]),
    answers.map(() => [200, 'enabled']),
  );
  t.like((await call('GET', '/plugins/busy')).body, { status: 'enabled', limits: { memoryMb: 16 } });
});

test('the version in the folder is tried on what the running one was called for', async (t) => {
  const hook = hookOf('before_publish', { match: ['tried.>'] });
  const source = (mark: string) => hookSource('before_publish', `return { change: { payload: '${mark}' } };`);
  await writePlugin(pluginDir, 'tried', { manifest: hook, source: source('old') });
  await enable('tried');
  await call('POST', '/events/tried.a', { payload: 1 });
  await writePlugin(pluginDir, 'tried', { version: '2.0.0', manifest: hook, source: source('new') });
  t.like((await call('GET', '/plugins/tried')).body, { version: '1.0.0', offered: { version: '2.0.0' } });
  const report = await call('POST', '/plugins/tried/shadow', { minutes: 5 });
  t.like(report.body, { calls: 1, differentAnswers: 1, running: { version: '1.0.0' } });
  const shown = await askGraphql(
    hub,
    `mutation { shadowPlugin(name: "tried", minutes: 5) {
      name running { version } shadow { version hash } minutes calls notShown differentAnswers missingWishes
      additionalWishes differentWishes wishesLeftOut refused failures latencyMs { running { p50 } shadow { p99 } } differences wishes
    } }`,
  );
  t.like(shown.data?.shadowPlugin, { calls: 1, differentAnswers: 1, shadow: { version: '2.0.0' } });
  t.is((await call('POST', '/plugins/tried/shadow', { minutes: 61 })).status, 422);
  t.is((await call('POST', '/plugins/tried/shadow', {}, { 'idempotency-key': 'k' })).status, 501);
  t.like((await call('GET', '/plugins/tried')).body, { version: '1.0.0', status: 'enabled' });
});

test('/metrics › tells of plugins by name what they were called for', async (t) => {
  const hook = hookOf('before_publish', { match: ['measured.>'] });
  const source = hookSource('before_publish', "await context.messageBus.publish('not.granted', 1);");
  await writePlugin(pluginDir, 'measured', { manifest: hook, source });
  await enable('measured');
  await call('POST', '/events/measured.a', { payload: 1 });
  let text = '';
  // How large its heap is the process tells now and then.
  await until(async () => {
    text = await (await fetch(`${hub.url}/metrics`)).text();
    return /^nexus_plugin_heap_bytes\{plugin="measured"\} [1-9]/m.test(text);
  });
  const expected = [
    'nexus_plugin_calls_total{plugin="measured"} 1',
    'nexus_plugin_call_failures_total{plugin="measured",fault="threw"} 1',
    'nexus_plugin_wishes_total{plugin="measured"} 1',
    'nexus_plugin_refused_total{plugin="measured",operation="publish"} 1',
    'nexus_plugin_call_duration_seconds_count{plugin="measured"} 1',
    'nexus_plugin_hooks_unanswered_total{plugin="measured",hook="before_publish",outcome="skipped"} 1',
  ];
  t.deepEqual(
    expected.filter((line) => !text.includes(line)),
    [],
  );
  t.regex(text, /^nexus_plugin_processes [1-9]/m);
  t.regex(text, /^nexus_plugins\{status="enabled"\} [1-9]/m);
});

test('the stream of a plugin is read by who may administer plugins, not by who may read the log', async (t) => {
  const closed = await openHub({ jwtSecret, pluginDir });
  t.teardown(() => closed.close());
  await writePlugin(pluginDir, 'streamed', asking);
  const as = (scope: string) => ({ authorization: `Bearer ${signToken('ann', scope)}` });
  const admin = as('plugins:admin');
  await request(closed.url, 'POST', '/plugins/streamed/enable', { headers: admin, body: {} });
  const read = await request(closed.url, 'GET', '/streams/plugin-streamed', { headers: admin });
  t.is((read.body.events as readonly unknown[]).length, 2);
  const refused = await request(closed.url, 'GET', '/streams/plugin-streamed', { headers: as('log:read') });
  t.like(refused, { status: 403, body: { scope: 'plugins:admin' } });
});

test('two nodes of one log run the same, whichever was asked', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const nodes = await Promise.all([1, 2].map(() => openHub({ pluginDir, log: [server.url] })));
  t.teardown(async () => {
    await Promise.all(nodes.map((node) => node.close()));
  });
  const [one, two] = nodes;
  if (one === undefined || two === undefined) throw new Error('there are two nodes');
  const shown = async (node: Hub): Promise<unknown> =>
    (await request(node.url, 'GET', '/plugins/shared')).body.status;
  await writePlugin(pluginDir, 'shared', asking);
  await request(one.url, 'POST', '/plugins/shared/enable', { body: {} });
  t.is(await shown(one), 'enabled');
  await until(async () => (await shown(two)) === 'enabled');
  await request(two.url, 'POST', '/plugins/shared/disable', { body: {} });
  await until(async () => (await shown(one)) === 'disabled');
  t.deepEqual(await typesOf('shared', one), ['PluginInstalled', 'PluginEnabled', 'PluginDisabled']);
});
