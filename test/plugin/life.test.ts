import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Json } from '../../domain/event.ts';
import type { PluginView } from '../../src/nexus-plugins.ts';
import { type Hub, type HubOptions, openHub } from '../support/hub.ts';
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
import { readWholeLog, request } from '../support/rest.ts';
import { until } from '../support/until.ts';

const root = await mkdtemp(join(tmpdir(), 'nexus-life-'));
const pluginDir = await mkdtemp(join(root, 'plugins-'));
const secretEnv = 'NEXUS_PLUGIN_KEEPS_SECRETS_TOKEN';
process.env[secretEnv] = 'a-secret-value';

const open = (options: HubOptions = {}): Promise<Hub> => openHub({ pluginDir, ...options });
const hub = await open();
test.after.always(async () => {
  await hub.close();
  await rm(root, { recursive: true, force: true });
});

const command = (type: string, data: Json, url = hub.url) => commandAt(url, type, data);
const publish = (topic: string, payload: Json = {}, url = hub.url) => publishAt(url, topic, payload);
const view = (name: string, of = hub) => viewOf(of, name);
const eventsOf = (name: string, url = hub.url) => pluginEvents(url, name);
const payloadsOn = (topic: string, url = hub.url) => payloadsAt(url, topic);

test('a plugin that is enabled while the hub runs is asked, and no longer when it is disabled', async (t) => {
  await writePlugin(pluginDir, 'marks', marking('first', 'marks'));
  t.is((await view('marks')).status, 'available');
  const enabled = await command('EnablePlugin', { name: 'marks' });
  t.is(enabled.status, 200, JSON.stringify(enabled.body));
  t.like(await view('marks'), { status: 'enabled', version: '1.0.0', bundled: false });
  t.is((await publish('marks.a')).status, 201);
  t.is((await command('DisablePlugin', { name: 'marks' })).status, 200);
  t.is((await publish('marks.a', 'plain')).status, 201);
  t.deepEqual(await payloadsOn('marks.a'), [{ mark: 'first' }, 'plain']);
  t.is((await view('marks')).status, 'disabled');
  t.deepEqual(
    (await eventsOf('marks')).map(({ type }) => type),
    ['PluginInstalled', 'PluginEnabled', 'PluginDisabled'],
  );
});

test('what stands in a folder and was never enabled does not run', async (t) => {
  await writePlugin(pluginDir, 'offered', marking('offered', 'offered'));
  t.is((await publish('offered.a', 'plain')).status, 201);
  t.deepEqual(await payloadsOn('offered.a'), ['plain']);
});

test('a reload under load loses no call, and none goes to a half-loaded version', async (t) => {
  await writePlugin(pluginDir, 'reloads', marking('1', 'reloads'));
  await command('EnablePlugin', { name: 'reloads' });
  await writePlugin(pluginDir, 'reloads', {
    version: '1.1.0',
    manifest: hookOf('before_publish', { match: ['reloads.>'] }),
    source: `let ready = false;
      export const initialize = async (context: any) => {
        context.hooks.register('before_publish', () => ({ change: { payload: { mark: ready ? '2' : 'half' } } }));
        await new Promise((resolve) => setTimeout(resolve, 100));
        ready = true;
      };`,
  });
  let reloaded = false;
  const statuses: number[] = [];
  const load = async (topic: string): Promise<void> => {
    for (let last = 5; last > 0; last -= reloaded ? 1 : 0) statuses.push((await publish(topic)).status);
  };
  const topics = ['reloads.a', 'reloads.b', 'reloads.c'];
  const loads = topics.map(load);
  const answer = await command('ReloadPlugin', { name: 'reloads' });
  reloaded = true;
  await Promise.all(loads);
  t.is(answer.status, 200, JSON.stringify(answer.body));
  t.like(await view('reloads'), { status: 'enabled', version: '1.1.0' });
  t.true(statuses.every((status) => status === 201));
  // One after the other on each: calls of the old version that were under way end beside those of the new one.
  for (const topic of topics) {
    const marks = (await payloadsOn(topic)).map((payload) => (payload as { readonly mark: string }).mark);
    t.regex(marks.join(''), /^1*2+$/, 'never back to the old one');
  }
});

