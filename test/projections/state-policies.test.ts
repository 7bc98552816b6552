import test from 'ava';
import fc from 'fast-check';
import { statePolicyDecider } from '../../domain/state-policy/decider.ts';
import type { StatePoliciesDocument } from '../../projections/documents.ts';
import { retention, retentionStream } from '../../projections/retention.ts';
import {
  restoreStatePolicies,
  statePolicies,
  statePoliciesStream,
} from '../../projections/state-policies.ts';
import { anyRetentionEvent, historyOf, seeded } from '../support/arbitraries.ts';
import { foldLog } from '../support/fold-log.ts';
import { by, foldAll } from '../support/given.ts';
import { record } from '../support/recorded.ts';
import { anyStatePolicyEvent } from '../support/state-policy-arbitraries.ts';

test('restoring the state policies from their document equals folding their events', (t) => {
  const property = fc.property(historyOf(anyStatePolicyEvent), (history) => {
    const events = record(statePoliciesStream, history);
    const document = foldLog(statePolicies, events) as StatePoliciesDocument | undefined;
    const restored = document === undefined ? statePolicyDecider.initial : restoreStatePolicies(document);
    t.deepEqual(restored, foldAll(statePolicyDecider, history));
    if (document !== undefined) t.is(Number(document.revision), history.length - 1);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('policies of one kind leave those of another, which are of their category, alone', (t) => {
  const property = fc.property(
    historyOf(anyRetentionEvent),
    historyOf(anyStatePolicyEvent),
    (retained, ruled) => {
      t.is(foldLog(statePolicies, record(retentionStream, retained)), undefined);
      t.is(foldLog(retention, record(statePoliciesStream, ruled)), undefined);
    },
  );
  t.notThrows(() => fc.assert(property, seeded));
});

test('the state policies leave the identity of the log, which is of their category, alone', (t) => {
  const events = record('nexus-log', [by('system', { type: 'LogCreated', data: { logId: 'l' } })]);
  t.is(foldLog(statePolicies, events), undefined);
});
