import test from 'ava';
import fc from 'fast-check';
import { interfaceDecider } from '../../domain/interface/decider.ts';
import type { InterfaceDocument } from '../../projections/documents.ts';
import { interfaces, restoreInterface } from '../../projections/interfaces.ts';
import { anyInterfaceEvent, historyOf, seeded } from '../support/arbitraries.ts';
import { documentsAfter } from '../support/documents.ts';
import { by, foldAll } from '../support/given.ts';
import { record } from '../support/recorded.ts';

test('restoring the interfaces from their document equals folding their events', (t) => {
  const property = fc.property(historyOf(anyInterfaceEvent), (history) => {
    const documents = documentsAfter<InterfaceDocument>(interfaces, record('interface-math', history));
    const document = documents.get('math');
    const restored = document === undefined ? interfaceDecider.initial : restoreInterface(document);
    t.deepEqual(restored, foldAll(interfaceDecider, history));
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('interfaces › tell who declared the newest of each major version, and when', (t) => {
  const declare = (actor: string, major: string, version: string) =>
    by(actor, { type: 'InterfaceDeclared', data: { major, version, methods: { add: {} } } });
  const events = record('interface-math', [
    declare('ann', '1', '1.0.0'),
    declare('bob', '2', '2.0.0'),
    declare('cid', '1', '1.1.0'),
    by('ann', { type: 'InterfaceRetired', data: { major: '2', reason: 'typo' } }),
  ]);
  const { metadata, position } = events[2] ?? {};
  t.deepEqual(documentsAfter<InterfaceDocument>(interfaces, events).get('math'), {
    name: 'math',
    majors: [
      {
        major: '1',
        version: '1.1.0',
        methods: { add: {} },
        declaredBy: 'cid',
        declaredAt: metadata?.recordedAt ?? '',
        position,
      },
    ],
    revision: events[3]?.revision,
    position: events[3]?.position,
  } as InterfaceDocument);
});
