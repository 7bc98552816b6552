import { asRevision, type Json, type StreamId } from '../../domain/event.ts';
import { patched } from '../../domain/state/decider.ts';
import { alwaysCombines, rejectName, threeWayMergeName } from '../../domain/state/resolvers.ts';
import type { StateCommand, VersionConflict } from '../../domain/state/state.ts';
import type { CommandData } from '../command/catalog.ts';
import { fault, invalidAt, ok, type Problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Context } from '../nexus-core.ts';
import type { AskedResolver } from '../state/resolvers.ts';
import type { Deciders } from './deciders.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';
import { explainState } from './refusals.ts';

type Written = Pick<CommandData<'SetState'>, 'key' | 'expectedVersion' | 'resolver'>;
type Resolving = Extract<StateCommand, { readonly type: 'ResolveState' }>;
type Writing = Extract<StateCommand, { readonly type: 'SetState' | 'PatchState' }>;

const unknownResolver = (resolvers: Parts['resolvers']): Problem =>
  invalidAt('/resolver', `must be one of ${resolvers.names().join(', ')}`);

/** The name of the resolver that a write asks for cannot be taken. */
export const resolverFault = (
  { resolvers }: Pick<Parts, 'resolvers'>,
  type: 'SetState' | 'PatchState',
  { resolver, expectedVersion }: Written,
): Problem | undefined => {
  if (resolver === undefined) return undefined;
  if (!resolvers.isKnown(resolver)) return unknownResolver(resolvers);
  if (expectedVersion !== undefined) return undefined;
  if (type === 'PatchState') {
    return invalidAt(
      '/resolver',
      'goes with expectedVersion: a patch without one is applied to what is there',
    );
  }
  return resolver === threeWayMergeName
    ? invalidAt('/resolver', 'goes with expectedVersion: it compares with the value that the writer saw')
    : undefined;
};

/** A policy names a resolver that there is not: each conflict of its keys would be refused. */
export const policyResolverFault = (
  { resolvers }: Pick<Parts, 'resolvers'>,
  { resolver }: Pick<CommandData<'SetStatePolicy'>, 'resolver'>,
): Problem | undefined =>
  resolver === null || resolvers.isKnown(resolver) ? undefined : unknownResolver(resolvers);

/**
 * How a write is tried: `first` as it comes; `again`, when that met a version conflict that may be resolved, and when what
 * it gave met another version than the one that it had been given.
 */
export type Tries = {
  readonly first: StateCommand;
  /** Of what `again` puts to work. */
  readonly resolver?: string;
  readonly again?: (conflict: VersionConflict) => Promise<Result<StateCommand>>;
};

/** A write in conflict: what it is tried as first, what that met, and whose it is. */
type Asking = {
  readonly key: string;
  readonly first: StateCommand;
  readonly conflict: VersionConflict;
  readonly subject: string;
};

/** Puts the resolver that a write asks for, or that is attached to its key, to work (docs/adr/0030-conflicts.md). */
export const createStateResolving = (
  { log, resolvers, statePolicies }: Pick<Parts, 'log' | 'resolvers' | 'statePolicies'>,
  { decode }: Pick<Deciders['state'], 'decode'>,
) => {
  /** The value of one version; undefined where there was none, or it is not kept any more. */
  const versionValue = async (stream: StreamId, version: number): Promise<Json | undefined> => {
    if (version < 1) return undefined;
    const revision = asRevision(version - 1);
    const [event] = await log.readStream(stream, { from: revision, limit: 1 });
    if (event?.revision !== revision) return undefined;
    const decoded = decode(event);
    return decoded?.type === 'StateSet' ? decoded.data.value : undefined;
  };

  /** As `command`, with what the resolver answers about the version in conflict, and for no other version. */
  const askAbout = async (
    { ask }: AskedResolver,
    command: Resolving,
    { key, first, conflict, subject }: Asking,
  ): Promise<Result<StateCommand>> => {
    const { base, incoming, expectedVersion, resolver } = command;
    const { currentVersion, currentValue } = conflict;
    // Deleted since: there is nothing to settle any more.
    if (currentVersion === (expectedVersion ?? 0)) return ok(first);
    const current = currentVersion === 0 ? undefined : currentValue;
    const resolved = await ask({ ...given({ base, current }), incoming }, subject);
    if (resolved.ok) return ok({ ...command, resolve: () => resolved, resolvedVersion: currentVersion });
    const { ok: _ok, ...why } = resolved;
    return fault(
      explainState(key)({
        code: 'version_conflict',
        ...given({ expectedVersion }),
        currentVersion,
        currentValue,
        unsettled: { resolver, ...why },
      }),
    );
  };

  return (stream: StreamId, data: Written, command: Writing, context: Context): Tries => {
    const { key, expectedVersion } = data;
    const subject = context.subject.id;
    const name = data.resolver ?? statePolicies.resolverOf(key) ?? resolvers.attachedTo(key) ?? rejectName;
    if (name === rejectName) return { first: command };
    const resolving = { type: 'ResolveState', resolver: name, resolve: resolvers.resolverOf(name) } as const;
    if (expectedVersion === undefined) {
      if (command.type !== 'SetState' || !alwaysCombines(name)) return { first: command };
      const { value, expiresAt } = command;
      const combining = { ...resolving, incoming: value, keepsExpiry: false, ...given({ expiresAt }) };
      if (resolvers.askedOf(name) === undefined) return { first: combining };
      const first = { ...command, expectedVersion: 0 };
      const again = async (conflict: VersionConflict): Promise<Result<StateCommand>> => {
        const asked = resolvers.askedOf(name);
        return asked === undefined
          ? ok(combining)
          : askAbout(asked, combining, { key, first, conflict, subject });
      };
      return { first, resolver: name, again };
    }

    const settling = async (conflict: VersionConflict): Promise<Result<Resolving>> => {
      const refuse = (reason: string): Result<never> =>
        fault(explainState(key)({ ...conflict, unsettled: { resolver: name, reason } }));
      // A patch in conflict makes its value of the one that the writer saw, and so shows that.
      const denied =
        command.type === 'PatchState' ? demand(context, { scope: 'state:read', key }) : undefined;
      if (denied !== undefined) return denied;
      const base = await versionValue(stream, expectedVersion);
      const isKnown = base !== undefined || expectedVersion === 0;
      if (!isKnown && (name === threeWayMergeName || command.type === 'PatchState')) {
        return refuse(`the value of version ${expectedVersion} is not known: it never was, or is not kept`);
      }
      const seen = { ...resolving, expectedVersion, ...given({ base }) };
      if (command.type === 'SetState') {
        const { value, expiresAt } = command;
        return ok({ ...seen, incoming: value, keepsExpiry: false, ...given({ expiresAt }) });
      }
      const made = patched(
        { exists: base !== undefined, value: base ?? null, version: expectedVersion },
        command,
      );
      if (made.ok) return ok({ ...seen, incoming: made.value, keepsExpiry: true });
      const why = made.rejection.code === 'patch_failed' ? `: ${made.rejection.detail}` : '';
      return refuse(`the patch does not fit the value of version ${expectedVersion}${why}`);
    };
    const again = async (conflict: VersionConflict): Promise<Result<StateCommand>> => {
      const settled = await settling({ ...conflict, expectedVersion });
      const asked = resolvers.askedOf(name);
      return settled.ok && asked !== undefined
        ? askAbout(asked, settled.value, { key, first: command, conflict, subject })
        : settled;
    };
    return { first: command, resolver: name, again };
  };
};
