import test from 'ava';
import { streamId } from '../../domain/event.ts';
import type { ScheduledDocument } from '../../projections/documents.ts';
import { dueOfKey, scheduled, scheduledFrom } from '../../projections/scheduled.ts';
import { documentsAfter } from '../support/documents.ts';
import { by } from '../support/given.ts';
import { positionAt, record } from '../support/recorded.ts';

const topic = 'orders.created';
const published = (deliverAt?: string) =>
  by('ann', {
    type: 'MessagePublished',
    data: {
      messageId: 'm',
      topic,
      payload: 1,
      priority: 'HIGH',
      ...(deliverAt === undefined ? {} : { deliverAt }),
    },
  });
const scheduledAfter = (...times: readonly (string | undefined)[]) =>
  documentsAfter<ScheduledDocument>(scheduled, record(streamId('topic', topic), times.map(published)));

test('a message that is due later than it was recorded stands under its time and position', (t) => {
  t.deepEqual(
    [...scheduledAfter('2026-01-01T00:00:09.000Z')],
    [
      [
        `2026-01-01T00:00:09.000Z/${positionAt(1)}`,
        {
          topic,
          revision: record('topic-x', [published()])[0]?.revision,
          priority: 'HIGH',
          position: positionAt(1),
        },
      ],
    ],
  );
});

test('a message without a time, or that was due when it was recorded, is none', (t) => {
  // The n-th is recorded in second n.
  t.is(scheduledAfter(undefined, '2026-01-01T00:00:01.000Z', '2025-12-31T23:59:59.999Z').size, 0);
});

test('keys sort by the time at which messages are due, then by position', (t) => {
  const keys = [
    ...scheduledAfter(
      '2026-01-02T00:00:00.000Z',
      '2026-01-01T12:00:00.000Z',
      '2026-01-02T00:00:00.000Z',
      '2027-01-01T00:00:00.000Z',
    ).keys(),
  ];
  t.deepEqual(
    keys.toSorted().map((key) => key.slice(-1)),
    ['2', '1', '3', '4'],
  );
  t.is(dueOfKey(keys[0] ?? ''), '2026-01-02T00:00:00.000Z');
  const due = keys.toSorted().filter((key) => key >= scheduledFrom('2026-01-02T00:00:00.000Z'));
  t.is(due.length, 3);
});
