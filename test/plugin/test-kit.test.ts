import { AssertionError } from 'node:assert';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  by,
  increment,
  invoke,
  openPluginTest,
  type PluginTest,
  publish,
  remove,
  request,
  set,
} from '../../src/plugin/test-kit.ts';

type Files = Readonly<Record<string, string>>;

const folderOf = async (t: ExecutionContext, name: string, files: Files): Promise<string> => {
  const parent = await mkdtemp(join(tmpdir(), 'nexus-kit-'));
  t.teardown(() => rm(parent, { recursive: true, force: true }));
  const folder = join(parent, name);
  await mkdir(folder);
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  return folder;
};

const pluginOf = (manifest: object, entry: string): Files => ({
  'plugin.json': JSON.stringify({ name: 'tried', version: '1.0.0', ...manifest }),
  'index.ts': entry,
});

/** Refuses null, tells of the rest, and keeps who asked; logs, and knows a secret. */
const tried = pluginOf(
  {
    configSchema: {
      type: 'object',
      properties: { token: { type: 'string' } },
      required: ['token'],
      additionalProperties: false,
    },
    permissions: {
      publish: ['seen'],
      hooks: {
        before_publish: { match: ['example.>'], onFailure: 'refuse', timeoutMs: 10_000 },
        on_request: { match: ['/state/*'], timeoutMs: 10_000 },
      },
    },
    limits: { cpuMsPerCall: 10_000, timeoutMs: 10_000 },
  },
  `export const initialize = ({ config, hooks, log, messageBus, state }) => {
    hooks.register('before_publish', async ({ payload, subject }) => {
      if (payload === null) return { refuse: 'null', details: { length: config.token.length } };
      await state.set(\`\${state.prefix}last\`, subject);
      setTimeout(() => messageBus.publish('seen', { subject }), 50);
      log.info('asked', { subject });
      return undefined;
    });
    hooks.register('on_request', () => ({ change: { headers: { 'x-tried': 'yes' } } }));
  };`,
);

const fails = async (t: ExecutionContext, run: () => Promise<unknown>, message: RegExp): Promise<void> => {
  const error = await t.throwsAsync(run, { instanceOf: AssertionError });
  t.regex(error?.message ?? '', message);
};

const openTried = async (t: ExecutionContext, options: { trusted?: boolean; waitMs?: number } = {}) => {
  t.timeout(120_000);
  const folder = await folderOf(t, 'tried', tried);
  const config = { token: { $secret: 'TOKEN' } };
  const plugin = await openPluginTest({
    folder,
    config,
    secrets: { TOKEN: 'twelve chars' },
    services: { echo: (method, data) => ({ method, data }) },
    ...options,
  });
  t.teardown(() => plugin.close());
  return plugin;
};

const expectations = async (t: ExecutionContext, plugin: PluginTest): Promise<void> => {
  const refused = plugin.when(publish('example.made', null));
  await refused.thenRefused();
  await refused.thenRefused({ reason: 'null', hook: 'before_publish', details: { length: 12 } });
  await refused.thenState('plugin/tried/last', undefined);
  const accepted = plugin.given(set('app/one', 1)).when(by('ann', publish('example.made', 1)));
  await (await accepted.thenAccepted()).thenPublished({
    topic: 'example.made',
    payload: 1,
    publisher: 'ann',
  });
  await accepted.thenPublished({ topic: 'seen', payload: { subject: 'ann' }, publisher: 'plugin:tried' });
  await accepted.thenState('plugin/tried/last', 'ann');
  t.true(plugin.logged.some(({ msg, subject }) => msg === 'asked' || subject === 'ann'));
};

