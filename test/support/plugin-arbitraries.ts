import fc from 'fast-check';
import { defaultLimits, noPermissions } from '../../domain/plugin/manifest.ts';
import {
  installCauses,
  type PluginCommand,
  type PluginEvent,
  type PluginGrant,
  type PluginRecord,
  type PluginVersion,
  pluginFailures,
} from '../../domain/plugin/plugin.ts';
import { hashOf, somePermissions, versionOf } from './plugin-samples.ts';

/** Few different ones, so that equal ones come up. */
const anyHash = fc.constantFrom('a', 'b', 'c').map(hashOf);
const anyPermissions = fc.constantFrom(noPermissions, somePermissions);
const anyLimits = fc.constantFrom(defaultLimits, { ...defaultLimits, memoryMb: 64 });
const anyConfig = fc.constantFrom({}, { to: 'x' }, null);
const anyPin = fc.option(anyHash, { nil: null });

const anyVersion: fc.Arbitrary<PluginVersion> = fc
  .tuple(fc.constantFrom('a', 'b', 'c'), anyPermissions, anyLimits)
  .map(([letter, permissions, limits]) => versionOf(letter, permissions, limits));

const anyGrant: fc.Arbitrary<PluginGrant> = fc.record({
  permissions: anyPermissions,
  limits: anyLimits,
  config: anyConfig,
  hash: anyPin,
});

const anyInstalled = fc
  .tuple(anyVersion, fc.constantFrom(...installCauses))
  .map(([version, cause]): PluginRecord => ({ type: 'PluginInstalled', data: { ...version, cause } }));
const anyDisabled = fc.constant<PluginRecord>({ type: 'PluginDisabled', data: { reason: 'three strikes' } });
const told = { version: '1.0.0', node: 'n1' };
const anyFailed = fc.tuple(fc.constantFrom(...pluginFailures), fc.integer({ min: 1, max: 3 })).map(
  ([cause, strikes]): PluginRecord => ({
    type: 'PluginFailed',
    data: { ...told, reason: 'it failed', cause, strikes },
  }),
);
const anyExceeded = fc.tuple(fc.constantFrom('memoryMb', 'callsPerSec'), fc.integer({ min: 1, max: 9 })).map(
  ([limit, count]): PluginRecord => ({
    type: 'PluginLimitExceeded',
    data: { ...told, limit, detail: 'too much', count },
  }),
);

export const anyPluginRecord: fc.Arbitrary<PluginRecord> = fc.oneof(
  anyInstalled,
  anyDisabled,
  anyFailed,
  anyExceeded,
);

/** Any events in any order, such as a truncated stream may hold. */
export const anyPluginEvent: fc.Arbitrary<PluginEvent> = fc.oneof(
  anyPluginRecord,
  anyGrant.map((data): PluginEvent => ({ type: 'PluginEnabled', data })),
);

export const anyPluginCommand: fc.Arbitrary<PluginCommand> = fc.oneof(
  fc
    .record({
      offered: anyVersion,
      permissions: fc.oneof(fc.option(anyPermissions, { nil: undefined }), fc.constant('requested' as const)),
      limits: fc.constantFrom(undefined, {}, { memoryMb: 16 }),
      config: fc.option(anyConfig, { nil: undefined }),
      hash: fc.option(anyPin, { nil: undefined }),
    })
    .map((fields): PluginCommand => ({ type: 'EnablePlugin', ...fields })),
  fc.constant<PluginCommand>({ type: 'DisablePlugin', reason: 'by ann' }),
  fc
    .record({ offered: anyVersion, hash: anyPin })
    .map((fields): PluginCommand => ({ type: 'ReloadPlugin', ...fields })),
  anyPluginRecord.map((event): PluginCommand => ({ type: 'RecordPlugin', event })),
);
