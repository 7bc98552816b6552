import type { CommandType } from '../../command/catalog.ts';
import { commandOperations } from './commands.ts';
import {
  invoking,
  type Need,
  type Operation,
  ownService,
  reading,
  type Scope,
  writing,
} from './operation.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'ANY';

/** A route. HEAD is GET without a body. */
export type RestOperation = Operation & {
  readonly method: Method;
  /** `/state/{key}`: a name in braces is one path parameter. */
  readonly path: string;
  /** The command that it is another form of: its data are the body and the path parameters. */
  readonly command?: CommandType;
};

const get = (path: string, scope: Scope): RestOperation => ({ method: 'GET', path, ...reading(scope) });
const post = (path: string, operation: Operation): RestOperation => ({ method: 'POST', path, ...operation });
const command = (method: Method, path: string, type: CommandType): RestOperation => ({
  method,
  path,
  command: type,
  ...commandOperations[type],
});

/** By what the stream holds. */
export const streamNeeds: readonly Need[] = [
  { when: 'of `service-ID` and `interface-NAME`', scope: 'services:read' },
  { when: 'of `state-KEY`', scope: 'state:read:KEY' },
  { when: 'of `topic-TOPIC`', scope: 'events:read:TOPIC' },
  { when: 'of `plugin-NAME`', scope: 'plugins:admin' },
  { when: 'of every other stream', scope: 'log:read' },
];

const services: readonly RestOperation[] = [
  get('/services', 'services:read'),
  command('POST', '/services', 'RegisterService'),
  get('/services/{id}', 'services:read'),
  command('PATCH', '/services/{id}', 'UpdateService'),
  command('DELETE', '/services/{id}', 'DeregisterService'),
  post('/services/{id}/heartbeat', { ...writing('services:write'), besides: ownService }),
  post('/services/{name}/invoke', invoking('services:invoke:NAME')),
  get('/interfaces', 'services:read'),
  get('/interfaces/{name}', 'services:read'),
  command('DELETE', '/interfaces/{name}/{major}', 'RetireInterface'),
  { method: 'ANY', path: '/proxy/{name}/{path}', ...invoking('services:invoke:NAME') },
];

const state: readonly RestOperation[] = [
  get('/state', 'state:read:PREFIX*'),
  command('POST', '/state', 'TransactState'),
  get('/state/{key}', 'state:read:KEY'),
  command('PUT', '/state/{key}', 'SetState'),
  command('PATCH', '/state/{key}', 'PatchState'),
  command('DELETE', '/state/{key}', 'DeleteState'),
  command('POST', '/state/{key}/increment', 'IncrementState'),
  get('/state/{key}/history', 'state:read:KEY'),
  get('/state/{key}/diff', 'state:read:KEY'),
  get('/locks/{key}', 'state:read:KEY'),
  command('POST', '/locks/{key}', 'AcquireLock'),
  command('PUT', '/locks/{key}', 'RenewLock'),
  command('DELETE', '/locks/{key}', 'ReleaseLock'),
  get('/snapshot', 'state:read:PREFIX*'),
  post('/snapshot', writing('admin')),
  {
    method: 'GET',
    path: '/state-policies',
    kind: 'read',
    needs: [{ scope: 'state:read:*', or: 'log:read' }],
  },
  {
    method: 'GET',
    path: '/state-policies/{pattern}',
    kind: 'read',
    needs: [
      { when: 'of one key', scope: 'state:read:KEY', or: 'log:read' },
      { when: 'of a prefix', scope: 'state:read:PREFIX*', or: 'log:read' },
    ],
  },
  command('PUT', '/state-policies/{pattern}', 'SetStatePolicy'),
  command('DELETE', '/state-policies/{pattern}', 'RemoveStatePolicy'),
];

