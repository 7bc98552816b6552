import { readFile } from 'node:fs/promises';
import type { Json } from '../../domain/event.ts';
import { isJsonArray, isJsonObject, type JsonObject } from '../../domain/json.ts';
import { isPluginName } from '../../domain/plugin/manifest.ts';
import { parseJson } from '../gateway/json.ts';
import { given } from '../given.ts';
import { type Action, CallFailed, type Invocation, textOf, UsageError, wholeOf } from './command.ts';
import { listOf } from './pages.ts';

const pathOf = ({ words: [name = ''] }: Pick<Invocation, 'words'>, action = ''): string => {
  if (!isPluginName(name)) throw new UsageError(`${JSON.stringify(name)} is no name of a plugin`);
  return `/plugins/${encodeURIComponent(name)}${action}`;
};

/** The JSON in the file that an option names. @throws {UsageError} */
const jsonIn = async (invocation: Invocation, option: string): Promise<Json | undefined> => {
  const file = textOf(invocation, option);
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--${option}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const parsed = parseJson(text);
  if (parsed.ok) return parsed.value;
  throw new UsageError(`--${option}: ${file} is no JSON: ${parsed.problem.detail}`);
};

/** `{ permissions, limits }`, each of which may be left out. @throws {UsageError} */
const grantIn = async (invocation: Invocation): Promise<JsonObject> => {
  if (textOf(invocation, 'grant') === 'requested') return { permissions: 'requested' };
  const grant = await jsonIn(invocation, 'grant');
  if (grant === undefined) return {};
  const stranger = isJsonObject(grant)
    ? Object.keys(grant).find((name) => name !== 'permissions' && name !== 'limits')
    : 'something else';
  if (isJsonObject(grant) && stranger === undefined) return grant;
  throw new UsageError(
    `--grant: the file must be an object with permissions, limits or both, not ${stranger}`,
  );
};

/** `state.write app/*`: a line for each right, and each hook. */
const linesOf = (value: Json | undefined, name = ''): readonly string[] => {
  if (value === undefined || value === null || value === false) return [];
  if (value === true) return [name];
  if (isJsonArray(value)) return value.map((item) => `${name}\t${String(item)}`);
  if (!isJsonObject(value)) return [`${name}\t${String(value)}`];
  if (isJsonArray(value.match ?? null)) {
    const { match, onFailure, timeoutMs } = value;
    const places = isJsonArray(match ?? null) ? String(match) : '';
    return [`${name}\t${places}, ${String(timeoutMs)} ms, else ${String(onFailure)}`];
  }
  return Object.entries(value).flatMap(([key, inner]) =>
    linesOf(inner, name === '' ? key : `${name}.${key}`),
  );
};

const headOf = ({ name, version, status, statusReason }: JsonObject): string =>
  [name, version, status, statusReason].map(String).join('\t');

/** What it is, what it may do, and what it asks for and may not. */
const tell = async ({ output, json }: Invocation, plugin: JsonObject): Promise<void> => {
  if (json) return output.line(JSON.stringify(plugin));
  const granted = linesOf(plugin.permissions);
  const kept = new Set(granted);
  const refused = linesOf(plugin.requested).filter((line) => !kept.has(line));
  const section = (title: string, lines: readonly string[]): readonly string[] =>
    lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
  const lines = [
    headOf(plugin),
    ...section('may:', granted),
    ...section('asks for, and may not:', refused),
    ...section('limits:', linesOf(plugin.limits)),
    `hash\t${String(plugin.hash)}`,
    ...(isJsonObject(plugin.offered)
      ? [`in the folder\t${String(plugin.offered.version)}\t${String(plugin.offered.hash)}`]
      : []),
  ];
  for (const line of lines) await output.line(line);
};

/** What was wanted is recorded; whoever waits for the plugin is told that it does not run. */
const mustRun = ({ name, status, statusReason }: JsonObject): void => {
  if (status !== 'enabled' && status !== 'starting')
    throw new CallFailed(`${String(name)} is ${String(status)}: ${String(statusReason)}`);
};

