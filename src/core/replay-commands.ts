import { decodeEvent } from '../../domain/catalog.ts';
import type { LogEvent, StreamId } from '../../domain/event.ts';
import type {
  ReplayOrder,
  SubscriptionCommand,
  SubscriptionEvent,
} from '../../domain/subscription/subscription.ts';
import type { SubscriptionDocument } from '../../projections/documents.ts';
import type { Command } from '../command/catalog.ts';
import type { Handler } from '../command/handle.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import { idOf, newId } from '../ids.ts';
import type { EventReceipt } from '../nexus-core.ts';
import { resolveStretch } from './as-of.ts';
import { type Call, type Done, optionsOf, ownReadModelsMs } from './command-call.ts';
import { replayTopicFault } from './command-checks.ts';
import type { Deciders } from './deciders.ts';
import { maxOpenReplays, openReplays } from './open-replays.ts';
import type { Parts } from './parts.ts';
import { explainSubscription, mismatchOf, receiptsOf, receiptsOfRecorded, refusalOf } from './refusals.ts';

type Input = Extract<Command, { readonly type: 'ReplayMessages' | 'StopReplays' }>;
type Order = Extract<Input, { readonly type: 'ReplayMessages' }>;
type Stop = Extract<Input, { readonly type: 'StopReplays' }>;

/** What was written, now or when the same command came before. */
type Written = {
  readonly event: SubscriptionEvent | undefined;
  readonly receipts: readonly EventReceipt[];
  readonly duplicate: boolean;
};

const eventOf = (recorded: LogEvent | undefined): SubscriptionEvent | undefined => {
  const decoded = recorded === undefined ? undefined : decodeEvent(recorded);
  if (decoded?.ok !== true || !decoded.known) return undefined;
  const { event } = decoded;
  return event.type === 'ReplayRequested' || event.type === 'ReplaysStopped' ? event : undefined;
};

/** Asks for replays to a subscription, and stops them (docs/adr/0022-replay.md). */
export const createReplayCommands = (parts: Parts, handler: Handler, decider: Deciders['subscription']) => {
  const { log, runner } = parts;

  const write = async (
    name: string,
    stream: StreamId,
    command: SubscriptionCommand,
    call: Call,
  ): Promise<Result<Written>> => {
    const outcome = await handler.handle(decider, stream, command, optionsOf(call, stream));
    switch (outcome.outcome) {
      case 'unchanged':
        return ok({ event: undefined, receipts: [], duplicate: false });
      case 'repeated': {
        const [first] = outcome.recorded;
        const refused = mismatchOf(first, call.metadata);
        if (refused !== undefined) return refused;
        return ok({ event: eventOf(first), receipts: receiptsOfRecorded(outcome.recorded), duplicate: true });
      }
      case 'done': {
        const { events, appended } = outcome;
        const receipts = receiptsOf(stream, events, appended.events);
        return ok({ event: events[0], receipts, duplicate: appended.duplicate });
      }
      default:
        return refusalOf(outcome, stream, explainSubscription(name));
    }
  };

  const shown = async ({ receipts, duplicate }: Written, result: Done['result']): Promise<Result<Done>> => {
    const position = receipts.at(-1)?.position ?? (await log.position());
    if (!(await runner.reached(position, ownReadModelsMs))) {
      const detail = 'the command is recorded, but the read models of this node are behind it';
      return fault(problem('not_caught_up', detail, { position }));
    }
    return ok({ events: receipts, position, result, created: false, duplicate });
  };

  const order = async (
    { data }: Order,
    document: SubscriptionDocument,
    call: Call,
  ): Promise<Result<ReplayOrder>> => {
    const { from, to, speed, topic = document.topic } = data;
    const refused = replayTopicFault(document.topic, topic);
    if (refused !== undefined) return fault(refused);
    const stretch = await resolveStretch(log, runner.store, { from, to });
    if (!stretch.ok) return stretch;
    const { subject } = call.context;
    const replayId = call.commandId === undefined ? newId() : idOf('replay', subject.id, call.commandId);
    return ok({ replayId, topic, ...stretch.value, speed });
  };

  const replay = async (
    input: Order,
    stream: StreamId,
    document: SubscriptionDocument,
    call: Call,
  ): Promise<Result<Done>> => {
    const { name } = input.data;
    const wanted = await order(input, document, call);
    if (!wanted.ok) return wanted;
    const open = await openReplays(parts, document);
    if (open.length >= maxOpenReplays && !open.some((one) => one.replayId === wanted.value.replayId)) {
      const detail = `${maxOpenReplays} replays of ${name} wait already`;
      return fault(problem('rate_limited', detail, { subscription: name }));
    }
    const written = await write(name, stream, { type: 'ReplayMessages', replay: wanted.value }, call);
    if (!written.ok) return written;
    const { event } = written.value;
    const { replayId, topic, from, to, speed } =
      event?.type === 'ReplayRequested' ? event.data : wanted.value;
    return shown(written.value, { replayId, subscription: name, topic, from, to, speed });
  };

  const stop = async (
    { data: { name, replayId } }: Stop,
    stream: StreamId,
    document: SubscriptionDocument,
    call: Call,
  ): Promise<Result<Done>> => {
    const open = await openReplays(parts, document);
    const replays = open
      .filter((one) => replayId === undefined || one.replayId === replayId)
      .map(({ request, replayId: id }) => ({ replayId: id, request }));
    const written = await write(name, stream, { type: 'StopReplays', replays }, call);
    if (!written.ok) return written;
    const { event } = written.value;
    const done = event?.type === 'ReplaysStopped' ? event.data.replays.length : 0;
    if (done === 0 && replayId !== undefined) {
      const detail = `${name} has no replay ${replayId} that is not over`;
      return fault(problem('not_found', detail, { subscription: name, replayId }));
    }
    return shown(written.value, { done });
  };

  return async (input: Input, stream: StreamId, call: Call): Promise<Result<Done>> => {
    const { name } = input.data;
    const document = runner.store.read<SubscriptionDocument>('subscriptions', name);
    if (document === undefined) return fault(explainSubscription(name)({ code: 'not_found' }));
    return input.type === 'ReplayMessages'
      ? replay(input, stream, document, call)
      : stop(input, stream, document, call);
  };
};
