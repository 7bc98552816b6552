import { allows } from '../../domain/access.ts';
import { asRevision, type NewMetadata, streamId } from '../../domain/event.ts';
import type { ServiceActor, ServiceCommand } from '../../domain/service/service.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import type { Command, CommandData } from '../command/catalog.ts';
import { createCommandIds } from '../command/command-ids.ts';
import type { Handler } from '../command/handle.ts';
import { writtenKeys } from '../command/transaction-schema.ts';
import { fault, ok, type Result } from '../errors.ts';
import { given } from '../given.ts';
import { digestOf, idOf, newId } from '../ids.ts';
import type { CommandDone, CommandInput, Context, EventReceipt } from '../nexus-core.ts';
import type { CircuitChange } from '../registry/balance/circuit-writes.ts';
import type { Verdict } from '../registry/health/verdict.ts';
import { type Call, type Done, notShown, optionsOf, ownReadModelsMs } from './command-call.ts';
import { refusalWithoutDecision, understand } from './command-checks.ts';
import { createCredentialCommands } from './credential-commands.ts';
import type { Deciders } from './deciders.ts';
import { createHookedCommands } from './hooked-commands.ts';
import { createInterfaceCommands } from './interfaces.ts';
import { createLocks } from './locks.ts';
import type { Parts } from './parts.ts';
import { createPluginCommands } from './plugin-commands.ts';
import { createPolicyWrites } from './policy-commands.ts';
import { explainService, mismatch, mismatchOf, receiptsOf, refusalOf, writtenBy } from './refusals.ts';
import { createRetentionCommands } from './retentions.ts';
import { serviceView } from './services.ts';
import { createStateCommands } from './state-commands.ts';
import { ownerFault } from './state-owners.ts';
import { createStatePolicyCommands } from './state-policies.ts';
import { policyResolverFault } from './state-resolving.ts';
import { createStateTransactions } from './state-transactions.ts';
import { createSubscriptionCommands } from './subscription-commands.ts';
import { serviceFault } from './target-faults.ts';
import { told } from './told.ts';

/** The last time that a year of four digits can tell. */
const latestMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** A message lives `ttlMs` from when it may be delivered: from now, or from a `deliverAt` that is later. */
const expiryOf = (nowMs: number, deliverAt: string | undefined, ttlMs: number): string => {
  const fromMs = deliverAt === undefined ? nowMs : Math.max(nowMs, Date.parse(deliverAt));
  return new Date(Math.min(fromMs + ttlMs, latestMs)).toISOString();
};

/** What a command did, with what it wrote to another stream before. */
const withFirst = (first: readonly EventReceipt[], done: Result<Done>): Result<Done> =>
  first.length === 0 || !done.ok ? done : ok({ ...done.value, events: [...first, ...done.value.events] });

