import { createHash } from 'node:crypto';
import type { AnyEvent } from '../../domain/catalog.ts';
import { decodeEvent } from '../../domain/catalog.ts';
import {
  asPosition,
  asRevision,
  asStreamId,
  type DomainEvent,
  type LogEvent,
  type RecordedEvent,
} from '../../domain/event.ts';
import type { By } from './given.ts';

/** A UUID that is the same for the same text. */
export const uuidOf = (text: string): string =>
  createHash('sha256')
    .update(text)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');

export const positionAt = (place: number) => asPosition(place.toString(16).padStart(16, '0'));

/** A history as it stands in the log: the n-th event at revision n, position n + 1 and second n. */
export const record = (stream: string, history: readonly By<DomainEvent>[]): readonly LogEvent[] =>
  history.map(({ actor, event }, revision) => ({
    id: uuidOf(`${stream}/${revision}`),
    stream: asStreamId(stream),
    revision: asRevision(revision),
    position: positionAt(revision + 1),
    type: event.type,
    data: event.data,
    metadata: {
      actor,
      correlationId: 'correlation',
      causationId: null,
      node: 'node-1',
      schema: 1,
      recordedAt: new Date(Date.UTC(2026, 0, 1) + revision * 1_000).toISOString(),
    },
  }));

/** Decodes what the test itself knows to be well-formed and known. */
export const decoded = (event: LogEvent): RecordedEvent<AnyEvent> => {
  const result = decodeEvent(event);
  if (!result.ok) throw new Error(result.reason);
  if (!result.known) throw new Error(`unknown type ${event.type}`);
  return result.event;
};
