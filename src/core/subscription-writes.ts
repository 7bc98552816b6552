import { streamId } from '../../domain/event.ts';
import type { DeadLetter, Owner } from '../../domain/subscription/subscription.ts';
import { letterKey } from '../../projections/dead-letters.ts';
import type { DeadLetterDocument, SubscriptionDocument } from '../../projections/documents.ts';
import type { Handler } from '../command/handle.ts';
import { newId } from '../ids.ts';
import { type EventLog, LogError } from '../log/event-log.ts';
import type { Runner } from '../projection/runner.ts';
import type { Deciders } from './deciders.ts';

const model = 'subscriptions';
const maxTries = 8;
const readModelsMs = 5_000;

/** What the bus itself records of subscriptions: it acts as `system`, and only as the owner that it says it is. */
export const createSubscriptionWrites = (
  {
    log,
    runner,
    node,
  }: {
    readonly log: Pick<EventLog, 'position'>;
    readonly runner: Runner;
    readonly node: string;
  },
  handler: Handler,
  decider: Deciders['subscription'],
) => {
  const metadata = () => ({
    actor: 'system',
    correlationId: newId(),
    causationId: null,
    node,
    schema: 1,
  });

  /** Those of the letters whose message has one already, of a replay or from before a reset, take its place. */
  const marked = (
    { name, created }: SubscriptionDocument,
    letters: readonly DeadLetter[],
  ): readonly DeadLetter[] => {
    const seen = new Set<string>();
    return letters.map((letter) => {
      const { position } = letter;
      const before = runner.store.read<DeadLetterDocument>('dead-letters', letterKey(name, position));
      const replaces = seen.has(position) || (before !== undefined && before.letter >= created);
      seen.add(position);
      return replaces ? { ...letter, replaces } : letter;
    });
  };

  return {
    bury: async (
      { name, created }: SubscriptionDocument,
      owner: Owner | null,
      letters: readonly DeadLetter[],
    ): Promise<'done' | 'lost'> => {
      const stream = streamId('subscription', name);
      for (let attempt = 1; attempt <= maxTries; attempt++) {
        const document = runner.store.read<SubscriptionDocument>(model, name);
        if (document === undefined || document.created !== created) return 'lost';
        const outcome = await handler.handle(
          decider,
          stream,
          {
            type: 'DeadLetterMessages',
            owner,
            created: Number(created),
            letters: marked(document, letters),
            removals: document.removals,
          },
          { metadata: metadata() },
        );
        if (outcome.outcome === 'done') {
          const last = outcome.appended.events.at(-1);
          // The next letters rest on a list that holds these.
          if (last !== undefined) await runner.reached(last.position, readModelsMs);
          return 'done';
        }
        if (outcome.outcome !== 'rejected') break;
        if (outcome.rejection.code !== 'stale_list') return 'lost';
        // What was redriven or discarded meanwhile is not folded yet.
        await runner.reached(await log.position(), readModelsMs);
      }
      throw new LogError('log_unavailable', `the dead letters of ${name} could not be recorded yet`, {
        name,
      });
    },

    take: async (name: string, owner: Owner | null, instead: Owner | null): Promise<void> => {
      const command = { type: 'TakeSubscription', owner, instead } as const;
      await handler.handle(decider, streamId('subscription', name), command, { metadata: metadata() });
    },
  };
};