test('a new version that does not start is not taken, and the old one goes on', async (t) => {
  await writePlugin(pluginDir, 'breaks', marking('good', 'breaks'));
  await command('EnablePlugin', { name: 'breaks' });
  for (const source of [
    'export const initialize = () => { throw new Error("no luck"); };',
    'export const = 1;',
  ]) {
    await writePlugin(pluginDir, 'breaks', { ...marking('bad', 'breaks'), version: '2.0.0', source });
    const answer = await command('ReloadPlugin', { name: 'breaks' });
    t.is(answer.status, 409, JSON.stringify(answer.body));
    t.is(answer.body.code, 'plugin_rejected');
  }
  t.is((await publish('breaks.a')).status, 201);
  t.deepEqual(await payloadsOn('breaks.a'), [{ mark: 'good' }]);
  t.like(await view('breaks'), { status: 'enabled', version: '1.0.0', offered: { version: '2.0.0' } });
});

test('a version that fails in its first minute is taken back by itself, also over a restart', async (t) => {
  const dataDir = await mkdtemp(join(root, 'data-'));
  const log = [`file:${dataDir}`];
  const own = await mkdtemp(join(root, 'plugins-'));
  const throwing = hookSource(
    'before_publish',
    `if (++(globalThis as any).n % 2) throw new Error('half'); return undefined;`,
  );
  const first = await open({ dataDir, log, pluginDir: own });
  try {
    await writePlugin(own, 'worse', marking('good', 'worse'));
    await command('EnablePlugin', { name: 'worse' }, first.url);
    await writePlugin(own, 'worse', {
      ...marking('bad', 'worse'),
      version: '2.0.0',
      source: `(globalThis as any).n = 0;\n${throwing}`,
    });
    const reloaded = await command('ReloadPlugin', { name: 'worse' }, first.url);
    t.is(reloaded.status, 200, JSON.stringify(reloaded.body));
    await until(async () => {
      await publish('worse.a', {}, first.url);
      return (await view('worse', first)).version === '1.0.0';
    });
    await until(async () => (await eventsOf('worse', first.url)).some(({ type }) => type === 'PluginFailed'));
    const events = await eventsOf('worse', first.url);
    t.deepEqual(
      events.map(({ type, data }) => [type, (data as { readonly cause?: string }).cause]),
      [
        ['PluginInstalled', 'enable'],
        ['PluginEnabled', undefined],
        ['PluginInstalled', 'reload'],
        ['PluginInstalled', 'rollback'],
        ['PluginFailed', 'rollback'],
      ],
    );
    t.regex((await view('worse', first)).statusReason, /2\.0\.0 was taken back/);
    t.is((await command('ReloadPlugin', { name: 'worse' }, first.url)).status, 409);
  } finally {
    await first.core.close();
    await first.gateway.close();
  }
  const second = await open({ dataDir, log, pluginDir: own });
  t.teardown(() => second.close());
  await untilEnabled(second.url, 'worse');
  t.like(await view('worse', second), { status: 'enabled', version: '1.0.0' });
  await publish('worse.b', {}, second.url);
  t.deepEqual(await payloadsOn('worse.b', second.url), [{ mark: 'good' }]);
});