const events: readonly RestOperation[] = [
  get('/events', 'events:read:PATTERN'),
  command('POST', '/events/{topic}', 'PublishMessage'),
  get('/messages/{position}', 'events:read:TOPIC'),
  get('/topics', 'events:read:>'),
  post('/requests/{topic}', writing('events:publish:TOPIC')),
  post('/replies', writing('any')),
  {
    method: 'GET',
    path: '/retention',
    kind: 'read',
    needs: [{ scope: 'events:read:>', or: 'log:read' }],
  },
  {
    method: 'GET',
    path: '/retention/{pattern}',
    kind: 'read',
    needs: [{ scope: 'events:read:PATTERN', or: 'log:read' }],
  },
  command('PUT', '/retention/{pattern}', 'SetRetention'),
  command('DELETE', '/retention/{pattern}', 'RemoveRetention'),
];

const subscriptions: readonly RestOperation[] = [
  get('/subscriptions', 'any'),
  get('/subscriptions/{name}', 'events:read:PATTERN'),
  command('PUT', '/subscriptions/{name}', 'CreateSubscription'),
  command('DELETE', '/subscriptions/{name}', 'DeleteSubscription'),
  command('POST', '/subscriptions/{name}/reset', 'ResetSubscription'),
  command('POST', '/subscriptions/{name}/pause', 'PauseSubscription'),
  command('POST', '/subscriptions/{name}/resume', 'ResumeSubscription'),
  post('/subscriptions/{name}/pull', reading('events:read:PATTERN')),
  post('/subscriptions/{name}/ack', writing('events:read:PATTERN')),
  post('/subscriptions/{name}/nak', writing('events:read:PATTERN')),
  post('/subscriptions/{name}/term', writing('events:read:PATTERN')),
  post('/subscriptions/{name}/extend', writing('events:read:PATTERN')),
  get('/subscriptions/{name}/dead-letters', 'events:read:PATTERN'),
  command('POST', '/subscriptions/{name}/dead-letters/redrive', 'RedriveDeadLetters'),
  command('POST', '/subscriptions/{name}/dead-letters/discard', 'DiscardDeadLetters'),
  command('POST', '/subscriptions/{name}/replay', 'ReplayMessages'),
  get('/subscriptions/{name}/replays', 'events:read:PATTERN'),
  command('DELETE', '/subscriptions/{name}/replays', 'StopReplays'),
  command('DELETE', '/subscriptions/{name}/replays/{replayId}', 'StopReplays'),
];

/** What the command needs. */
export const commandNeed = 'any';

const log: readonly RestOperation[] = [
  get('/log', 'log:read'),
  { method: 'GET', path: '/streams/{stream}', kind: 'read', needs: streamNeeds },
  post('/commands', { ...writing(commandNeed), besides: 'what the command needs' }),
];

const credentials: readonly RestOperation[] = [
  get('/api-keys', 'admin'),
  command('POST', '/api-keys', 'CreateApiKey'),
  get('/api-keys/{id}', 'admin'),
  command('DELETE', '/api-keys/{id}', 'RevokeApiKey'),
  get('/revoked-tokens', 'admin'),
  command('POST', '/revoked-tokens', 'RevokeToken'),
];

const plugins: readonly RestOperation[] = [
  get('/plugins', 'plugins:admin'),
  get('/plugins/{name}', 'plugins:admin'),
  command('POST', '/plugins/{name}/enable', 'EnablePlugin'),
  command('POST', '/plugins/{name}/disable', 'DisablePlugin'),
  command('POST', '/plugins/{name}/reload', 'ReloadPlugin'),
  post('/plugins/{name}/shadow', writing('plugins:admin')),
];

const hub: readonly RestOperation[] = [
  get('/health', 'any'),
  get('/health/live', 'public'),
  get('/health/ready', 'public'),
  get('/metrics', 'log:read'),
  get('/openapi.json', 'any'),
  get('/asyncapi.json', 'any'),
  // What they need stands with the fields that are asked for.
  get('/graphql', 'any'),
  post('/graphql', writing('any')),
];

/** Every route of HTTP. */
export const restOperations: readonly RestOperation[] = [
  ...services,
  ...state,
  ...events,
  ...subscriptions,
  ...log,
  ...credentials,
  ...plugins,
  ...hub,
];

/** `/state/*key` and `/services/:id`, as routers write them, in the form of the catalogue. */
export const templateOf = (route: string): string => route.replace(/[*:](\w+)/g, '{$1}');
