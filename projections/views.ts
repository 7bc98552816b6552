import type { Json, Position, RecordedEvent } from '../domain/event.ts';
import type { MessageEvent } from '../domain/message/message.ts';
import type { MessageCopy } from '../domain/subscription/subscription.ts';
import type { StateDocument } from './documents.ts';

/** A key's value as clients read it. */
export type StateEntryView = {
  readonly key: string;
  readonly value: Json;
  readonly version: number;
  readonly updatedAt: string;
  readonly updatedBy: string;
  readonly position: Position;
  /** When the key is deleted unless it is set again; absent when it stays. */
  readonly expiresAt?: string;
};

/** One version of a key, as its history shows it. */
export type StateVersionView = Omit<StateDocument, 'lock'>;

/** A message as subscribers get it: `publishedAt` is when the log recorded it, `publisher` who wrote it. */
export type MessageView = Omit<MessageCopy, 'position'> & { readonly position: Position };

/** For a document that is not `deleted`: a deleted key has no entry. */
export const stateEntryOf = (key: string, document: StateDocument): StateEntryView => ({
  key,
  value: document.value,
  version: document.version,
  updatedAt: document.updatedAt,
  updatedBy: document.updatedBy,
  position: document.position,
  ...(document.expiresAt === undefined ? {} : { expiresAt: document.expiresAt }),
});

export const stateVersionOf = (document: StateDocument): StateVersionView => ({
  version: document.version,
  value: document.value,
  deleted: document.deleted,
  updatedAt: document.updatedAt,
  updatedBy: document.updatedBy,
  eventId: document.eventId,
  position: document.position,
  ...(document.expiresAt === undefined ? {} : { expiresAt: document.expiresAt }),
  ...(document.resolvedBy === undefined ? {} : { resolvedBy: document.resolvedBy }),
});

const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

export const messageOf = ({ data, metadata, position }: RecordedEvent<MessageEvent>): MessageView => ({
  messageId: data.messageId,
  topic: data.topic,
  payload: data.payload,
  priority: data.priority,
  ...(data.key === undefined ? {} : { key: data.key }),
  headers: data.headers ?? noHeaders,
  publishedAt: metadata.recordedAt,
  publisher: metadata.actor,
  position,
});
