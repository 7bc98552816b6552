import { type Json, type Position, type StreamId, streamId } from '../../domain/event.ts';
import type { StateCommand, VersionConflict } from '../../domain/state/state.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { type WhatItSets, whatItSets } from '../../projections/state.ts';
import type { Command } from '../command/catalog.ts';
import type { Handler, Outcome } from '../command/handle.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Reservation, WithinQuotas } from '../state/quotas.ts';
import { type Call, type Done, notShown, optionsOf, ownReadModelsMs } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';
import { mismatchOf, refusalOf, writtenBy } from './refusals.ts';
import { explainWrite, onceCounted, reserving, unknownUsage, type WriteRejection } from './state-quotas.ts';
import { createStateResolving, resolverFault, type Tries } from './state-resolving.ts';

export type StateInput = Extract<
  Command,
  {
    readonly type:
      | 'SetState'
      | 'PatchState'
      | 'IncrementState'
      | 'DeleteState'
      | 'AcquireLock'
      | 'RenewLock'
      | 'ReleaseLock';
  }
>;

/** What the decider is asked, `nowMs` being the time from which a TTL counts. */
export const stateCommandOf = (input: StateInput, subject: string, nowMs: number): StateCommand => {
  const expiry = (ttlMs: number): string => new Date(nowMs + ttlMs).toISOString();
  const { type } = input;
  switch (type) {
    case 'SetState': {
      const { value, expectedVersion, ttlMs } = input.data;
      return {
        type,
        value,
        ...given({ expectedVersion, expiresAt: ttlMs === undefined ? undefined : expiry(ttlMs) }),
      };
    }
    case 'PatchState': {
      const { key: _key, resolver: _resolver, expectedVersion, ...patch } = input.data;
      return { type, ...patch, ...given({ expectedVersion }) };
    }
    case 'IncrementState': {
      const { by, expectedVersion, ttlMs } = input.data;
      return {
        type,
        by,
        ...given({ expectedVersion, expiresAt: ttlMs === undefined ? undefined : expiry(ttlMs) }),
      };
    }
    case 'DeleteState':
      return { type, ...given({ expectedVersion: input.data.expectedVersion }) };
    case 'AcquireLock':
      return { type, holder: input.data.holder ?? subject, expiresAt: expiry(input.data.ttlMs) };
    case 'RenewLock':
      return { type, token: input.data.token, expiresAt: expiry(input.data.ttlMs) };
    case 'ReleaseLock':
      return { type, token: input.data.token };
  }
};

/** Versions that a resolver is asked about for one write. */
const maxResolved = 8;

/** The version conflict that a write has met, unless its resolver has said that it cannot be settled. */
const openConflict = <State, Event>(
  outcome: Outcome<State, Event, WriteRejection>,
): VersionConflict | undefined => {
  if (outcome.outcome !== 'rejected' || outcome.rejection.code !== 'version_conflict') return undefined;
  return outcome.rejection.unsettled === undefined ? outcome.rejection : undefined;
};

