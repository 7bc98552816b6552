import { asRevision, type Json, type StreamId } from '../../domain/event.ts';
import { patched } from '../../domain/state/decider.ts';
import { alwaysCombines, rejectName, threeWayMergeName } from '../../domain/state/resolvers.ts';
import type { StateCommand, VersionConflict } from '../../domain/state/state.ts';
import type { CommandData } from '../command/catalog.ts';
import { fault, invalidAt, ok, type Problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Context } from '../nexus-core.ts';
import type { Deciders } from './deciders.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';
import { explainState } from './refusals.ts';

type Written = Pick<CommandData<'SetState'>, 'key' | 'expectedVersion' | 'resolver'>;
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

/** How a write is tried: `first` as it comes; `again`, when that met a version conflict that may be resolved. */
export type Tries = {
  readonly first: StateCommand;
  readonly again?: (conflict: VersionConflict) => Promise<Result<StateCommand>>;
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

  return (stream: StreamId, data: Written, command: Writing, context: Context): Tries => {
    const { key, expectedVersion } = data;
    const name = data.resolver ?? statePolicies.resolverOf(key) ?? resolvers.attachedTo(key) ?? rejectName;
    if (name === rejectName) return { first: command };
    const resolving = { type: 'ResolveState', resolver: name, resolve: resolvers.resolverOf(name) } as const;
    if (expectedVersion === undefined) {
      if (command.type !== 'SetState' || !alwaysCombines(name)) return { first: command };
      const { value, expiresAt } = command;
      return { first: { ...resolving, incoming: value, keepsExpiry: false, ...given({ expiresAt }) } };
    }

    const again = async (conflict: VersionConflict): Promise<Result<StateCommand>> => {
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
    return { first: command, again };
  };
};
