import fc from 'fast-check';
import type { PatchOperation } from '../../domain/json-patch.ts';
import { builtInResolver } from '../../domain/state/resolvers.ts';
import type { StateCommand, StateEvent } from '../../domain/state/state.ts';
import { anyJson } from './arbitraries.ts';

const anyVersion = fc
  .option(fc.nat({ max: 6 }), { nil: undefined })
  .map((version) => (version === undefined ? {} : { expectedVersion: version }));
const expiresAt = '2030-01-01T00:00:00.000Z';
const anyExpiry = fc.constantFrom({}, { expiresAt });
const anyHolder = fc.constantFrom('ann', 'bob');
const anyToken = fc.nat({ max: 6 });
const anyPointer = fc.constantFrom('', '/a', '/a/0', '/a/-', '/b', 'c', '/__proto__');

export const anyOperation: fc.Arbitrary<PatchOperation> = fc.oneof(
  fc
    .tuple(fc.constantFrom('add', 'replace', 'test'), anyPointer, anyJson)
    .map(([op, path, value]): PatchOperation => ({ op, path, value })),
  anyPointer.map((path): PatchOperation => ({ op: 'remove', path })),
  fc
    .tuple(fc.constantFrom('move', 'copy'), anyPointer, anyPointer)
    .map(([op, from, path]): PatchOperation => ({ op, from, path })),
);

export const anyStateCommand: fc.Arbitrary<StateCommand> = fc.oneof(
  fc
    .tuple(anyJson, anyVersion, anyExpiry)
    .map(([value, version, expiry]): StateCommand => ({ type: 'SetState', value, ...version, ...expiry })),
  fc
    .record({
      incoming: anyJson,
      given: anyVersion,
      base: fc.option(anyJson, { nil: undefined }),
      expiry: anyExpiry,
      keepsExpiry: fc.boolean(),
      resolver: fc.constantFrom('last-writer-wins', 'deep-merge', 'three-way-merge', 'set-union', 'max'),
    })
    .map(({ given, base, expiry, ...rest }): StateCommand => {
      const resolve = builtInResolver(rest.resolver) ?? (() => ({ ok: false, reason: 'unknown' }));
      const seen = base === undefined ? {} : { base };
      return { type: 'ResolveState', ...rest, ...given, ...expiry, ...seen, resolve };
    }),
  anyVersion.map((version): StateCommand => ({ type: 'DeleteState', ...version })),
  fc
    .tuple(anyJson, anyVersion)
    .map(
      ([patch, version]): StateCommand => ({ type: 'PatchState', format: 'merge-patch', patch, ...version }),
    ),
  fc
    .tuple(fc.array(anyOperation, { maxLength: 4 }), anyVersion)
    .map(
      ([patch, version]): StateCommand => ({ type: 'PatchState', format: 'json-patch', patch, ...version }),
    ),
  fc
    .tuple(fc.constantFrom(1, -0.5, Number.MAX_SAFE_INTEGER), anyVersion, anyExpiry)
    .map(([by, version, expiry]): StateCommand => ({ type: 'IncrementState', by, ...version, ...expiry })),
  anyToken.map((expectedVersion): StateCommand => ({ type: 'ExpireState', expectedVersion })),
  anyHolder.map((holder): StateCommand => ({ type: 'AcquireLock', holder, expiresAt })),
  anyToken.map((token): StateCommand => ({ type: 'RenewLock', token, expiresAt })),
  fc.option(anyToken).map((token): StateCommand => ({ type: 'ReleaseLock', token })),
);

export const anyStateEvent: fc.Arbitrary<StateEvent> = fc.oneof(
  fc
    .tuple(fc.oneof(anyJson, fc.integer()), anyExpiry)
    .map(([value, expiry]): StateEvent => ({ type: 'StateSet', data: { value, ...expiry } })),
  fc.tuple(anyHolder, anyToken).map(([holder, token]): StateEvent => {
    const lock = { holder, token };
    return { type: 'StateSet', data: { value: lock, expiresAt, lock } };
  }),
  fc
    .constantFrom({}, { reason: 'expired' } as const, { reason: 'released' } as const)
    .map((data): StateEvent => ({ type: 'StateDeleted', data })),
);
