import type { EventShape } from '../catalog.ts';
import { defaultLimits, hookNames } from './manifest.ts';
import { installCauses, type PluginEvent, pluginFailures } from './plugin.ts';

type Data = Readonly<Record<string, unknown>>;

const limitNames = Object.keys(defaultLimits);
const failures: ReadonlySet<unknown> = new Set(pluginFailures);
const causes: ReadonlySet<unknown> = new Set(installCauses);

const isData = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === 'string';
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value);

const isDeclaration = (value: unknown): boolean =>
  isData(value) &&
  isTexts(value.match) &&
  isCount(value.order) &&
  isCount(value.timeoutMs) &&
  (value.onFailure === 'skip' || value.onFailure === 'refuse');

const isHooks = (value: unknown): boolean =>
  isData(value) && hookNames.every((name) => value[name] === undefined || isDeclaration(value[name]));

const isPermissions = (value: unknown): boolean => {
  if (!isData(value) || !isData(value.state) || !isData(value.services)) return false;
  const { publish, subscribe, state, services, fetch, resolvers } = value;
  const lists = [publish, subscribe, state.read, state.write, services.invoke, fetch, resolvers];
  return lists.every(isTexts) && typeof services.list === 'boolean' && isHooks(value.hooks);
};

const isLimits = (value: unknown): boolean =>
  isData(value) && limitNames.every((name) => isCount(value[name]));

const grantedFault = ({ permissions, limits }: Data): string | undefined =>
  !isPermissions(permissions) ? 'permissions' : isLimits(limits) ? undefined : 'limits';

const enabledFault = (data: Data): string | undefined => {
  if (data.config === undefined) return 'config';
  return data.hash === null || isText(data.hash) ? grantedFault(data) : 'hash';
};

const installedFault = (data: Data): string | undefined => {
  if (!isText(data.version)) return 'version';
  if (!isText(data.hash)) return 'hash';
  return causes.has(data.cause) ? grantedFault(data) : 'cause';
};

const toldFault = (data: Data, count: string): string | undefined => {
  if (!isText(data.version)) return 'version';
  if (!isText(data.node)) return 'node';
  return isCount(data[count]) ? undefined : count;
};

const failedFault = (data: Data): string | undefined => {
  if (!isText(data.reason)) return 'reason';
  return failures.has(data.cause) ? toldFault(data, 'strikes') : 'cause';
};

const exceededFault = (data: Data): string | undefined => {
  if (!limitNames.some((name) => name === data.limit)) return 'limit';
  return isText(data.detail) ? toldFault(data, 'count') : 'detail';
};

/** How the events of plugins are decoded. */
export const pluginShapes: { readonly [Type in PluginEvent['type']]: EventShape } = {
  PluginInstalled: { category: 'plugin', fault: installedFault },
  PluginEnabled: { category: 'plugin', fault: enabledFault },
  PluginDisabled: { category: 'plugin', fault: ({ reason }) => (isText(reason) ? undefined : 'reason') },
  PluginFailed: { category: 'plugin', fault: failedFault },
  PluginLimitExceeded: { category: 'plugin', fault: exceededFault },
};
