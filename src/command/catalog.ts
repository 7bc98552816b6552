import * as z from 'zod';
import type { Requirement } from '../../domain/access.ts';
import { priorities } from '../../domain/message/message.ts';
import { isTopic } from '../../domain/names.ts';
import { credentialSchemas } from './credential-schemas.ts';
import { pluginSchemas } from './plugin-schemas.ts';
import { policySchemas } from './policy-schemas.ts';
import { serviceSchemas } from './service-schemas.ts';
import { anyJson, stateSchemas } from './state-schemas.ts';
import { subscriptionSchemas } from './subscription-schemas.ts';
import { patchRequirements, transactionRequirements, transactionSchemas } from './transaction-schema.ts';

/**
 * Every command: one schema of its input, used by REST, GraphQL, WebSocket, ZeroMQ and /commands, and the scope that it
 * needs. `data` is the body of the REST route plus its path parameters by name.
 */

const time = z.iso.datetime({ offset: true }).describe('RFC 3339 time');
const text = (max: number) => z.string().min(1).max(max);

export const topicSchema = z
  .string()
  .refine(isTopic, 'must be 1 to 32 segments of [A-Za-z0-9_-]{1,64} joined by dots')
  // For documents: what is checked is what stands above, here and wherever else there is a pattern.
  .meta({ pattern: '^[A-Za-z0-9_-]{1,64}(\\.[A-Za-z0-9_-]{1,64}){0,31}$' });

const schemas = {
  ...serviceSchemas,
  ...stateSchemas,
  ...transactionSchemas,
  PublishMessage: z.strictObject({
    topic: topicSchema,
    payload: anyJson,
    priority: z.enum(priorities).default('NORMAL'),
    key: text(256).optional(),
    headers: z.record(text(128), z.string().max(4_096)).optional(),
    deliverAt: time.optional(),
    ttlMs: z.number().int().min(1).max(31_536_000_000).optional(),
    messageId: text(128).optional(),
  }),
  ...subscriptionSchemas,
  ...policySchemas,
  ...credentialSchemas,
  ...pluginSchemas,
} as const;

export type CommandType = keyof typeof schemas;
export type CommandData<Type extends CommandType> = z.output<(typeof schemas)[Type]>;
/** A command whose data has passed its schema. */
export type Command = {
  [Type in CommandType]: { readonly type: Type; readonly data: CommandData<Type> };
}[CommandType];

export const commandSchemas = schemas;
export const commandTypes = Object.keys(schemas) as readonly CommandType[];
export const isCommandType = (text: string): text is CommandType => Object.hasOwn(schemas, text);

/** The scopes that a command needs, told from its checked data; none where what it names tells (its subscription). */
export const requirementsOf = (command: Command): readonly Requirement[] => {
  if (command.type === 'TransactState') return transactionRequirements(command.data);
  if (command.type === 'PatchState') return patchRequirements(command.data);
  const requirement = requirementOf(command);
  return requirement === undefined ? [] : [requirement];
};

const requirementOf = (
  command: Exclude<Command, { readonly type: 'TransactState' | 'PatchState' }>,
): Requirement | undefined => {
  switch (command.type) {
    case 'RegisterService':
    case 'UpdateService':
    case 'DeregisterService':
    case 'RetireInterface':
      return { scope: 'services:write' };
    case 'SetState':
    case 'IncrementState':
    case 'DeleteState':
    case 'AcquireLock':
    case 'RenewLock':
      return { scope: 'state:write', key: command.data.key };
    case 'ReleaseLock':
      return command.data.token === null
        ? { scope: 'admin' }
        : { scope: 'state:write', key: command.data.key };
    case 'PublishMessage':
      return { scope: 'events:publish', topic: command.data.topic };
    case 'CreateSubscription':
      return { scope: 'events:read', topic: command.data.topic };
    case 'SetRetention':
    case 'RemoveRetention':
    case 'SetStatePolicy':
    case 'RemoveStatePolicy':
    case 'CreateApiKey':
    case 'RevokeApiKey':
    case 'RevokeToken':
      return { scope: 'admin' };
    case 'EnablePlugin':
    case 'DisablePlugin':
    case 'ReloadPlugin':
      return { scope: 'plugins:admin' };
    default:
      return undefined;
  }
};
