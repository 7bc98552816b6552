import { decodeEvent } from '../../domain/catalog.ts';
import { asRevision, type LogEvent, type NewMetadata, streamId } from '../../domain/event.ts';
import type { TopicTrimmedEvent } from '../../domain/retention/retention.ts';
import type { TrimDocument } from '../../projections/documents.ts';
import { trims } from '../../projections/trims.ts';
import type { Handler } from '../command/handle.ts';
import { newId } from '../ids.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Runner } from '../projection/runner.ts';

/** What an event of the category `trim` says; undefined for any other one. */
export const trimmedOf = (event: LogEvent): TopicTrimmedEvent['data'] | undefined => {
  const decoded = decodeEvent(event);
  return decoded.ok && decoded.known && decoded.event.type === 'TopicTrimmed'
    ? decoded.event.data
    : undefined;
};

const pageTopics = 256;

/**
 * Hides the messages of `topic` before revision `before`. Recorded first: a reader that meets the hole finds the record,
 * and a hub that is killed between the two finishes at its next start (`finishTrims`).
 *
 * @returns false when another node has done it, or does so at this moment.
 */
export const trimTopic = async (
  log: EventLog,
  handler: Pick<Handler, 'appendAny'>,
  topic: string,
  before: number,
  metadata: NewMetadata,
): Promise<boolean> => {
  const stream = streamId('topic', topic);
  const records = streamId('trim', topic);
  const [last] = await log.readStream(records, { direction: 'backwards', limit: 1 });
  const recorded = last === undefined ? undefined : trimmedOf(last);
  if (recorded !== undefined && recorded.before >= before) {
    await log.truncate(stream, asRevision(recorded.before));
    return false;
  }
  const [removed] = await log.readStream(stream, { from: asRevision(before - 1), limit: 1 });
  if (removed?.revision !== before - 1) return false;
  const data: TopicTrimmedEvent['data'] = { topic, before, position: removed.position };
  const appended = await handler.appendAny(
    records,
    { id: newId(), type: 'TopicTrimmed', data },
    metadata,
    last?.revision ?? 'none',
  );
  if (!appended.ok) return false;
  await log.truncate(stream, asRevision(before));
  const revision = appended.events[0]?.revision;
  if (revision !== undefined && revision > 0) await log.truncate(records, revision);
  return true;
};

/** Hides what was recorded as removed and may not be hidden yet. Costs one call per topic that was ever trimmed. */
export const finishTrims = async (
  log: EventLog,
  runner: Pick<Runner, 'store'>,
  signal: AbortSignal,
): Promise<void> => {
  for (let after: string | undefined; ; ) {
    const page: (readonly [topic: string, before: number])[] = [];
    const range = runner.store.range<TrimDocument>(trims.name, after === undefined ? {} : { after });
    for (const [topic, { before }] of range) if (page.push([topic, before]) === pageTopics) break;
    for (const [topic, before] of page) {
      signal.throwIfAborted();
      await log.truncate(streamId('topic', topic), asRevision(before));
    }
    if (page.length < pageTopics) return;
    after = page.at(-1)?.[0];
  }
};
