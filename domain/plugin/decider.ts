import { accept, type Decider, type Decision, reject, unreachable } from '../decider.ts';
import { sameJson } from '../json.ts';
import type {
  InstallCause,
  PluginCommand,
  PluginEvent,
  PluginGrant,
  PluginRecord,
  PluginRejection,
  PluginState,
  PluginVersion,
} from './plugin.ts';

type Decided = Decision<PluginEvent, PluginRejection>;

const installed = (version: PluginVersion, cause: InstallCause): PluginEvent => ({
  type: 'PluginInstalled',
  data: { ...version, cause },
});

const isSameVersion = (left: PluginVersion | null, right: PluginVersion): boolean =>
  left !== null && left.version === right.version && left.hash === right.hash;

const isSameGrant = (left: PluginGrant | null, right: PluginGrant): boolean =>
  left !== null && sameJson(left, right);

/** Why the content in the folder is not the one that is meant. @param hash as a command names it. */
const contentFault = (
  offered: PluginVersion,
  hash: string | null,
  { rolledBack }: PluginState,
): PluginRejection | undefined => {
  if (hash !== null && hash !== offered.hash)
    return { code: 'other_hash', expected: hash, offered: offered.hash };
  return hash === null && rolledBack === offered.hash
    ? { code: 'rolled_back', hash: offered.hash }
    : undefined;
};

/** The hash that a plugin is pinned to when it is enabled. @param hash as the command says it. */
export const pinOf = (
  hash: string | null | undefined,
  { grant }: Pick<PluginState, 'grant'>,
): string | null => (hash === undefined ? (grant?.hash ?? null) : hash);

const enable = (
  { offered, permissions, limits, config, hash }: Extract<PluginCommand, { readonly type: 'EnablePlugin' }>,
  state: PluginState,
): Decided => {
  const pin = pinOf(hash, state);
  const wrong = contentFault(offered, pin, state);
  if (wrong !== undefined) return reject(wrong);
  // What is left out stays as it was: a grant that was narrowed is not widened by who enables the plugin again.
  const had = permissions === 'requested' ? null : state.grant;
  const grant: PluginGrant = {
    permissions:
      permissions === 'requested'
        ? offered.permissions
        : (permissions ?? had?.permissions ?? offered.permissions),
    limits: { ...(had?.limits ?? offered.limits), ...limits },
    config: config ?? state.grant?.config ?? {},
    hash: pin,
  };
  const isNews = !state.enabled || !isSameGrant(state.grant, grant);
  return accept(
    ...(isSameVersion(state.installed, offered) ? [] : [installed(offered, 'enable')]),
    ...(isNews ? [{ type: 'PluginEnabled', data: grant } as const] : []),
  );
};

const reload = (offered: PluginVersion, hash: string | null, state: PluginState): Decided => {
  if (state.grant === null) return reject({ code: 'not_found' });
  if (!state.enabled) return reject({ code: 'not_enabled' });
  const wrong = contentFault(offered, hash, state);
  if (wrong !== undefined) return reject(wrong);
  const pin = state.grant.hash;
  return pin !== null && pin !== offered.hash
    ? reject({ code: 'pinned', expected: pin, offered: offered.hash })
    : accept(installed(offered, 'reload'));
};

/** Whether what a node tells is news, and still so: nodes see the same faults, and operators decide meanwhile. */
const isRecorded = (event: PluginRecord, state: PluginState): boolean => {
  if (state.grant === null) return false;
  switch (event.type) {
    case 'PluginDisabled':
      return state.enabled;
    case 'PluginInstalled':
      if (!state.enabled || isSameVersion(state.installed, event.data)) return false;
      return event.data.cause !== 'rollback' || isSameVersion(state.before, event.data);
    case 'PluginFailed':
    case 'PluginLimitExceeded':
      return true;
    default:
      return unreachable(event);
  }
};

const afterInstall = (
  state: PluginState,
  { cause, ...version }: PluginVersion & { readonly cause: InstallCause },
): PluginState => {
  if (isSameVersion(state.installed, version)) return { ...state, installed: version };
  return cause === 'rollback'
    ? { ...state, installed: version, before: null, rolledBack: state.installed?.hash ?? null }
    : { ...state, installed: version, before: state.installed, rolledBack: null };
};

/** Whether a plugin is to run, which version of it, and with what grant: the stream `plugin-{name}` (docs/adr/0050). */
export const pluginDecider: Decider<PluginState, PluginCommand, PluginEvent, PluginRejection> = {
  initial: { enabled: false, grant: null, installed: null, before: null, rolledBack: null },

  decide(command, state) {
    switch (command.type) {
      case 'EnablePlugin':
        return enable(command, state);
      case 'DisablePlugin':
        if (state.grant === null) return reject({ code: 'not_found' });
        return state.enabled
          ? accept({ type: 'PluginDisabled', data: { reason: command.reason } })
          : accept();
      case 'ReloadPlugin':
        return reload(command.offered, command.hash, state);
      case 'RecordPlugin':
        return isRecorded(command.event, state) ? accept(command.event) : accept();
      default:
        return unreachable(command);
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'PluginInstalled':
        return afterInstall(state, event.data);
      case 'PluginEnabled':
        return { ...state, enabled: true, grant: event.data };
      case 'PluginDisabled':
        return { ...state, enabled: false };
      case 'PluginFailed':
      case 'PluginLimitExceeded':
        return state;
      default:
        return unreachable(event);
    }
  },
};