test('dependencies start first, a cycle is told, and one that is needed is not disabled', async (t) => {
  const source = 'export const initialize = () => undefined;';
  await writePlugin(pluginDir, 'base', { source });
  await writePlugin(pluginDir, 'upper', { source, manifest: { dependencies: { base: '^1.0.0' } } });
  const early = await command('EnablePlugin', { name: 'upper' });
  t.is(early.status, 409);
  t.regex(String(early.body.detail), /needs base \^1\.0\.0, which is not enabled/);
  await command('EnablePlugin', { name: 'base' });
  t.is((await command('EnablePlugin', { name: 'upper' })).status, 200);
  const refused = await command('DisablePlugin', { name: 'base' });
  t.is(refused.status, 409);
  t.deepEqual(refused.body.dependents, ['upper']);
  await writePlugin(pluginDir, 'base', { source, version: '2.0.0' });
  const reload = await command('ReloadPlugin', { name: 'base' });
  t.regex(String(reload.body.detail), /upper needs base \^1\.0\.0, and this is 2\.0\.0/);
  await command('DisablePlugin', { name: 'upper' });
  t.is((await command('DisablePlugin', { name: 'base' })).status, 200);
});

test('the configuration is checked, completed, and its secrets stand nowhere', async (t) => {
  await writePlugin(pluginDir, 'keeps-secrets', {
    manifest: {
      permissions: { publish: ['secrets.told'] },
      configSchema: {
        type: 'object',
        properties: { token: { type: 'string' }, times: { type: 'integer', default: 2 } },
        required: ['token'],
        additionalProperties: false,
      },
    },
    source: `export const initialize = async (context: any) => {
      context.log.warn('the token is ' + context.config.token, { token: [context.config.token] });
      await context.messageBus.publish('secrets.told', { length: context.config.token.length, times: context.config.times });
    };`,
  });
  const wrong = await command('EnablePlugin', { name: 'keeps-secrets', config: { times: 1 } });
  t.is(wrong.status, 422);
  t.like(wrong.body.errors, [{ pointer: '/data/config/token' }]);
  const config = { token: { $secret: 'token' } };
  t.is((await command('EnablePlugin', { name: 'keeps-secrets', config })).status, 200);
  t.deepEqual(await payloadsOn('secrets.told'), [{ length: 14, times: 2 }]);
  const line = hub.logged.find(({ msg }) => msg.startsWith('the token is'));
  t.is(line?.msg, 'the token is ***');
  const all = JSON.stringify([hub.logged, await readWholeLog(hub.url), await view('keeps-secrets')]);
  t.false(all.includes('a-secret-value'));
});

test('a plugin may do what it asks for and was granted, and what was refused is counted', async (t) => {
  await writePlugin(pluginDir, 'narrowed', {
    manifest: { permissions: { publish: ['narrow.>'], state: { write: ['narrow/*'] } } },
    source: `export const initialize = async (context: any) => {
      const codes: string[] = [];
      for (const topic of ['narrow.yes', 'narrow.no', 'other'])
        await context.messageBus.publish(topic, codes).catch((error: any) => codes.push(error.code));
      await context.state.set(context.state.prefix + 'codes', codes);
    };`,
  });
  const permissions = { publish: ['narrow.yes', 'other'] };
  t.is((await command('EnablePlugin', { name: 'narrowed', permissions })).status, 200);
  const { body } = await request(hub.url, 'GET', '/state/plugin%2Fnarrowed%2Fcodes');
  t.deepEqual(body.value, ['not_granted', 'not_granted']);
  const { permissions: effective, metrics } = await view('narrowed');
  t.deepEqual(effective.publish, ['narrow.yes']);
  t.deepEqual(effective.state.write, []);
  t.is(metrics.refused.publish, 2);
});

test('a guard that does not run refuses, and one that is skipped does not', async (t) => {
  const source = 'export const initialize = () => { throw new Error("never"); };';
  await writePlugin(pluginDir, 'guard', {
    source,
    manifest: hookOf('before_publish', { match: ['guarded.>'], onFailure: 'refuse' }),
  });
  await writePlugin(pluginDir, 'viewer', {
    source,
    manifest: hookOf('before_publish', { match: ['viewed.>'] }),
  });
  for (const name of ['guard', 'viewer']) {
    const { status, body } = await command('EnablePlugin', { name });
    t.is(status, 200);
    t.is((body.result as PluginView).status, 'failed');
    t.regex((body.result as PluginView).statusReason, /never/);
  }
  const refused = await publish('guarded.a');
  t.is(refused.status, 503);
  t.like(refused.body, { code: 'plugin_failed', plugin: 'guard' });
  t.is((await publish('viewed.a')).status, 201);
  t.like((await eventsOf('guard')).at(-1), { type: 'PluginFailed', data: { cause: 'initialize' } });
  await writePlugin(pluginDir, 'guard', {
    manifest: hookOf('before_publish', { match: ['guarded.>'], onFailure: 'refuse' }),
    source: hookSource('before_publish', 'return undefined;'),
    version: '1.0.1',
  });
  t.is((await command('ReloadPlugin', { name: 'guard' })).status, 200);
  t.is((await publish('guarded.a')).status, 201);
});

