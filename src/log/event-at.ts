import type { LogEvent, Position } from '../../domain/event.ts';
import type { EventLog } from './event-log.ts';

/** The event at `position`; undefined when none stands there. A position is compared, never computed with. */
export const eventAt = async (
  log: Pick<EventLog, 'readAll' | 'start'>,
  position: Position,
): Promise<LogEvent | undefined> => {
  const before = await log.readAll({ after: position, direction: 'backwards', limit: 1 });
  // It is the first behind the last one before it. A read may end early over what was truncated: up to where it has
  // looked there is nothing.
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
