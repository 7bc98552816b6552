import test from 'ava';
import type { RecordedEvent } from '../../domain/event.ts';
import type { MessageEvent } from '../../domain/message/message.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { messageOf, stateEntryOf, stateVersionOf } from '../../projections/views.ts';
import type { Message, StateEntry, StateVersion } from '../../src/nexus-core.ts';
import { by } from '../support/given.ts';
import { decoded, positionAt, record } from '../support/recorded.ts';

const document: StateDocument = {
  value: { a: 1 },
  version: 3,
  deleted: false,
  updatedAt: '2026-01-01T00:00:00.000Z',
  updatedBy: 'ann',
  eventId: 'e',
  position: positionAt(9),
};

test('a state entry is what clients read, without what only the history shows', (t) => {
  const entry: StateEntry = stateEntryOf('app/x', document);
  const { eventId: _eventId, deleted: _deleted, ...rest } = document;
  t.deepEqual(entry, { key: 'app/x', ...rest });
});

test('a state version is what the history shows, whatever else was stored', (t) => {
  const version: StateVersion = stateVersionOf(Object.assign({ more: true }, document));
  t.deepEqual(version, document);
});

const published = (data: Partial<MessageEvent['data']>): RecordedEvent<MessageEvent> => {
  const event = {
    type: 'MessagePublished',
    data: { messageId: 'm', topic: 'a.b', payload: null, priority: 'HIGH', ...data },
  };
  const [only] = record('topic-a.b', [by('bob', event)]).map(decoded);
  if (only?.type !== 'MessagePublished') throw new Error('no message');
  return only;
};

test('a message without key and headers has no key and empty headers', (t) => {
  const message: Message = messageOf(published({}));
  t.deepEqual(message, {
    messageId: 'm',
    topic: 'a.b',
    payload: null,
    priority: 'HIGH',
    headers: {},
    publishedAt: '2026-01-01T00:00:00.000Z',
    publisher: 'bob',
    position: positionAt(1),
  });
});

test('a message keeps its key and headers', (t) => {
  t.like(messageOf(published({ key: 'k', headers: { h: 'v' } })), { key: 'k', headers: { h: 'v' } });
});
