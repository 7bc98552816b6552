import { allows } from '../../domain/access.ts';
import type { Position } from '../../domain/event.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import type { Context, Message } from '../nexus-core.ts';
import { positionOf } from './as-of.ts';
import { messageFrom } from './logs.ts';
import type { Parts } from './parts.ts';

/** The message at one position. What stands elsewhere is not told: a position can be guessed, a topic's name cannot. */
export const createMessageQuery = ({ log }: Pick<Parts, 'log'>) => {
  /** A position is compared, never computed with: its event is the first behind the last one before it. */
  const eventAt = async (position: Position) => {
    const before = await log.readAll({ after: position, direction: 'backwards', limit: 1 });
    // A read may end early over what was truncated: up to where it has looked there is nothing.
    let after = before.events[0]?.position ?? (before.more ? before.position : log.start);
    for (;;) {
      const page = await log.readAll({ after, limit: 1 });
      const [event] = page.events;
      if (event !== undefined || !page.more || page.position >= position) {
        return event?.position === position ? event : undefined;
      }
      after = page.position;
    }
  };

  return {
    message: async (text: string, context: Context): Promise<Result<Message>> => {
      const position = positionOf(log, 'position', text);
      if (!position.ok) return position;
      const event = await eventAt(position.value);
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