test('a durable subscription goes on over a reload and a restart, and loses nothing', async (t) => {
  const dataDir = await mkdtemp(join(root, 'data-'));
  const options = { dataDir, log: [`file:${dataDir}`] };
  const counting = {
    manifest: { permissions: { subscribe: ['count.>'] } },
    source: `export const initialize = async (context: any) => {
      await context.messageBus.subscribe('count.>', async (message: any) => {
        await context.state.set(context.state.prefix + 'seen/' + message.payload, true);
      }, { durable: 'all', from: 'start' });
    };`,
  };
  await writePlugin(pluginDir, 'counts', counting);
  const first = await open(options);
  const send = async (from: number, to: number, url: string): Promise<void> => {
    for (let n = from; n < to; n++) t.is((await publish('count.a', n, url)).status, 201);
  };
  const seen = async (url: string): Promise<number> => {
    const { body } = await request(url, 'GET', '/state?prefix=plugin/counts/seen/&limit=1000');
    return (body.entries as readonly unknown[]).length;
  };
  try {
    t.is((await command('EnablePlugin', { name: 'counts' }, first.url)).status, 200);
    await send(0, 10, first.url);
    await writePlugin(pluginDir, 'counts', { ...counting, version: '1.0.1' });
    const [reloaded] = await Promise.all([
      command('ReloadPlugin', { name: 'counts' }, first.url),
      send(10, 30, first.url),
    ]);
    t.is(reloaded.status, 200);
    await send(30, 40, first.url);
    await until(async () => (await seen(first.url)) === 40);
    await command('DisablePlugin', { name: 'counts' }, first.url);
    await send(40, 50, first.url);
    await command('EnablePlugin', { name: 'counts' }, first.url);
  } finally {
    await first.core.close();
    await first.gateway.close();
  }
  const second = await open(options);
  t.teardown(() => second.close());
  await until(async () => (await seen(second.url)) === 50);
  t.pass();
});

test('a folder that is gone is told of after a restart, and taken again when it is back', async (t) => {
  const dataDir = await mkdtemp(join(root, 'data-'));
  const own = await mkdtemp(join(root, 'plugins-'));
  const options = { dataDir, log: [`file:${dataDir}`], pluginDir: own };
  await writePlugin(own, 'leaves', marking('here', 'leaves'));
  const first = await open(options);
  await command('EnablePlugin', { name: 'leaves' }, first.url);
  await rm(join(own, 'leaves'), { recursive: true });
  t.is((await view('leaves', first)).status, 'enabled');
  await publish('leaves.a', {}, first.url);
  t.deepEqual(await payloadsOn('leaves.a', first.url), [{ mark: 'here' }]);
  await first.core.close();
  await first.gateway.close();
  const second = await open(options);
  t.teardown(() => second.close());
  t.is((await view('leaves', second)).status, 'missing');
  await writePlugin(own, 'leaves', marking('here', 'leaves'));
  t.is((await command('EnablePlugin', { name: 'leaves' }, second.url)).status, 200);
  t.is((await view('leaves', second)).status, 'enabled');
});