/** The commands on one state key. */
export const createStateCommands = (
  parts: Pick<Parts, 'runner' | 'clock' | 'log' | 'resolvers' | 'statePolicies' | 'quotas'>,
  handler: Handler,
  deciders: Pick<Deciders, 'state'>,
) => {
  const { log, runner, clock, quotas } = parts;
  const resolving = createStateResolving(parts, deciders.state);

  /** Whoever is told of a version by a refusal is not shown an older one next (docs/adr/0033-linearisable-state.md). */
  const toldIsShown = async (): Promise<void> => {
    await runner.reached(await log.position(), ownReadModelsMs);
  };

  const wasDeleted = (key: string, before: Position): boolean => {
    for (const past of runner.store.history<StateDocument>('state', key, before))
      return past.document.deleted;
    return false;
  };

  const resultOf = (
    { type, data: { key } }: StateInput,
    version: number,
    position: Position,
    document: WhatItSets | undefined,
  ): Json => {
    switch (type) {
      case 'DeleteState':
      case 'ReleaseLock':
        return { key, version, position };
      case 'AcquireLock':
      case 'RenewLock':
        return { key, ...document?.lock, ...given({ expiresAt: document?.expiresAt }), version, position };
      default:
        return {
          key,
          value: document?.value ?? null,
          version,
          position,
          ...given({ expiresAt: document?.expiresAt }),
          ...(document?.resolvedBy === undefined ? {} : { resolution: { resolver: document.resolvedBy } }),
        };
    }
  };

  const triesOf = (stream: StreamId, input: StateInput, { context }: Call): Result<Tries> => {
    const command = stateCommandOf(input, context.subject.id, clock());
    if (input.type !== 'SetState' && input.type !== 'PatchState') return ok({ first: command });
    if (command.type !== 'SetState' && command.type !== 'PatchState') return ok({ first: command });
    const refused = resolverFault(parts, input.type, input.data);
    return refused === undefined ? ok(resolving(stream, input.data, command, context)) : fault(refused);
  };

  const write = async (
    input: StateInput,
    call: Call,
    reservation: Reservation | undefined,
  ): Promise<Result<Done>> => {
    const { key } = input.data;
    const stream = streamId('state', key);
    const tries = triesOf(stream, input, call);
    if (!tries.ok) return tries;
    const { first, again, resolver = '' } = tries.value;
    const decider: WithinQuotas = reservation?.within(key) ?? deciders.state;
    const once = (command: StateCommand) => handler.handle(decider, stream, command, optionsOf(call, stream));
    const handle = (command: StateCommand) =>
      reservation === undefined ? once(command) : onceCounted(quotas, () => once(command), unknownUsage);
    let outcome = await handle(first);
    for (let tried = 0; again !== undefined; tried++) {
      const conflict = openConflict(outcome);
      if (conflict === undefined) break;
      if (tried === maxResolved) {
        const reason = `the key changed during each of ${maxResolved} tries`;
        const { expectedVersion: _pinned, ...rest } = conflict;
        const { expectedVersion } = 'expectedVersion' in input.data ? input.data : {};
        return fault(
          explainWrite(key)({ ...rest, ...given({ expectedVersion }), unsettled: { resolver, reason } }),
        );
      }
      const command = await again(conflict);
      if (!command.ok) {
        await toldIsShown();
        return command;
      }
      outcome = await handle(command.value);
    }
    if (outcome.outcome === 'repeated') {
      const refused = mismatchOf(outcome.recorded[0], call.metadata);
      if (refused !== undefined) return refused;
    } else if (outcome.outcome !== 'done') {
      if (outcome.outcome === 'unchanged')
        return fault(problem('internal', `${input.type} decided on nothing`));
      await toldIsShown();
      return refusalOf(outcome, stream, explainWrite(key));
    }
    const { events, duplicate } = writtenBy(stream, outcome);
    const last = events.at(-1);
    if (last === undefined) return fault(problem('internal', 'an append without events'));
    const { position } = last;
    const isShown = await runner.reached(position, ownReadModelsMs);
    reservation?.settle(position);
    if (!isShown) return notShown(position);
    const version = last.revision + 1;
    // What this command has made, whatever came behind it since: the read models may keep it no longer.
    const recorded = outcome.outcome === 'repeated' ? outcome.recorded.at(-1) : undefined;
    const event =
      outcome.outcome === 'done' ? outcome.events.at(-1) : recorded && deciders.state.decode(recorded);
    const made = event?.type === 'StateSet' ? whatItSets(event.data) : undefined;
    return ok({
      events,
      position,
      result: resultOf(input, version, position, made),
      // A key exists anew when the command did not replace a value: version 1, or the first after a deletion.
      created:
        last.type === 'StateSet' &&
        (outcome.outcome === 'done' ? !outcome.before.exists : version === 1 || wasDeleted(key, position)),
      duplicate,
    });
  };

  return (input: StateInput, call: Call): Promise<Result<Done>> =>
    reserving(quotas, (reservation) => write(input, call, reservation));
};
