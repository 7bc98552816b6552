import { type Json, type Position, type StreamId, streamId } from '../../domain/event.ts';
import type { SubscriptionCommand } from '../../domain/subscription/subscription.ts';
import type { SubscriptionDocument } from '../../projections/documents.ts';
import type { Command } from '../command/catalog.ts';
import type { Handler } from '../command/handle.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import { resolvePlace } from './as-of.ts';
import { type Call, type Done, optionsOf, ownReadModelsMs } from './command-call.ts';
import { createLetterCommands } from './dead-letter-commands.ts';
import type { Deciders } from './deciders.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';
import { explainSubscription, mismatchOf, refusalOf, writtenBy } from './refusals.ts';
import { createReplayCommands } from './replay-commands.ts';
import { viewOf } from './subscriptions.ts';

export type SubscriptionInput = Extract<
  Command,
  {
    readonly type:
      | 'CreateSubscription'
      | 'DeleteSubscription'
      | 'PauseSubscription'
      | 'ResumeSubscription'
      | 'ResetSubscription'
      | 'RedriveDeadLetters'
      | 'DiscardDeadLetters'
      | 'ReplayMessages'
      | 'StopReplays';
  }
>;

/** The commands on durable subscriptions; what one needs is told by the topics of the subscription that it names. */
export const createSubscriptionCommands = (
  parts: Parts,
  handler: Handler,
  decider: Deciders['subscription'],
) => {
  const { log, runner } = parts;
  const letters = createLetterCommands(parts, handler, decider);
  const replays = createReplayCommands(parts, handler, decider);

  const documentOf = (name: string): SubscriptionDocument | undefined =>
    runner.store.read<SubscriptionDocument>('subscriptions', name);

  const decide = async (
    input: SubscriptionInput,
    before: SubscriptionDocument | undefined,
    call: Call,
  ): Promise<Result<SubscriptionCommand>> => {
    const by = `by ${call.context.subject.id}`;
    switch (input.type) {
      case 'CreateSubscription': {
        const { name, from, ...settings } = input.data;
        // Checked either way, so that input is right or wrong whatever is there.
        const place = await resolvePlace(log, runner.store, 'from', from);
        if (!place.ok) return place;
        const exists = before !== undefined && before.status !== 'deleted';
        return ok({ type: input.type, name, from: exists ? before.from : place.value, settings });
      }
      case 'ResetSubscription': {
        const place = await resolvePlace(log, runner.store, 'to', input.data.to);
        return place.ok ? ok({ type: input.type, to: place.value }) : place;
      }
      case 'DeleteSubscription':
      case 'PauseSubscription':
      case 'ResumeSubscription':
        return ok({ type: input.type, reason: input.data.reason ?? by });
      case 'RedriveDeadLetters':
      case 'DiscardDeadLetters':
      case 'ReplayMessages':
      case 'StopReplays':
        return fault(problem('internal', `${input.type} is decided elsewhere`));
    }
  };

  const shown = async (name: string, position: Position): Promise<Result<Json>> => {
    if (!(await runner.reached(position, ownReadModelsMs))) {
      const detail = 'the command is recorded, but the read models of this node are behind it';
      return fault(problem('not_caught_up', detail, { position }));
    }
    const document = documentOf(name);
    if (document === undefined || document.status === 'deleted') return ok({ name });
    return ok(await viewOf(parts, document));
  };

  const run = async (
    input: SubscriptionInput,
    stream: StreamId,
    before: SubscriptionDocument | undefined,
    call: Call,
  ): Promise<Result<Done>> => {
    const { name } = input.data;
    const command = await decide(input, before, call);
    if (!command.ok) return command;
    const outcome = await handler.handle(decider, stream, command.value, optionsOf(call, stream));
    if (outcome.outcome === 'repeated') {
      const refused = mismatchOf(outcome.recorded[0], call.metadata);
      if (refused !== undefined) return refused;
    } else if (outcome.outcome !== 'done' && outcome.outcome !== 'unchanged') {
      return refusalOf(outcome, stream, explainSubscription(name));
    }
    const { events, duplicate } = writtenBy(stream, outcome);
    const position = events.at(-1)?.position ?? (await log.position());
    const result = await shown(name, position);
    if (!result.ok) return result;
    return ok({
      events,
      position,
      result: result.value,
      created: events[0]?.type === 'SubscriptionCreated',
      duplicate,
    });
  };

  return async (input: SubscriptionInput, call: Call): Promise<Result<Done>> => {
    const { name } = input.data;
    const stream = streamId('subscription', name);
    const before = documentOf(name);
    const exists = before !== undefined && before.status !== 'deleted';
    if (exists) {
      const denied = demand(call.context, { scope: 'events:read', topic: before.topic });
      if (denied !== undefined) return denied;
    } else if (input.type !== 'CreateSubscription' && call.commandId === undefined) {
      // With a command id it may be a repetition of what deleted the subscription.
      return fault(explainSubscription(name)({ code: 'not_found' }));
    }
    switch (input.type) {
      case 'RedriveDeadLetters':
      case 'DiscardDeadLetters':
        return letters(input, stream, call);
      case 'ReplayMessages':
      case 'StopReplays':
        return replays(input, stream, call);
      default:
        return run(input, stream, before, call);
    }
  };
};
