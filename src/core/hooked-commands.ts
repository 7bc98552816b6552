import { asStreamId, type StreamId, streamId, streamKey } from '../../domain/event.ts';
import type { HookName } from '../../domain/plugin/manifest.ts';
import type { Command } from '../command/catalog.ts';
import type { Handler } from '../command/handle.ts';
import { type TransactionOperation, writtenKeys } from '../command/transaction-schema.ts';
import { fault, ok, type Result } from '../errors.ts';
import { idOf } from '../ids.ts';
import type { Told } from '../plugin/hooks/hooks.ts';
import { type Call, type Done, optionsOf } from './command-call.ts';
import { refusalWithoutDecision } from './command-checks.ts';
import { publishQuestion, registrationQuestion, type StateWrite, writeQuestion } from './hook-questions.ts';
import type { Parts } from './parts.ts';
import { tellingKeys } from './state-transactions.ts';

type Transaction = Extract<Command, { readonly type: 'TransactState' }>;
type Hooked =
  | StateWrite
  | Transaction
  | Extract<Command, { readonly type: 'PublishMessage' | 'RegisterService' }>;
type Place = { readonly before: HookName; readonly after?: Told['hook'] };

/** Keys of one transaction that plugins are asked about at a time. */
const keysAtOnce = 16;

const publishing: Place = { before: 'before_publish', after: 'after_publish' };
const changingState: Place = { before: 'before_state_change', after: 'after_state_change' };
const registering: Place = { before: 'before_service_register' };

const placeOf = ({ type }: Hooked): Place => {
  switch (type) {
    case 'PublishMessage':
      return publishing;
    case 'RegisterService':
      return registering;
    default:
      return changingState;
  }
};

/** What the patterns of hooks are compared with. */
const namesOf = (command: Hooked): readonly string[] => {
  switch (command.type) {
    case 'PublishMessage':
      return [command.data.topic];
    case 'RegisterService':
      return [command.data.name];
    case 'TransactState':
      return writtenKeys(command.data);
    default:
      return [command.data.key];
  }
};

/** An operation of a transaction as the command that does the same; undefined for one that only reads. */
const writeOf = (operation: TransactionOperation): StateWrite | undefined => {
  switch (operation.op) {
    case 'set': {
      const { op: _op, ...data } = operation;
      return { type: 'SetState', data };
    }
    case 'patch': {
      const { op: _op, ...data } = operation;
      return { type: 'PatchState', data };
    }
    case 'increment': {
      const { op: _op, ...data } = operation;
      return { type: 'IncrementState', data };
    }
    case 'delete': {
      const { op: _op, ...data } = operation;
      return { type: 'DeleteState', data };
    }
    case 'get':
      return undefined;
  }
};

const operationOf = (write: StateWrite): TransactionOperation => {
  switch (write.type) {
    case 'SetState':
      return { op: 'set', ...write.data };
    case 'PatchState':
      return { op: 'patch', ...write.data };
    case 'IncrementState':
      return { op: 'increment', ...write.data };
    case 'DeleteState':
      return { op: 'delete', ...write.data };
  }
};

/**
 * Asks plugins about commands and tells them what those did, between what refuses a command whatever state it meets and
 * the decision (docs/adr/0052-hooks.md).
 *
 * @param run decides and writes, as if there were no plugins.
 */
