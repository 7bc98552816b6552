import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseConfig } from '../config.ts';
import { type Core, openCore } from '../core.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { parseJson } from '../gateway/json.ts';
import { given as presentOf } from '../given.ts';
import { createLogger, type Logger } from '../logger.ts';
import type { Context } from '../nexus-core.ts';
import type { Logged, PluginTest, PluginTestOptions, Service, Step } from './test-kit/api.ts';
import { createOutcome } from './test-kit/outcome.ts';
import { serveHere } from './test-kit/services.ts';
import type { Stage } from './test-kit/stage.ts';
import { defaultSubject } from './test-kit/steps.ts';

export type * from './test-kit/api.ts';
export { by, increment, invoke, publish, register, remove, request, set } from './test-kit/steps.ts';

/**
 * Tests of plugins (docs/plugins.md): the plugin runs in its sandbox, in a hub of this process on a temporary folder. There is no
 * mock in it, and no clock: what the plugin does later is waited for.
 */

/** What tests of the hub itself may reach too. */
export type OpenPluginTest = PluginTest & {
  readonly core: Core;
  contextOf(subject: string): Context;
};

const defaultWaitMs = 5_000;

/**
 * A hub in which the plugin runs.
 *
 * @throws {Error} when the plugin is not enabled: the message says why.
 */
export const openPluginTest = async (options: PluginTestOptions): Promise<OpenPluginTest> => {
  const folder = resolve(options.folder);
  const name = await nameIn(folder);
  await using opening = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'nexus-plugin-test-'));
  opening.defer(() => rm(directory, { recursive: true, force: true }));
  opening.use(withVariables(name, options.secrets ?? {}));
  const logged: Logged[] = [];
  const logger = createLogger('debug', { write: (line) => keep(logged, name, line) });
  const config = configOf(directory, folder, name, options);
  let hub = await openHub(config, logger);
  opening.defer(() => hub.close());
  await enable(hub, name, options);
  await hub.serve(options.services ?? {});
  const held = opening.move();

  const start = (before: readonly Step[]) => (step: Step) =>
    createOutcome({
      stage: hub,
      plugin: name,
      given: before,
      step,
      waitMs: options.waitMs ?? defaultWaitMs,
      position: () => hub.core.parts.log.position(),
    });
  const close = () => held.disposeAsync();

  return {
    name,
    when: start([]),
    given: (...steps) => ({ when: start(steps) }),
    logged,
    get core() {
      return hub.core;
    },
    contextOf,
    async restart() {
      await hub.close();
      hub = await openHub(config, logger);
      await hub.serve(options.services ?? {});
    },
    close,
    [Symbol.asyncDispose]: close,
  };
};

const nameIn = async (folder: string): Promise<string> => {
  const manifest = parseJson(await readFile(join(folder, 'plugin.json')));
  if (!manifest.ok) throw new Error(`${join(folder, 'plugin.json')}: ${manifest.problem.detail}`);
  const { value } = manifest;
  const name = typeof value === 'object' && value !== null && 'name' in value ? value.name : undefined;
  if (name !== basename(folder))
    throw new Error(`the folder ${basename(folder)} must be called as the plugin: ${String(name)}`);
  return basename(folder);
};

/** Puts the secrets where the hub looks for them; what stood there comes back at the end. */
const withVariables = (name: string, secrets: Readonly<Record<string, string>>): Disposable => {
  const before = new Map<string, string | undefined>();
  for (const [secret, value] of Object.entries(secrets)) {
    const variable = `NEXUS_PLUGIN_${name}_${secret}`.toUpperCase().replaceAll('-', '_');
    before.set(variable, process.env[variable]);
    process.env[variable] = value;
  }
  return {
    [Symbol.dispose]() {
      for (const [variable, value] of before) {
        if (value === undefined) delete process.env[variable];
        else process.env[variable] = value;
      }
    },
  };
};

const maxLogged = 10_000;
const grave = new Set(['warn', 'error', 'fatal']);

const keep = (logged: Logged[], name: string, text: string): void => {
  const line = JSON.parse(text) as Logged;
  if (line.plugin !== name && !grave.has(line.level)) return;
  if (logged.length < maxLogged) logged.push(line);
};

const configOf = (
  directory: string,
  folder: string,
  name: string,
  { trusted, allowedTargets }: PluginTestOptions,
) => {
  const parsed = parseConfig([], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  return {
    ...parsed.config,
    apiHost: '127.0.0.1',
    apiPort: 0,
    dataDir: directory,
    log: [`file:${directory}`],
    stateFile: 'none',
    zmqPublish: 'none',
    zmqCommand: 'none',
    // A machine that is busy with other tests is no overload of this hub.
    maxLagMs: 60_000,
    pluginDir: dirname(folder),
    pluginTrust: trusted === true ? [`${name}=trusted`] : [],
    ...presentOf({ allowedTargets }),
  };
};

const contextOf = (subject: string): Context => ({
  subject: { id: subject, scopes: ['admin'] },
  correlationId: randomUUID(),
});

type OpenHub = Stage & {
  readonly core: Core;
  serve(services: Readonly<Record<string, Service>>): Promise<void>;
  close(): Promise<void>;
};

const watchdogMs = 60_000;

const openHub = async (config: ReturnType<typeof configOf>, logger: Logger): Promise<OpenHub> => {
  const core = await openCore(config, { logger, watchdogMs });
  const served: { close(): void }[] = [];
  let gateway: Promise<Gateway> | undefined;

  const open = async (): Promise<Gateway> => {
    // Few tests need it, and it takes as long to load as all the rest.
    const { openGateway } = await import('../gateway/gateway.ts');
    const opened = await openGateway({ core, config, logger });
    core.listensOn([opened.port], opened.url);
    return opened;
  };

  return {
    core,
    contextOf,
    async url() {
      gateway ??= open();
      return (await gateway).url;
    },
    async serve(services) {
      for (const [service, answer] of Object.entries(services))
        served.push(await serveHere(core, contextOf(defaultSubject), service, answer));
    },
    async close() {
      for (const service of served) service.close();
      await (await gateway)?.close();
      await core.close();
    },
  };
};

const enable = async ({ core }: OpenHub, name: string, options: PluginTestOptions): Promise<void> => {
  const { config, permissions, limits } = options;
  const data = { name, ...presentOf({ config, permissions, limits }) };
  const enabled = await core.execute({ type: 'EnablePlugin', data }, contextOf(defaultSubject));
  if (!enabled.ok) {
    const faults = JSON.stringify(enabled.problem.facts ?? {});
    throw new Error(`${name} is not enabled: ${enabled.problem.detail} ${faults}`);
  }
  const { result } = enabled.value;
  const view = typeof result === 'object' && result !== null && 'status' in result ? result : undefined;
  if (view?.status !== 'enabled')
    throw new Error(`${name} does not run: ${String(view?.status)}, ${JSON.stringify(view)}`);
};