/** The commands: each loads, decides, appends, and answers once this node's read models show what it did. */
export const createCommands = (parts: Parts, handler: Handler, deciders: Deciders) => {
  const { log, runner, registry, targets, node, clock } = parts;
  const subscription = createSubscriptionCommands(parts, handler, deciders.subscription);
  const commandIds = createCommandIds();
  const state = createStateCommands(parts, handler, deciders);
  const locks = createLocks(parts, state);
  const writePolicy = createPolicyWrites(parts, handler);
  const retention = createRetentionCommands(writePolicy, deciders);
  const statePolicy = createStatePolicyCommands(writePolicy, deciders);
  const transact = createStateTransactions(parts, handler, deciders);
  const credential = createCredentialCommands(parts, handler, deciders);
  const plugin = createPluginCommands(parts, handler, deciders);
  const interfaces = createInterfaceCommands(parts, handler, deciders);

  const metadataOf = (
    context: Context,
    command?: { readonly id: string; readonly hash: string },
  ): NewMetadata => ({
    actor: context.subject.id,
    correlationId: context.correlationId,
    causationId: context.causationId ?? null,
    ...(command === undefined ? {} : { commandId: command.id, commandHash: command.hash }),
    ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
    node,
    // No event has had more than one shape so far; domain/catalog.ts upcasts when one does.
    schema: 1,
  });

  const service = async (
    id: string,
    command: ServiceCommand,
    call: Call,
  ): Promise<Result<Done & { readonly document: ServiceDocument }>> => {
    const stream = streamId('service', id);
    const options = optionsOf(call, stream);
    const outcome = await handler.handle(deciders.service, stream, command, options);
    if (outcome.outcome === 'repeated') {
      const refused = mismatchOf(outcome.recorded[0], call.metadata);
      if (refused !== undefined) return refused;
    } else if (outcome.outcome !== 'done' && outcome.outcome !== 'unchanged') {
      return refusalOf(outcome, stream, explainService(id));
    }
    const { events, duplicate } = writtenBy(stream, outcome);
    const position = events.at(-1)?.position ?? (await log.position());
    if (!(await runner.reached(position, ownReadModelsMs))) return notShown(position);
    const document = runner.store.read<ServiceDocument>('services', id);
    if (document === undefined) return notShown(position);
    return ok({
      events,
      position,
      document,
      created: events[0]?.type === 'ServiceRegistered',
      duplicate,
      result: { service: serviceView(registry, document), position },
    });
  };

  const publish = async (data: CommandData<'PublishMessage'>, call: Call): Promise<Result<Done>> => {
    const { topic, payload, priority, key, headers, deliverAt, ttlMs } = data;
    const stream = streamId('topic', topic);
    const options = optionsOf(call, stream);
    // A message's id is the event's, so that a repeated messageId is found by the log itself.
    const id =
      data.messageId === undefined
        ? (options.eventId?.(0) ?? newId())
        : idOf('message', topic, data.messageId);
    const messageId = data.messageId ?? id;
    const event = {
      id,
      type: 'MessagePublished',
      data: {
        messageId,
        topic,
        payload,
        priority,
        ...(key === undefined ? {} : { key }),
        ...(headers === undefined ? {} : { headers }),
        ...(deliverAt === undefined ? {} : { deliverAt: new Date(deliverAt).toISOString() }),
        ...(ttlMs === undefined ? {} : { expiresAt: expiryOf(clock(), deliverAt, ttlMs) }),
      },
    };
    const { expectedRevision } = options;
    const expected =
      expectedRevision === undefined ? 'any' : expectedRevision < 0 ? 'none' : asRevision(expectedRevision);
    const appended = await handler.appendAny(stream, event, options.metadata, expected);
    if (!appended.ok) {
      const actual = appended.actual === 'none' ? -1 : appended.actual;
      return refusalOf<never, never, never>(
        { outcome: 'conflict', expected: expectedRevision ?? -1, actual },
        stream,
        (never) => never,
      );
    }
    const events = receiptsOf(stream, [event], appended.events);
    const [place] = appended.events;
    if (appended.duplicate && place !== undefined && options.eventId !== undefined) {
      const [recorded] = await log.readStream(stream, { from: place.revision, limit: 1 });
      const refused = mismatchOf(recorded, call.metadata);
      if (refused !== undefined) return refused;
    }
    const position = place?.position ?? log.start;
    return ok({
      events,
      position,
      result: { messageId, topic, position },
      created: !appended.duplicate,
      duplicate: appended.duplicate,
    });
  };

  // Those that every publish passes are plain functions: a promise of a promise waits for three turns of the queue.
  const runUnasked = (command: Command, call: Call): Promise<Result<Done>> =>
    command.type === 'PublishMessage' ? publish(command.data, call) : decide(command, call);

  const decide = async (
    command: Exclude<Command, { readonly type: 'PublishMessage' }>,
    call: Call,
  ): Promise<Result<Done>> => {
    const { subject } = call.context;
    const refused = serviceFault(targets, command);
    if (refused !== undefined) return fault(refused);
    const actor = { subject: subject.id, admin: allows(subject, { scope: 'admin' }) };
    switch (command.type) {
      case 'RegisterService': {
        // Told from the command's own id, when it has one, so that the same command names the same service.
        const { commandId } = call;
        const ownId = () => (commandId === undefined ? newId() : idOf('service', subject.id, commandId));
        const { id = ownId(), ...fields } = command.data;
        const declared = await interfaces.declare(fields, id, call);
        if (!declared.ok) return declared;
        return withFirst(
          declared.value,
          await service(id, { type: 'RegisterService', id, fields, actor }, call),
        );
      }
      case 'UpdateService': {
        const { id, status, reason, ...fields } = command.data;
        if (status !== undefined) {
          const why = reason ?? `set by ${subject.id}`;
          const change = { type: 'ChangeServiceStatus', to: status, reason: why, cause: 'operator' } as const;
          return service(id, { ...change, actor }, call);
        }
        const changes = given(fields);
        const declared = await interfaces.declareChanged(changes, id, call);
        if (!declared.ok) return declared;
        return withFirst(declared.value, await service(id, { type: 'UpdateService', changes, actor }, call));
      }
      case 'DeregisterService': {
        const { id, reason = `by ${subject.id}` } = command.data;
        return service(id, { type: 'DeregisterService', reason, actor }, call);
      }
      case 'RetireInterface':
        return interfaces.retire(command.data, call);
      case 'SetState':
      case 'PatchState':
      case 'IncrementState':
      case 'DeleteState':
      case 'AcquireLock':
      case 'RenewLock':
      case 'ReleaseLock': {
        const unknown = parts.statePolicies.unknown();
        if (unknown !== undefined) await unknown;
        const owned = ownerFault(parts, call.context, [command.data.key]);
        if (owned !== undefined) return fault(owned);
        return command.type === 'AcquireLock' ? locks.acquire(command, call) : state(command, call);
      }
      case 'TransactState': {
        const unknown = parts.statePolicies.unknown();
        if (unknown !== undefined) await unknown;
        const owned = ownerFault(parts, call.context, writtenKeys(command.data));
        return owned === undefined ? transact(command.data, call) : fault(owned);
      }
      case 'SetRetention':
      case 'RemoveRetention':
        return retention(command, call);
      case 'SetStatePolicy': {
        const unknown = policyResolverFault(parts, command.data);
        return unknown === undefined ? statePolicy(command, call) : fault(unknown);
      }
      case 'RemoveStatePolicy':
        return statePolicy(command, call);
      case 'CreateApiKey':
      case 'RevokeApiKey':
      case 'RevokeToken':
        return credential(command, call);
      case 'EnablePlugin':
      case 'DisablePlugin':
      case 'ReloadPlugin':
        return plugin(command, call);
      default:
        return subscription(command, call);
    }
  };

  const run = createHookedCommands(parts, handler, runUnasked);

  const runOnce = (command: Command, input: CommandInput, context: Context): Promise<Result<Done>> => {
    const { commandId, expectedRevision } = input;
    const call = { context, ...given({ expectedRevision }) };
    if (commandId === undefined) return run(command, { ...call, metadata: metadataOf(context) });
    return runById(command, commandId, input, call);
  };

  const runById = async (
    command: Command,
    commandId: string,
    { data, requestHash }: CommandInput,
    call: Omit<Call, 'metadata'>,
  ): Promise<Result<Done>> => {
    const { context } = call;
    const hash = digestOf(
      JSON.stringify([command.type, data, ...(requestHash === undefined ? [] : [requestHash])]),
    );
    const metadata = metadataOf(context, { id: commandId, hash });
    const done = await commandIds.claim(idOf(context.subject.id, commandId), hash, () =>
      run(command, { ...call, metadata, commandId }),
    );
    return done ?? mismatch(commandId);
  };

  /** Checks, authorises and runs a command. A refusal is a value; broken infrastructure throws `LogError`. */
  const execute = async (input: CommandInput, context: Context): Promise<Result<CommandDone>> => {
    const command = understand(input, context);
    if (!command.ok) return command;
    const done = told(command.value, await runOnce(command.value, input, context), context);
    if (!done.ok) return done;
    const { events, position, result, created, duplicate } = done.value;
    return ok({
      commandId: input.commandId ?? events[0]?.id ?? newId(),
      type: command.value.type,
      events,
      position,
      result,
      created,
      duplicate,
    });
  };

  /**
   * What the hub itself decides on a service (a probe, an expiry, a removal): told to nobody, recorded like any other.
   *
   * @param revision what the service was at when it was judged: what came since is not overwritten.
   */
  const ownService = async (
    id: string,
    command: (actor: ServiceActor) => ServiceCommand,
    revision: number | undefined,
  ): Promise<Result<unknown>> => {
    const context: Context = { subject: { id: 'system', scopes: ['admin'] }, correlationId: newId() };
    const call = { context, metadata: metadataOf(context), ...given({ expectedRevision: revision }) };
    return service(id, command({ subject: 'system', admin: true }), call);
  };

  const changeStatus = (id: string, verdict: Verdict, revision: number | undefined) => {
    const { status: to, reason, cause } = verdict;
    return ownService(id, (actor) => ({ type: 'ChangeServiceStatus', to, reason, cause, actor }), revision);
  };

  const attach = (id: string) =>
    ownService(id, (actor) => ({ type: 'AttachService', node, actor }), undefined);

  const deregister = (id: string, reason: string, revision: number) =>
    ownService(id, (actor) => ({ type: 'DeregisterService', reason, actor }), revision);

  /** Its `until` goes before what stands there only when it is later. */
  const changeCircuit = (id: string, { reason, ...change }: CircuitChange) =>
    ownService(
      id,
      (actor) =>
        change.to === 'open'
          ? { type: 'OpenCircuit', reason, until: change.until, actor }
          : { type: 'CloseCircuit', reason, actor },
      undefined,
    );

  /** As `execute`, but for the decision: nothing is written. */
  const check = async (input: CommandInput, context: Context): Promise<Result<Command>> => {
    const command = understand(input, context);
    if (!command.ok) return command;
    const refused = await refusalWithoutDecision(parts, command.value, context);
    return refused === undefined ? command : fault(refused);
  };

  return { execute, changeStatus, attach, deregister, changeCircuit, check, close: locks.close };
};
