import { allows } from '../../domain/access.ts';
import { asStreamId, type Json } from '../../domain/event.ts';
import { isTopicPattern } from '../../domain/names.ts';
import type { RetentionCommand, RetentionPolicy } from '../../domain/retention/retention.ts';
import type { RetentionDocument } from '../../projections/documents.ts';
import { retention, retentionKey, retentionStream } from '../../projections/retention.ts';
import type { Command } from '../command/catalog.ts';
import type { Handler } from '../command/handle.ts';
import { fault, invalid, ok, type Result } from '../errors.ts';
import type { Context, Retentions } from '../nexus-core.ts';
import { type Call, type Done, notShown, optionsOf, ownReadModelsMs } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';
import type { Reads } from './reads.ts';
import { explainRetention, mismatchOf, receiptsOf, receiptsOfRecorded, refusalOf } from './refusals.ts';

const stream = asStreamId(retentionStream);

type RetentionInput = Extract<Command, { readonly type: 'SetRetention' | 'RemoveRetention' }>;

const commandOf = (input: RetentionInput): RetentionCommand =>
  input.type === 'SetRetention'
    ? { type: 'SetRetention', ...input.data }
    : { type: 'RemoveRetention', topic: input.data.topic };

/** The commands that set and remove the retention of a pattern. */
export const createRetentionCommands = (
  { log, runner }: Pick<Parts, 'log' | 'runner'>,
  handler: Handler,
  deciders: Deciders,
) => {
  const resultOf = (input: RetentionInput, position: string): Json =>
    input.type === 'SetRetention' ? { ...input.data, position } : { topic: input.data.topic, position };

  return async (input: RetentionInput, call: Call): Promise<Result<Done>> => {
    const options = optionsOf(call, stream);
    const outcome = await handler.handle(deciders.retention, stream, commandOf(input), options);
    if (outcome.outcome === 'repeated') {
      const refused = mismatchOf(outcome.recorded[0], call.metadata);
      if (refused !== undefined) return refused;
    } else if (outcome.outcome !== 'done' && outcome.outcome !== 'unchanged') {
      return refusalOf(outcome, stream, explainRetention(input.data.topic));
    }
    const events =
      outcome.outcome === 'done'
        ? receiptsOf(stream, outcome.events, outcome.appended.events)
        : outcome.outcome === 'repeated'
          ? receiptsOfRecorded(outcome.recorded)
          : [];
    const position = events.at(-1)?.position ?? (await log.position());
    if (!(await runner.reached(position, ownReadModelsMs))) {
      return notShown(position);
    }
    const known =
      outcome.outcome === 'done' && outcome.before.policies.some(({ topic }) => topic === input.data.topic);
    return ok({
      events,
      position,
      result: resultOf(input, position),
      created: input.type === 'SetRetention' && outcome.outcome === 'done' && !known,
      duplicate: outcome.outcome === 'repeated' || (outcome.outcome === 'done' && outcome.appended.duplicate),
    });
  };
};

/** The policies as clients read them: by whoever may read the topics, or the log. */
export const createRetentionQueries = (reads: Reads, { maintenance }: Pick<Parts, 'maintenance'>) => {
  const begin = (context: Context, topic: string) =>
    reads.begin(
      context,
      allows(context.subject, { scope: 'log:read' })
        ? { scope: 'log:read' }
        : { scope: 'events:read', topic },
    );

  return {
    retention: async (topic: string, context: Context): Promise<Result<RetentionPolicy>> => {
      if (!isTopicPattern(topic))
        return invalid('/topic', 'must be a topic, in which a segment may be * and the last one >');
      const at = await begin(context, topic);
      if (!at.ok) return at;
      const document = at.value.store.read<RetentionDocument>(retention.name, retentionKey);
      const policy = document?.policies.find((one) => one.topic === topic);
      return policy === undefined ? fault(explainRetention(topic)({ code: 'not_found' })) : ok(policy);
    },

    retentions: async (context: Context): Promise<Result<Retentions>> => {
      const at = await begin(context, '>');
      if (!at.ok) return at;
      const document = at.value.store.read<RetentionDocument>(retention.name, retentionKey);
      return ok({
        policies: document?.policies ?? [],
        maintenance: maintenance.facts(),
        position: at.value.position,
      });
    },
  };
};
