import test from 'ava';
import { asRevision } from '../../domain/event.ts';
import type { RemovalDocument } from '../../projections/documents.ts';
import { removalKey, removals } from '../../projections/removals.ts';
import { documentsAfter } from '../support/documents.ts';
import { positionAt, record, uuidOf } from '../support/recorded.ts';
import {
  refAt,
  wasCreated,
  wasDeadLettered,
  wasRedriven,
  wereDiscarded,
} from '../support/subscription-samples.ts';

const stream = 'subscription-billing';
const history = record(stream, [wasCreated, wasDeadLettered(1), wasRedriven(refAt(1, 1)), wereDiscarded()]);
const withCommands = history.map((event) => ({
  ...event,
  metadata: { ...event.metadata, commandId: `c${event.revision}` },
}));

test('a redrive or discard that came with a command id stands under the id of its event', (t) => {
  t.deepEqual(
    [...documentsAfter<RemovalDocument>(removals, withCommands)],
    [2, 3].map((revision) => [
      removalKey('billing', uuidOf(`${stream}/${revision}`)),
      { revision: asRevision(revision), position: positionAt(revision + 1) },
    ]),
  );
});

test('one that came without a command id is nowhere: nobody can ask for it again', (t) => {
  t.deepEqual([...documentsAfter<RemovalDocument>(removals, history)], []);
});
