import { allows } from '../../domain/access.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import { eventAt } from '../log/event-at.ts';
import type { Context, Message } from '../nexus-core.ts';
import { positionOf } from './as-of.ts';
import { messageFrom } from './logs.ts';
import type { Parts } from './parts.ts';

/** The message at one position. What stands elsewhere is not told: a position can be guessed, a topic's name cannot. */
export const createMessageQuery = ({ log }: Pick<Parts, 'log'>) => {
  return {
    message: async (text: string, context: Context): Promise<Result<Message>> => {
      const position = positionOf(log, 'position', text);
      if (!position.ok) return position;
      const event = await eventAt(log, position.value);
      const message = event === undefined ? undefined : messageFrom(event);
      if (message === undefined)
        return fault(problem('not_found', `there is no message at ${text}`, { position: text }));
      const { topic } = message;
      if (allows(context.subject, { scope: 'events:read', topic })) return ok(message);
      const scope = 'events:read';
      return fault(
        problem('forbidden', 'the token lacks the scope to read the topic of this message', { scope }),
      );
    },
  };
};