test('a folder that was changed while the hub was down changes nothing before a reload', async (t) => {
  const dataDir = await mkdtemp(join(root, 'data-'));
  const own = await mkdtemp(join(root, 'plugins-'));
  const options = { dataDir, log: [`file:${dataDir}`], pluginDir: own };
  await writePlugin(own, 'swapped', marking('old', 'swapped'));
  const first = await open(options);
  await command('EnablePlugin', { name: 'swapped' }, first.url);
  await first.core.close();
  await first.gateway.close();
  await writePlugin(own, 'swapped', { ...marking('new', 'swapped'), version: '1.0.1' });
  const second = await open(options);
  t.teardown(() => second.close());
  await untilEnabled(second.url, 'swapped');
  await publish('swapped.a', {}, second.url);
  t.is((await command('ReloadPlugin', { name: 'swapped' }, second.url)).status, 200);
  await publish('swapped.a', {}, second.url);
  t.deepEqual(await payloadsOn('swapped.a', second.url), [{ mark: 'old' }, { mark: 'new' }]);
});

test('a change in the folder reloads where folders are watched', async (t) => {
  const own = await mkdtemp(join(root, 'plugins-'));
  const watching = await open({ pluginDir: own, pluginWatch: true });
  t.teardown(() => watching.close());
  await writePlugin(own, 'edited', marking('1', 'edited'));
  await command('EnablePlugin', { name: 'edited' }, watching.url);
  await writePlugin(own, 'edited', { ...marking('2', 'edited'), version: '1.0.1' });
  await until(async () => (await view('edited', watching)).version === '1.0.1');
  await publish('edited.a', {}, watching.url);
  t.deepEqual(await payloadsOn('edited.a', watching.url), [{ mark: '2' }]);
});

test('with a hash demanded, only what was enabled with the right one runs', async (t) => {
  const strict = await open({ pluginIntegrity: 'hash' });
  t.teardown(() => strict.close());
  await writePlugin(pluginDir, 'pinned', marking('pinned', 'pinned'));
  const none = await command('EnablePlugin', { name: 'pinned' }, strict.url);
  t.like(none.body, { status: 409, code: 'plugin_rejected' });
  const other = await command(
    'EnablePlugin',
    { name: 'pinned', hash: `sha256-${'A'.repeat(43)}` },
    strict.url,
  );
  t.like(other.body, { status: 409, code: 'plugin_rejected' });
  const { hash } = await view('pinned', strict);
  const right = await command('EnablePlugin', { name: 'pinned', hash }, strict.url);
  t.is(right.status, 200, JSON.stringify(right.body));
});

test('what a plugin brings resolves conflicts, also behind a reload', async (t) => {
  const resolving = (word: string) => ({
    manifest: { permissions: { resolvers: ['joins'] } },
    source: `export const initialize = (context: any) =>
      context.resolvers.register('joins', ({ current, incoming }: any) => ({ value: current + '${word}' + incoming }));`,
  });
  const conflict = (key: string) =>
    command('SetState', { key, value: 'b', expectedVersion: 7, resolver: 'joins' });
  await writePlugin(pluginDir, 'resolves', resolving(' and '));
  t.is((await command('EnablePlugin', { name: 'resolves' })).status, 200);
  await command('SetState', { key: 'joined', value: 'a' });
  const first = await conflict('joined');
  t.is(first.status, 200, JSON.stringify(first.body));
  await writePlugin(pluginDir, 'resolves', { ...resolving(' or '), version: '1.0.1' });
  t.is((await command('ReloadPlugin', { name: 'resolves' })).status, 200);
  t.is((await conflict('joined')).status, 200);
  t.is((await request(hub.url, 'GET', '/state/joined')).body.value, 'a and b or b');
  await command('DisablePlugin', { name: 'resolves' });
  t.is((await conflict('joined')).status, 422);
});

test('a hub in which no plugin is enabled writes no event of plugins', async (t) => {
  const quiet = await open();
  t.teardown(() => quiet.close());
  t.deepEqual(
    (await readWholeLog(quiet.url)).filter(({ stream }) => stream.startsWith('plugin-')),
    [],
  );
});