export const createHookedCommands = (
  parts: Parts,
  { recorded }: Pick<Handler, 'recorded'>,
  run: (command: Command, call: Call) => Promise<Result<Done>>,
) => {
  const { hooks } = parts;

  /** A transaction's operations, as far as plugins let them pass. */
  const askOperations = async (
    operations: readonly TransactionOperation[],
    subject: string,
  ): Promise<Result<TransactionOperation[]>> => {
    const asked: TransactionOperation[] = [];
    for (let at = 0; at < operations.length; at += keysAtOnce) {
      const results = await Promise.all(
        operations
          .slice(at, at + keysAtOnce)
          .map(async (operation): Promise<Result<TransactionOperation>> => {
            const write = writeOf(operation);
            if (write === undefined) return ok(operation);
            const result = await hooks.ask(writeQuestion(write, subject));
            return result.ok ? ok(operationOf(result.value)) : result;
          }),
      );
      for (const result of results) {
        if (!result.ok) return result;
        asked.push(result.value);
      }
    }
    return ok(asked);
  };

  const ask = async (command: Hooked, subject: string): Promise<Result<Hooked>> => {
    switch (command.type) {
      case 'PublishMessage': {
        const { type } = command;
        const asked = await hooks.ask(publishQuestion(command.data, subject));
        return asked.ok ? ok({ type, data: asked.value }) : asked;
      }
      case 'RegisterService': {
        const { type } = command;
        const asked = await hooks.ask(registrationQuestion(command.data, subject));
        return asked.ok ? ok({ type, data: asked.value }) : asked;
      }
      case 'TransactState': {
        const { type, data } = command;
        const success = await askOperations(data.then, subject);
        if (!success.ok) return success;
        const failure = await askOperations(data.else, subject);
        if (!failure.ok) return failure;
        // biome-ignore lint/suspicious/noThenProperty: a list, and the name on the wire
        return ok({ type, data: { ...data, then: success.value, else: failure.value } });
      }
      default:
        return hooks.ask(writeQuestion(command, subject));
    }
  };

  /** Where the events of a command with an id of its own stand, if it came before. */
  const streamsOf = (command: Hooked, { context, commandId = '' }: Call): readonly StreamId[] => {
    switch (command.type) {
      case 'PublishMessage':
        return [streamId('topic', command.data.topic)];
      case 'RegisterService':
        return [streamId('service', command.data.id ?? idOf('service', context.subject.id, commandId))];
      case 'TransactState': {
        const keys = new Set([...tellingKeys(command.data.then), ...tellingKeys(command.data.else)]);
        return [...keys].map((key) => streamId('state', key));
      }
      default:
        return [streamId('state', command.data.key)];
    }
  };

  /** What was decided once is answered as it was, without asking again. */
  const isRepeated = async (command: Hooked, call: Call): Promise<boolean> => {
    const messageId = command.type === 'PublishMessage' ? command.data.messageId : undefined;
    for (const stream of streamsOf(command, call)) {
      const options = optionsOf(call, stream);
      const eventId =
        messageId === undefined ? options.eventId : () => idOf('message', streamKey(stream), messageId);
      if (eventId === undefined) return false;
      if ((await recorded({ ...options, eventId }, stream)) !== undefined) return true;
    }
    return false;
  };

  const through = async (
    command: Hooked,
    call: Call,
    isAsked: boolean,
    after: Place['after'],
  ): Promise<Result<Done>> => {
    const { id: subject } = call.context.subject;
    let asked: Result<Hooked> = ok(command);
    if (isAsked) {
      const refused = await refusalWithoutDecision(parts, command, call.context);
      if (refused !== undefined) return fault(refused);
      if (!(await isRepeated(command, call))) asked = await ask(command, subject);
    }
    if (!asked.ok) return asked;
    const done = await run(asked.value, call);
    if (after === undefined || !done.ok || done.value.duplicate) return done;
    for (const { stream, revision } of done.value.events) {
      hooks.tell({ hook: after, name: streamKey(stream), subject, stream: asStreamId(stream), revision });
    }
    return done;
  };

  /** The way of a command that a plugin has to do with; undefined for every other one. */
  const hooked = (command: Hooked, call: Call): Promise<Result<Done>> | undefined => {
    const { before, after } = placeOf(command);
    const { id: subject } = call.context.subject;
    const names = namesOf(command);
    const concerns = (hook: HookName): boolean =>
      hooks[hook] !== undefined && names.some((name) => hooks.concerns(hook, name, subject));
    const isAsked = concerns(before);
    const isTold = after !== undefined && concerns(after);
    return isAsked || isTold ? through(command, call, isAsked, isTold ? after : undefined) : undefined;
  };

  /** A plain function: what no hook is for must not cost a promise more. */
  return (command: Command, call: Call): Promise<Result<Done>> => {
    switch (command.type) {
      case 'PublishMessage':
        if (hooks.before_publish === undefined && hooks.after_publish === undefined) break;
        return hooked(command, call) ?? run(command, call);
      case 'SetState':
      case 'PatchState':
      case 'IncrementState':
      case 'DeleteState':
      case 'TransactState':
        if (hooks.before_state_change === undefined && hooks.after_state_change === undefined) break;
        return hooked(command, call) ?? run(command, call);
      case 'RegisterService':
        if (hooks.before_service_register === undefined) break;
        return hooked(command, call) ?? run(command, call);
      default:
        break;
    }
    return run(command, call);
  };
};
