import type { CommandType } from '../../command/catalog.ts';
import { type Operation, ownService, writing } from './operation.ts';

const ownKeys = 'the keys have no other owner (state policies)';

const serviceWrite: Operation = { ...writing('services:write'), besides: ownService };
/** Keys under `nexus/` and `plugin/` need `admin`. */
const stateWrite: Operation = { ...writing('state:write:KEY'), besides: ownKeys };
const subscriptionWrite = writing('events:read:PATTERN');

/** Every command, whichever way it comes: POST /commands, a `command` frame, its REST route, its GraphQL mutation. */
export const commandOperations: { readonly [Type in CommandType]: Operation } = {
  RegisterService: serviceWrite,
  UpdateService: serviceWrite,
  DeregisterService: serviceWrite,
  RetireInterface: {
    ...writing('services:write'),
    besides: 'the subject has declared the interface, or owns an instance of the name',
  },
  SetState: stateWrite,
  PatchState: {
    kind: 'write',
    needs: [
      { scope: 'state:write:KEY' },
      {
        when: 'with a `test` in a JSON patch, or a conflict that a resolver is to settle',
        scope: 'state:read:KEY',
      },
    ],
    besides: ownKeys,
  },
  IncrementState: stateWrite,
  DeleteState: stateWrite,
  AcquireLock: stateWrite,
  RenewLock: stateWrite,
  ReleaseLock: {
    kind: 'write',
    needs: [
      { when: 'with the token of the lock', scope: 'state:write:KEY' },
      { when: 'without it', scope: 'admin' },
    ],
    besides: ownKeys,
  },
  TransactState: {
    kind: 'write',
    needs: [
      { when: 'of each key that is written', scope: 'state:write:KEY' },
      { when: 'of each key that is compared, tested or read', scope: 'state:read:KEY' },
    ],
    besides: ownKeys,
  },
  PublishMessage: writing('events:publish:TOPIC'),
  CreateSubscription: subscriptionWrite,
  DeleteSubscription: subscriptionWrite,
  PauseSubscription: subscriptionWrite,
  ResumeSubscription: subscriptionWrite,
  ResetSubscription: subscriptionWrite,
  RedriveDeadLetters: {
    kind: 'write',
    needs: [
      { scope: 'events:read:PATTERN' },
      { when: 'with another payload', scope: 'events:publish:PATTERN' },
    ],
  },
  DiscardDeadLetters: subscriptionWrite,
  ReplayMessages: subscriptionWrite,
  StopReplays: subscriptionWrite,
  SetRetention: writing('admin'),
  RemoveRetention: writing('admin'),
  SetStatePolicy: writing('admin'),
  RemoveStatePolicy: writing('admin'),
  CreateApiKey: writing('admin'),
  RevokeApiKey: writing('admin'),
  RevokeToken: writing('admin'),
  EnablePlugin: writing('plugins:admin'),
  DisablePlugin: writing('plugins:admin'),
  ReloadPlugin: writing('plugins:admin'),
};
