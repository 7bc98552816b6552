import { allows } from '../../domain/access.ts';
import { patternContains } from '../../domain/names.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import { type Command, commandSchemas, isCommandType, requirementsOf } from '../command/catalog.ts';
import { writtenKeys } from '../command/transaction-schema.ts';
import { invalid, invalidAt, ok, type Problem, type Result } from '../errors.ts';
import type { CommandInput, Context } from '../nexus-core.ts';
import { resolvePlace, resolveStretch } from './as-of.ts';
import { demand } from './demand.ts';
import { retireFault } from './interfaces.ts';
import type { Parts } from './parts.ts';
import { explainService } from './refusals.ts';
import { ownerFault } from './state-owners.ts';
import { policyResolverFault, resolverFault } from './state-resolving.ts';
import { findSubscription } from './subscriptions.ts';
import { serviceFault } from './target-faults.ts';
import { validate } from './validate.ts';

/** The command that an input is, if it is one and the subject has the scope that it names. */
export const understand = ({ type, data }: CommandInput, context: Context): Result<Command> => {
  if (!isCommandType(type)) {
    return invalid('/type', `must be a command: one of ${Object.keys(commandSchemas).join(', ')}`);
  }
  const checked = validate(commandSchemas[type], data);
  if (!checked.ok) return checked;
  // The schema that `type` names has made the data; the pair is the union's member.
  const command = { type, data: checked.value } as Command;
  for (const requirement of requirementsOf(command)) {
    const denied = demand(context, requirement);
    if (denied !== undefined) return denied;
  }
  return ok(command);
};

const problemIn = (result: Result<unknown>): Problem | undefined => (result.ok ? undefined : result.problem);

/** Of a pattern that a replay to a subscription names. */
export const replayTopicFault = (own: string, topic: string): Problem | undefined =>
  // What a subscription delivers, its consumers may read: the scope that they need is told by its topics.
  patternContains(own, topic)
    ? undefined
    : invalidAt('/topic', `must be within ${own}, which the subscription is for`);

type Checked = Pick<Parts, 'log' | 'runner' | 'registry' | 'targets' | 'resolvers' | 'statePolicies'>;

/** Another subject's service is nobody else's to change. */
const serviceOwnerFault = ({ runner }: Checked, id: string, { subject }: Context): Problem | undefined => {
  const owner = runner.store.read<ServiceDocument>('services', id)?.owner;
  if (owner === undefined || owner === subject.id || allows(subject, { scope: 'admin' })) return undefined;
  return explainService(id)({ code: 'id_taken', owner });
};

/**
 * Why a command that was understood would be refused whatever state it met: what its data names, and what the subject may
 * do with that. Whether a version is the expected one, for example, is a decision and not looked at.
 */
export const refusalWithoutDecision = async (
  parts: Checked,
  command: Command,
  context: Context,
): Promise<Problem | undefined> => {
  const { log, runner, targets } = parts;
  switch (command.type) {
    case 'RegisterService':
    case 'UpdateService':
    case 'DeregisterService': {
      const { id } = command.data;
      return (
        serviceFault(targets, command) ??
        (id === undefined ? undefined : serviceOwnerFault(parts, id, context))
      );
    }
    case 'SetState':
    case 'PatchState':
      await parts.statePolicies.unknown();
      return (
        ownerFault(parts, context, [command.data.key]) ?? resolverFault(parts, command.type, command.data)
      );
    case 'DeleteState':
    case 'IncrementState':
    case 'AcquireLock':
    case 'RenewLock':
    case 'ReleaseLock':
      await parts.statePolicies.unknown();
      return ownerFault(parts, context, [command.data.key]);
    case 'TransactState':
      await parts.statePolicies.unknown();
      return ownerFault(parts, context, writtenKeys(command.data));
    case 'SetStatePolicy':
      return policyResolverFault(parts, command.data);
    case 'RetireInterface':
      return retireFault(parts, command.data, context);
    case 'CreateSubscription': {
      const { name, from } = command.data;
      const found = findSubscription(parts, name, context);
      if (!found.ok && found.problem.code !== 'not_found') return found.problem;
      return problemIn(await resolvePlace(log, runner.store, 'from', from));
    }
    case 'DeleteSubscription':
    case 'PauseSubscription':
    case 'ResumeSubscription':
    case 'ResetSubscription':
    case 'RedriveDeadLetters':
    case 'DiscardDeadLetters':
    case 'ReplayMessages':
    case 'StopReplays': {
      const found = findSubscription(parts, command.data.name, context);
      if (!found.ok) return found.problem;
      const { topic } = found.value;
      switch (command.type) {
        case 'ResetSubscription':
          return problemIn(await resolvePlace(log, runner.store, 'to', command.data.to));
        case 'RedriveDeadLetters':
          return command.data.payload === undefined
            ? undefined
            : demand(context, { scope: 'events:publish', topic })?.problem;
        case 'ReplayMessages':
          return (
            replayTopicFault(topic, command.data.topic ?? topic) ??
            problemIn(await resolveStretch(log, runner.store, command.data))
          );
        default:
          return undefined;
      }
    }
    default:
      return undefined;
  }
};
