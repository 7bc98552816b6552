import { asRevision, streamKey } from '../../domain/event.ts';
import type { EventLog } from '../log/event-log.ts';
import type { ReadTold } from '../plugin/hooks/telling.ts';
import { messageFrom } from './logs.ts';
import { stateChangeOf } from './state-changes.ts';

/** What `after_…` hooks are told, from the log. */
export const createReadTold =
  ({ readStream }: Pick<EventLog, 'readStream'>): ReadTold =>
  async ({ hook, stream, revision }) => {
    const [event] = await readStream(stream, { from: asRevision(revision), limit: 1 });
    if (event?.revision !== revision) return undefined;
    if (hook === 'after_publish') return messageFrom(event);
    const change = stateChangeOf(event);
    if (change === undefined) return undefined;
    const { position, metadata } = event;
    return {
      key: streamKey(stream),
      ...change,
      version: revision + 1,
      position,
      subject: metadata.actor,
      updatedAt: metadata.recordedAt,
    };
  };
