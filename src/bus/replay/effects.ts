import type { AnyEvent } from '../../../domain/catalog.ts';
import { apiKeysPrefix } from '../../../domain/credentials.ts';
import type { Json, RecordedEvent } from '../../../domain/event.ts';
import { streamKey } from '../../../domain/event.ts';
import { fieldsOf, recordedFields } from '../../../domain/service/fields.ts';
import { settingsOf } from '../../../domain/subscription/settings.ts';
import type { Command } from '../../command/catalog.ts';
import { given } from '../../given.ts';

type Fields = { readonly [name: string]: Json };

/** What was written, or would have been: without ids, places and times that each writing makes anew. */
export type Effect =
  | {
      readonly type: 'message';
      readonly topic: string;
      readonly payload: Json;
      readonly priority: string;
      readonly key?: string;
    }
  | { readonly type: 'state'; readonly key: string; readonly value: Json; readonly deleted?: true }
  | {
      readonly type: 'service';
      /** Null where the hub would have made one. */
      readonly id: string | null;
      readonly change: 'registered' | 'updated' | 'status' | 'deregistered';
      readonly fields: Fields;
    }
  | {
      readonly type: 'subscription';
      readonly name: string;
      readonly change: string;
      readonly fields: Fields;
    }
  | { readonly type: 'other'; readonly name: string; readonly fields: Fields };

const none: Fields = {};
const subscription = (name: string, change: string, fields: Fields = none): Effect => ({
  type: 'subscription',
  name,
  change,
  fields,
});
const service = (
  id: string | null,
  change: Extract<Effect, { readonly type: 'service' }>['change'],
  fields: Fields = none,
): Effect => ({ type: 'service', id, change, fields });

/** What a command that passed its checks would write. */
export const effectOfCommand = (command: Command): Effect => {
  switch (command.type) {
    case 'PublishMessage': {
      const { topic, payload, priority, key } = command.data;
      return { type: 'message', topic, payload, priority, ...given({ key }) };
    }
    case 'SetState':
      return { type: 'state', key: command.data.key, value: command.data.value };
    case 'DeleteState':
    case 'ReleaseLock':
      return { type: 'state', key: command.data.key, value: null, deleted: true };
    // Their value is that of the moment at which they are decided.
    case 'PatchState':
    case 'IncrementState':
    case 'AcquireLock':
    case 'RenewLock': {
      const { key, ...fields } = command.data;
      return { type: 'other', name: command.type, fields: { key, ...given(fields) } };
    }
    case 'TransactState': {
      const { compare, then: success, else: failure } = command.data;
      const fields = {
        compare: compare.map(given),
        // biome-ignore lint/suspicious/noThenProperty: a list, and the name on the wire
        then: success.map(given),
        else: failure.map(given),
      };
      return { type: 'other', name: command.type, fields };
    }
    case 'RegisterService':
      return service(command.data.id ?? null, 'registered', recordedFields(fieldsOf(command.data)));
    case 'UpdateService': {
      const { id, status, reason: _reason, ...fields } = command.data;
      return status === undefined
        ? service(id, 'updated', given(fields))
        : service(id, 'status', { to: status });
    }
    case 'DeregisterService':
      return service(command.data.id, 'deregistered');
    case 'RetireInterface': {
      const { name, major } = command.data;
      return { type: 'other', name: 'interfaceRetired', fields: { name, major } };
    }
    case 'CreateSubscription':
      return subscription(command.data.name, 'created', settingsOf(command.data));
    case 'DeleteSubscription':
      return subscription(command.data.name, 'deleted');
    case 'PauseSubscription':
      return subscription(command.data.name, 'paused');
    case 'ResumeSubscription':
      return subscription(command.data.name, 'resumed');
    case 'ResetSubscription':
      return subscription(command.data.name, 'reset');
    case 'RedriveDeadLetters':
      return subscription(command.data.name, 'redriven', given({ payload: command.data.payload }));
    case 'DiscardDeadLetters':
      return subscription(command.data.name, 'discarded');
    case 'ReplayMessages':
      return subscription(command.data.name, 'replayed', { speed: command.data.speed });
    case 'StopReplays':
      return subscription(command.data.name, 'replaysStopped');
    case 'SetRetention':
      return { type: 'other', name: 'retention', fields: command.data };
    case 'RemoveRetention':
      return { type: 'other', name: 'noRetention', fields: command.data };
    case 'SetStatePolicy':
      return { type: 'other', name: 'statePolicy', fields: command.data };
    case 'RemoveStatePolicy':
      return { type: 'other', name: 'noStatePolicy', fields: command.data };
    case 'CreateApiKey':
      return { type: 'other', name: command.type, fields: given(command.data) };
    case 'RevokeApiKey':
      return { type: 'state', key: apiKeysPrefix + command.data.id, value: null, deleted: true };
    case 'RevokeToken': {
      // A token that is shown could be used.
      const { jti } = command.data;
      return { type: 'other', name: command.type, fields: given({ jti }) };
    }
    // What is granted in the end is told by the folder, which a dry run does not look at.
    case 'EnablePlugin':
    case 'DisablePlugin':
    case 'ReloadPlugin':
      return { type: 'other', name: command.type, fields: { name: command.data.name } };
  }
};

