import { defaultLimits, type PluginLimits, type PluginPermissions } from '../../domain/plugin/manifest.ts';
import type { PluginEvent } from '../../domain/plugin/plugin.ts';

type Sample = {
  readonly stream: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly wrong: readonly (readonly [fault: string, change: Readonly<Record<string, unknown>>])[];
};

/** Of every kind one. */
export const somePermissions: PluginPermissions = {
  publish: ['audit.>'],
  subscribe: ['orders.*'],
  state: { read: ['app/*'], write: ['app/audit'] },
  services: { list: true, invoke: ['bill*'] },
  fetch: ['https://api.example.com'],
  hooks: { before_publish: { match: ['orders.>'], order: 0, timeoutMs: 100, onFailure: 'refuse' } },
  resolvers: ['mine'],
};

export const hashOf = (letter: string): string => `sha256-${letter.repeat(43)}`;

export const versionOf = (
  letter: string,
  permissions: PluginPermissions = somePermissions,
  limits: PluginLimits = defaultLimits,
) => ({ version: '1.0.0', hash: hashOf(letter), permissions, limits });

const grant = { permissions: somePermissions, limits: defaultLimits, config: { to: 'x' }, hash: null };
const stream = 'plugin-audit-trail';
const granted = [
  ['permissions', { permissions: undefined }],
  ['permissions', { permissions: { ...somePermissions, publish: [1] } }],
  ['permissions', { permissions: { ...somePermissions, state: undefined } }],
  ['permissions', { permissions: { ...somePermissions, services: { list: 'yes', invoke: [] } } }],
  ['permissions', { permissions: { ...somePermissions, hooks: { on_request: { match: ['/'] } } } }],
  ['limits', { limits: { ...defaultLimits, memoryMb: '32' } }],
  ['limits', { limits: null }],
] as const;

/** One well-formed event of each type, and wrong variants of it with the property that is at fault. */
export const pluginSamples: { readonly [Type in PluginEvent['type']]: Sample } = {
  PluginInstalled: {
    stream,
    data: { ...versionOf('a'), cause: 'enable' },
    wrong: [
      ['version', { version: 1 }],
      ['hash', { hash: null }],
      ['cause', { cause: 'because' }],
      ...granted,
    ],
  },
  PluginEnabled: {
    stream,
    data: grant,
    wrong: [['config', { config: undefined }], ['hash', { hash: undefined }], ...granted],
  },
  PluginDisabled: { stream, data: { reason: 'by ann' }, wrong: [['reason', { reason: undefined }]] },
  PluginFailed: {
    stream,
    data: { reason: 'it looped', cause: 'cpu', version: '1.0.0', node: 'n1', strikes: 2 },
    wrong: [
      ['reason', { reason: 1 }],
      ['cause', { cause: 'bad luck' }],
      ['version', { version: undefined }],
      ['node', { node: undefined }],
      ['strikes', { strikes: 0.5 }],
    ],
  },
  PluginLimitExceeded: {
    stream,
    data: { limit: 'memoryMb', detail: '33 of 32 MB', version: '1.0.0', node: 'n1', count: 3 },
    wrong: [
      ['limit', { limit: 'luck' }],
      ['detail', { detail: undefined }],
      ['version', { version: 1 }],
      ['node', { node: null }],
      ['count', { count: '3' }],
    ],
  },
};
