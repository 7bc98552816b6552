import type { CommandType } from '../../command/catalog.ts';
import { commandOperations } from './commands.ts';
import { invoking, type Operation, ownService, reading, writing } from './operation.ts';

export type FieldOperation = Operation & {
  /** The command that a mutation is another form of. */
  readonly command?: CommandType;
};
type Fields = Readonly<Record<string, FieldOperation>>;

const command = (type: CommandType): FieldOperation => ({ command: type, ...commandOperations[type] });
const services = reading('services:read');
const key = reading('state:read:KEY');
const pattern = reading('events:read:PATTERN');

const queries: Fields = {
  service: services,
  services,
  serviceInterface: services,
  serviceInterfaces: services,
  state: key,
  states: reading('state:read:PREFIX*'),
  stateHistory: key,
  stateDifference: key,
  lock: key,
  events: {
    kind: 'read',
    needs: [
      { when: 'with `topic`', scope: 'events:read:PATTERN' },
      { when: 'without `topic`', scope: 'log:read' },
    ],
  },
  topics: reading('events:read:>'),
  subscriptions: reading('any'),
  subscription: pattern,
  deadLetters: pattern,
  retention: {
    kind: 'read',
    needs: [
      { when: 'with `topic`', scope: 'events:read:PATTERN', or: 'log:read' },
      { when: 'without `topic`', scope: 'events:read:>', or: 'log:read' },
    ],
  },
  statePolicies: {
    kind: 'read',
    needs: [
      { when: 'of one key', scope: 'state:read:KEY', or: 'log:read' },
      { when: 'of a prefix', scope: 'state:read:PREFIX*', or: 'log:read' },
      { when: 'of all', scope: 'state:read:*', or: 'log:read' },
    ],
  },
  replays: pattern,
  apiKeys: reading('admin'),
  apiKey: reading('admin'),
  revokedTokens: reading('admin'),
  plugins: reading('plugins:admin'),
  plugin: reading('plugins:admin'),
  health: reading('any'),
};

const mutations: Fields = {
  registerService: command('RegisterService'),
  updateService: command('UpdateService'),
  deregisterService: command('DeregisterService'),
  heartbeat: { ...writing('services:write'), besides: ownService },
  invokeService: invoking('services:invoke:NAME'),
  retireInterface: command('RetireInterface'),
  setState: command('SetState'),
  patchState: command('PatchState'),
  incrementState: command('IncrementState'),
  deleteState: command('DeleteState'),
  acquireLock: command('AcquireLock'),
  renewLock: command('RenewLock'),
  releaseLock: command('ReleaseLock'),
  transactState: command('TransactState'),
  publishEvent: command('PublishMessage'),
  request: writing('events:publish:TOPIC'),
  reply: writing('any'),
  createSubscription: command('CreateSubscription'),
  deleteSubscription: command('DeleteSubscription'),
  pauseSubscription: command('PauseSubscription'),
  resumeSubscription: command('ResumeSubscription'),
  resetSubscription: command('ResetSubscription'),
  redriveDeadLetters: command('RedriveDeadLetters'),
  discardDeadLetters: command('DiscardDeadLetters'),
  setRetention: command('SetRetention'),
  removeRetention: command('RemoveRetention'),
  setStatePolicy: command('SetStatePolicy'),
  removeStatePolicy: command('RemoveStatePolicy'),
  replay: command('ReplayMessages'),
  stopReplays: command('StopReplays'),
  createApiKey: command('CreateApiKey'),
  revokeApiKey: command('RevokeApiKey'),
  revokeToken: command('RevokeToken'),
  enablePlugin: command('EnablePlugin'),
  disablePlugin: command('DisablePlugin'),
  reloadPlugin: command('ReloadPlugin'),
  shadowPlugin: writing('plugins:admin'),
};

const subscriptions: Fields = {
  messages: pattern,
  stateChanged: {
    kind: 'read',
    needs: [
      { when: 'of a `key`', scope: 'state:read:KEY' },
      { when: 'of a `prefix`', scope: 'state:read:PREFIX*' },
    ],
  },
  serviceChanged: services,
  events: reading('log:read'),
};

/** Every root field of the schema, by type. */
export const graphqlOperations = {
  Query: queries,
  Mutation: mutations,
  Subscription: subscriptions,
} as const;