/**
 * What an event has written; undefined for what no command of a client leads to, or what comes with another effect (an
 * interface with its registration).
 */
export const effectOfEvent = (event: RecordedEvent<AnyEvent>): Effect | undefined => {
  const id = streamKey(event.stream);
  switch (event.type) {
    case 'MessagePublished': {
      const { topic, payload, priority, key } = event.data;
      return { type: 'message', topic, payload, priority, ...given({ key }) };
    }
    case 'StateSet':
      return { type: 'state', key: id, value: event.data.value };
    case 'StateDeleted':
      return { type: 'state', key: id, value: null, deleted: true };
    case 'ServiceRegistered':
      return service(id, 'registered', recordedFields(fieldsOf(event.data)));
    case 'ServiceUpdated':
      return service(id, 'updated', given(event.data.changes));
    case 'ServiceStatusChanged':
      return service(id, 'status', { to: event.data.to });
    case 'ServiceDeregistered':
      return service(id, 'deregistered');
    case 'InterfaceRetired':
      return { type: 'other', name: 'interfaceRetired', fields: { name: id, major: event.data.major } };
    case 'SubscriptionCreated':
      return subscription(id, 'created', settingsOf(event.data));
    case 'SubscriptionUpdated':
      return subscription(id, 'updated', given(event.data.changes));
    case 'SubscriptionDeleted':
      return subscription(id, 'deleted');
    case 'SubscriptionPaused':
      return subscription(id, 'paused');
    case 'SubscriptionResumed':
      return subscription(id, 'resumed');
    case 'SubscriptionReset':
      return subscription(id, 'reset');
    case 'DeadLettersRedriven':
      return subscription(id, 'redriven', given({ payload: event.data.payload }));
    case 'DeadLettersDiscarded':
      return subscription(id, 'discarded');
    case 'ReplayRequested':
      return subscription(id, 'replayed', { speed: event.data.speed });
    case 'ReplaysStopped':
      return subscription(id, 'replaysStopped');
    case 'RetentionSet':
      return { type: 'other', name: 'retention', fields: event.data };
    case 'RetentionRemoved':
      return { type: 'other', name: 'noRetention', fields: event.data };
    case 'StatePolicySet':
      return { type: 'other', name: 'statePolicy', fields: event.data };
    case 'StatePolicyRemoved':
      return { type: 'other', name: 'noStatePolicy', fields: event.data };
    case 'PluginEnabled':
      return { type: 'other', name: 'EnablePlugin', fields: { name: id } };
    case 'PluginDisabled':
      return { type: 'other', name: 'DisablePlugin', fields: { name: id } };
    case 'PluginInstalled':
      return event.data.cause === 'reload'
        ? { type: 'other', name: 'ReloadPlugin', fields: { name: id } }
        : undefined;
    default:
      return undefined;
  }
};
