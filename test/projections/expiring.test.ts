import test from 'ava';
import { streamId } from '../../domain/event.ts';
import type { ExpiringDocument } from '../../projections/documents.ts';
import { expiring } from '../../projections/expiring.ts';
import { documentsAfter } from '../support/documents.ts';
import { by } from '../support/given.ts';
import { positionAt, record } from '../support/recorded.ts';

const expiresAt = '2026-01-01T00:00:09.000Z';
const later = '2026-01-01T00:00:19.000Z';
const set = (until?: string) =>
  by('ann', { type: 'StateSet', data: until === undefined ? { value: 1 } : { value: 1, expiresAt: until } });
const deleted = by('ann', { type: 'StateDeleted', data: {} });
const after = (...history: Parameters<typeof record>[1]) =>
  documentsAfter<ExpiringDocument>(expiring, record(streamId('state', 'k'), history));

test('a key stands there with the version that expires, and with the newest expiry alone', (t) => {
  t.deepEqual([...after(set(), set(expiresAt))], [['k', { expiresAt, version: 2, position: positionAt(2) }]]);
  t.like(after(set(expiresAt), set(later)).get('k'), { expiresAt: later, version: 2 });
});

test('a key that was set to stay, or deleted, is gone, and one that never expired was never there', (t) => {
  t.is(after(set(expiresAt), set()).size, 0);
  t.is(after(set(expiresAt), deleted).size, 0);
  t.is(after(set(), set(), deleted).size, 0);
  t.like(after(set(expiresAt), deleted, set(later)).get('k'), { version: 3 });
});