export const listPlugins: Action = {
  usage: '',
  summary: 'prints the plugins of this node: name, version, status, why',
  words: [0, 0],
  options: {},
  run: async ({ client, output, json }) => {
    for (const plugin of listOf(await client.call('GET', '/plugins'), 'plugins'))
      await output.line(json ? JSON.stringify(plugin) : headOf(plugin));
  },
};

export const showPlugin: Action = {
  usage: 'NAME',
  summary: 'prints how a plugin is, what it may do and what it asks for',
  words: [1, 1],
  options: {},
  run: async (invocation) => tell(invocation, await invocation.client.call('GET', pathOf(invocation))),
};

export const enablePlugin: Action = {
  usage: 'NAME [--grant FILE|requested] [--config FILE] [--hash HASH|none]',
  summary:
    'enables a plugin, and prints what it grants: what the file says, what the plugin asks for (requested), else what it had',
  words: [1, 1],
  options: { grant: { type: 'string' }, config: { type: 'string' }, hash: { type: 'string' } },
  run: async (invocation) => {
    const hash = textOf(invocation, 'hash');
    const json = {
      ...(await grantIn(invocation)),
      ...given({ config: await jsonIn(invocation, 'config'), hash: hash === 'none' ? null : hash }),
    };
    const plugin = await invocation.client.call('POST', pathOf(invocation, '/enable'), { json });
    await tell(invocation, plugin);
    mustRun(plugin);
  },
};

export const disablePlugin: Action = {
  usage: 'NAME [--reason TEXT]',
  summary: 'disables a plugin',
  words: [1, 1],
  options: { reason: { type: 'string' } },
  run: async (invocation) => {
    const json = given({ reason: textOf(invocation, 'reason') });
    const plugin = await invocation.client.call('POST', pathOf(invocation, '/disable'), { json });
    await invocation.output.line(invocation.json ? JSON.stringify(plugin) : headOf(plugin));
  },
};

export const reloadPlugin: Action = {
  usage: 'NAME [--hash HASH]',
  summary: 'takes what the folder holds in place of what runs, or starts the plugin again',
  words: [1, 1],
  options: { hash: { type: 'string' } },
  run: async (invocation) => {
    const json = given({ hash: textOf(invocation, 'hash') });
    const plugin = await invocation.client.call('POST', pathOf(invocation, '/reload'), { json });
    await tell(invocation, plugin);
    mustRun(plugin);
  },
};

const latencyOf = (report: JsonObject, which: 'running' | 'shadow'): string => {
  const { latencyMs } = report;
  const own = isJsonObject(latencyMs) ? latencyMs[which] : undefined;
  return isJsonObject(own) ? `p50 ${String(own.p50)} ms, p99 ${String(own.p99)} ms` : 'nothing';
};

export const shadowPlugin: Action = {
  usage: 'NAME [--minutes N]',
  summary:
    'shows the version in the folder what the running one was called for lately, and prints what differs',
  words: [1, 1],
  options: { minutes: { type: 'string' } },
  run: async (invocation) => {
    const { client, output, json: asJson } = invocation;
    const json = given({ minutes: wholeOf(invocation, 'minutes') });
    const report = await client.call('POST', pathOf(invocation, '/shadow'), { json });
    if (asJson) return output.line(JSON.stringify(report));
    const counts = [
      'calls',
      'notShown',
      'differentAnswers',
      'missingWishes',
      'additionalWishes',
      'differentWishes',
      'wishesLeftOut',
    ] as const;
    for (const name of counts) await output.line(`${name}\t${String(report[name])}`);
    for (const which of ['running', 'shadow'] as const)
      await output.line(`${which}\t${latencyOf(report, which)}`);
    for (const line of linesOf({ refused: report.refused ?? null, failures: report.failures ?? null }))
      await output.line(line);
    for (const difference of listOf(report, 'differences')) await output.line(JSON.stringify(difference));
    for (const wish of listOf(report, 'wishes')) await output.line(JSON.stringify(wish));
  },
};