test.serial(
  'openPluginTest › runs the plugin in its sandbox: what must be true after a step is found true, at once or later',
  async (t) => {
    const plugin = await openTried(t);
    t.is(plugin.name, 'tried');
    await expectations(t, plugin);
    await plugin.given(set('app/n', 1), increment('app/n', 2)).when(increment('app/n')).thenState('app/n', 4);
    await plugin.when(remove('app/n')).thenState('app/n', undefined);
    await plugin.when(invoke('echo', 'say', [1])).thenAnswered({ method: 'say', data: [1] });
    const entry = plugin.when(request('GET', '/state/app%2Fone'));
    await entry.thenHeaders({ 'x-tried': 'yes' });
    await fails(t, () => entry.thenHeaders({ 'x-tried': 'no' }), /has other headers/);
    await plugin.when(request('PUT', '/state/app%2Fone', { body: { value: 2 } })).thenState('app/one', 2);

    await plugin.restart();
    await plugin.when(publish('example.made', null)).thenRefused({ reason: /^nu/ });
    await plugin.when(request('GET', '/state/plugin%2Ftried%2Flast')).thenAccepted();
  },
);

test.serial('openPluginTest › what is not true fails by an assertion that says what is', async (t) => {
  const plugin = await openTried(t, { waitMs: 100 });
  const accepted = plugin.when(publish('example.made', 1));
  await fails(t, () => accepted.thenRefused(), /publish example.made was not refused by tried/);
  await fails(t, () => accepted.thenPublished({ topic: 'example.made', payload: 2 }), /no such message/);
  await fails(t, () => accepted.thenState('app/one', 1), /app\/one has another value/);
  const refused = plugin.when(publish('example.made', null));
  await fails(t, () => refused.thenAccepted(), /publish example.made was refused/);
  await fails(t, () => refused.thenRefused({ reason: 'other' }), /refused in another way/);
  await fails(t, () => refused.thenRefused({ details: {} }), /refused in another way/);
  await fails(t, () => refused.thenAnswered(1), /was refused/);
  await fails(t, () => plugin.when(invoke('echo', 'say')).thenAnswered(1), /answered with something else/);
  const given = plugin.given(publish('example.made', null)).when(set('app/one', 1));
  await fails(t, () => given.thenAccepted(), /given publish example.made did not happen/);
  // A service that is not there is no refusal of the plugin's.
  await fails(t, () => plugin.when(invoke('nobody', 'say')).thenRefused(), /service_not_found/);
});

test.serial(
  'openPluginTest › with `trusted` the plugin runs in this process, with the same context',
  async (t) => {
    const plugin = await openTried(t, { trusted: true });
    await expectations(t, plugin);
  },
);

test.serial(
  'openPluginTest › a plugin that does not run is told of with its reason, and nothing is left',
  async (t) => {
    // Other tests have hubs in the system's folder at the same time.
    const { TMPDIR } = process.env;
    const own = await mkdtemp(join(tmpdir(), 'nexus-kit-'));
    process.env.TMPDIR = own;
    t.teardown(async () => {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      await rm(own, { recursive: true, force: true });
    });
    const throwing = pluginOf({}, 'export const initialize = () => { throw new Error("no way"); };');
    await t.throwsAsync(openPluginTest({ folder: await folderOf(t, 'tried', throwing) }), {
      message: /no way/,
    });
    const faulty = pluginOf({ limits: { memoryMb: 1 } }, '');
    await t.throwsAsync(openPluginTest({ folder: await folderOf(t, 'tried', faulty) }), {
      message: /memoryMb/,
    });
    await t.throwsAsync(openPluginTest({ folder: await folderOf(t, 'other', tried) }), {
      message: /the folder other must be called as the plugin: tried/,
    });
    const folder = await folderOf(t, 'tried', tried);
    await t.throwsAsync(openPluginTest({ folder }), { message: /token/ });
    t.deepEqual(
      (await readdir(own)).filter((name) => name.startsWith('nexus-plugin-test-')),
      [],
    );
    t.is(process.env.NEXUS_PLUGIN_TRIED_TOKEN, undefined);
  },
);
