import { decodeEvent } from '../../domain/catalog.ts';
import { asRevision, type LogEvent, type NewMetadata, type StreamId, streamId } from '../../domain/event.ts';
import { keyOfTrimId, type TrimmedEvent, trimIdOf, trimmedStream } from '../../domain/retention/trims.ts';
import type { TrimDocument } from '../../projections/documents.ts';
import { trims } from '../../projections/trims.ts';
import type { Handler } from '../command/handle.ts';
import { newId } from '../ids.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Runner } from '../projection/runner.ts';

const beforeOf = (event: LogEvent): number | undefined => {
  const decoded = decodeEvent(event);
  if (!decoded.ok || !decoded.known) return undefined;
  const { type, data } = decoded.event;
  return type === 'TopicTrimmed' || type === 'StateTrimmed' ? data.before : undefined;
};

const recordOf = (trimId: string, before: number, position: string): TrimmedEvent => {
  const key = keyOfTrimId(trimId);
  return key === undefined
    ? { type: 'TopicTrimmed', data: { topic: trimId, before, position } }
    : { type: 'StateTrimmed', data: { key, before, position } };
};

const pageTrims = 256;
/** Truncations at a time. */
const side = 16;

/**
 * Hides the events of `stream`, a topic's or a state key's, before revision `before`. Recorded first: a reader that meets
 * the hole finds the record, and a hub that is killed between the two finishes at its next start (`finishTrims`).
 *
 * @returns false when another node has done it, or does so at this moment.
 */
export const trimStream = async (
  log: EventLog,
  handler: Pick<Handler, 'appendAny'>,
  stream: StreamId,
  before: number,
  metadata: NewMetadata,
): Promise<boolean> => {
  const trimId = trimIdOf(stream);
  const records = streamId('trim', trimId);
  const [last] = await log.readStream(records, { direction: 'backwards', limit: 1 });
  const recorded = last === undefined ? undefined : beforeOf(last);
  if (recorded !== undefined && recorded >= before) {
    await log.truncate(stream, asRevision(recorded));
    return false;
  }
  const [removed] = await log.readStream(stream, { from: asRevision(before - 1), limit: 1 });
  if (removed?.revision !== before - 1) return false;
  const appended = await handler.appendAny(
    records,
    { id: newId(), ...recordOf(trimId, before, removed.position) },
    metadata,
    last?.revision ?? 'none',
  );
  if (!appended.ok) return false;
  await log.truncate(stream, asRevision(before));
  const revision = appended.events[0]?.revision;
  if (revision !== undefined && revision > 0) await log.truncate(records, revision);
  return true;
};

/** Hides what was recorded as removed and may not be hidden yet. Costs one call per topic or key that was ever trimmed. */
export const finishTrims = async (
  log: EventLog,
  runner: Pick<Runner, 'store'>,
  signal: AbortSignal,
): Promise<void> => {
  for (let after: string | undefined; ; ) {
    const page: (readonly [trimId: string, before: number])[] = [];
    const range = runner.store.range<TrimDocument>(trims.name, after === undefined ? {} : { after });
    for (const [trimId, { before }] of range) if (page.push([trimId, before]) === pageTrims) break;
    for (let at = 0; at < page.length; at += side) {
      signal.throwIfAborted();
      const settled = await Promise.allSettled(
        page
          .slice(at, at + side)
          .map(([trimId, before]) => log.truncate(trimmedStream(trimId), asRevision(before))),
      );
      for (const one of settled) if (one.status === 'rejected') throw one.reason;
    }
    if (page.length < pageTrims) return;
    after = page.at(-1)?.[0];
  }
};
