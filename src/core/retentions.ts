import { allows } from '../../domain/access.ts';
import { asStreamId } from '../../domain/event.ts';
import { isTopicPattern } from '../../domain/names.ts';
import { retentionPolicies } from '../../domain/retention/decider.ts';
import type { RetentionCommand, RetentionPolicy } from '../../domain/retention/retention.ts';
import type { RetentionDocument } from '../../projections/documents.ts';
import { retention, retentionKey, retentionStream } from '../../projections/retention.ts';
import type { Command } from '../command/catalog.ts';
import { fault, invalid, ok, type Result } from '../errors.ts';
import type { Context, Retentions } from '../nexus-core.ts';
import type { Call, Done } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';
import type { PolicyWrites } from './policy-commands.ts';
import type { Reads } from './reads.ts';
import { explainRetention } from './refusals.ts';

const stream = asStreamId(retentionStream);

type RetentionInput = Extract<Command, { readonly type: 'SetRetention' | 'RemoveRetention' }>;

const commandOf = (input: RetentionInput): RetentionCommand =>
  input.type === 'SetRetention'
    ? { type: 'SetRetention', ...input.data }
    : { type: 'RemoveRetention', topic: input.data.topic };

/** The commands that set and remove the retention of a pattern. */
export const createRetentionCommands =
  (write: PolicyWrites, deciders: Pick<Deciders, 'retention'>) =>
  (input: RetentionInput, call: Call): Promise<Result<Done>> => {
    const { topic } = input.data;
    return write(deciders.retention, stream, commandOf(input), call, {
      explain: explainRetention(topic),
      result: (position) => ({ ...input.data, position }),
      created: ({ policies }) =>
        input.type === 'SetRetention' && retentionPolicies.find(policies, topic) === undefined,
    });
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
      const policy = retentionPolicies.find(document?.policies ?? [], topic);
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
