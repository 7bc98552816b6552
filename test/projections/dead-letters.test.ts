import test from 'ava';
import fc from 'fast-check';
import { asRevision, type DomainEvent, type LogEvent, streamId } from '../../domain/event.ts';
import type { LetterRef, SubscriptionEvent } from '../../domain/subscription/subscription.ts';
import {
  deadLetterIds,
  deadLetters,
  letterIdPrefix,
  letterKey,
  lettersOf,
} from '../../projections/dead-letters.ts';
import type {
  DeadLetterDocument,
  DeadLetterIdDocument,
  SubscriptionDocument,
} from '../../projections/documents.ts';
import { foldEvent, keysOf } from '../../projections/index.ts';
import { subscriptions } from '../../projections/subscriptions.ts';
import { historyOf, seeded } from '../support/arbitraries.ts';
import { documentsAfter } from '../support/documents.ts';
import { type By, by } from '../support/given.ts';
import { decoded, positionAt, record } from '../support/recorded.ts';
import { anySubscriptionEvent } from '../support/subscription-arbitraries.ts';
import {
  letterAt,
  refAt,
  wasCreated,
  wasDeadLettered,
  wasDeleted,
  wasRedriven,
  wereDiscarded,
} from '../support/subscription-samples.ts';

const name = 'billing';
const recorded = (...history: readonly By<DomainEvent>[]): readonly LogEvent[] =>
  record(streamId('subscription', name), history);
const lettersAfter = (events: readonly LogEvent[], from?: ReadonlyMap<string, DeadLetterDocument>) =>
  documentsAfter<DeadLetterDocument>(deadLetters, events, from);
const idsAfter = (events: readonly LogEvent[], from?: ReadonlyMap<string, DeadLetterIdDocument>) =>
  documentsAfter<DeadLetterIdDocument>(deadLetterIds, events, from);

test('a message that was given up stands under its subscription and position, with all that is known of it', (t) => {
  const { position, ...letter } = letterAt(4);
  t.deepEqual(
    [...lettersAfter(recorded(wasCreated, wasDeadLettered(4)))],
    [
      [
        `${name}/${positionAt(4)}`,
        {
          ...letter,
          subscription: name,
          messagePosition: position,
          deadLetteredAt: '2026-01-01T00:00:01.000Z',
          letter: asRevision(1),
          position: positionAt(2),
        },
      ],
    ],
  );
});

test('its id leads to it, whatever stands in the id', (t) => {
  for (const messageId of ['m4', '', 'a/b', '4/m4/', 'é😀']) {
    const died = by('system', { type: 'MessageDeadLettered', data: { ...letterAt(4), messageId } });
    const ids = idsAfter(recorded(wasCreated, died));
    t.deepEqual(
      [...ids],
      [
        [
          `${letterIdPrefix(name, messageId)}${positionAt(4)}`,
          { messagePosition: positionAt(4), position: positionAt(2) },
        ],
      ],
    );
    // No other id's prefix covers it.
    for (const other of ['m', 'm4/', 'a', 'a/', '4/m4', '/'])
      t.is(
        [...ids.keys()].some((key) => key.startsWith(letterIdPrefix(name, other))),
        other === messageId,
      );
  }
});

test('those that were redriven or discarded are gone, and the others stay', (t) => {
  const died = [4, 5, 6, 7].map(wasDeadLettered);
  const events = recorded(
    wasCreated,
    ...died,
    wasRedriven(refAt(4, 1), refAt(6, 3)),
    wereDiscarded(refAt(7, 4)),
  );
  t.deepEqual([...lettersAfter(events).keys()], [letterKey(name, positionAt(5))]);
  t.deepEqual([...idsAfter(events).keys()], [`${letterIdPrefix(name, 'm5')}${positionAt(5)}`]);
});

test('what was redriven and died again stands there again, with what came since', (t) => {
  const again = by('system', {
    type: 'MessageDeadLettered',
    data: { ...letterAt(4, 10), redrives: 1, error: 'still none' },
  });
  const events = recorded(wasCreated, wasDeadLettered(4), wasRedriven(refAt(4, 1)), again);
  const letters = lettersAfter(events);
  t.is(letters.size, 1);
  t.like(letters.get(letterKey(name, positionAt(4))), {
    attempts: 10,
    redrives: 1,
    error: 'still none',
    letter: 3,
  });
  t.is(idsAfter(events).size, 1);
});

test('removing what does not stand there changes nothing', (t) => {
  const [event] = recorded(wasRedriven(refAt(4, 1)));
  if (event === undefined) throw new Error('nothing was recorded');
  for (const projection of [deadLetters, deadLetterIds]) {
    const [key = ''] = keysOf(projection, decoded(event));
    t.deepEqual(foldEvent(projection, undefined, decoded(event), key), { ok: true, document: undefined });
  }
});

test('a subscription that was deleted leaves its letters behind, and nothing else than a letter concerns one', (t) => {
  t.is(lettersAfter(recorded(wasCreated, wasDeadLettered(4), wasDeleted)).size, 1);
  const property = fc.property(anySubscriptionEvent, (event) => {
    const [only] = recorded(by('ann', event));
    if (only === undefined) return;
    const named =
      event.type === 'MessageDeadLettered'
        ? [event.data]
        : event.type === 'DeadLettersRedriven' || event.type === 'DeadLettersDiscarded'
          ? event.data.letters
          : [];
    t.deepEqual(
      keysOf(deadLetters, decoded(only)),
      named.map(({ position }) => letterKey(name, position)),
    );
    t.is(keysOf(deadLetterIds, decoded(only)).length, named.length);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('no subscription’s letters begin as another’s do', (t) => {
  t.false(letterKey('billing-2', positionAt(4)).startsWith(lettersOf('billing')));
  t.true(letterKey('billing', positionAt(4)).startsWith(lettersOf('billing')));
});

for (const projection of [deadLetters, deadLetterIds]) {
  const after = (events: readonly LogEvent[], from?: ReadonlyMap<string, DeadLetterDocument>) =>
    documentsAfter<DeadLetterDocument>(projection, events, from);

  test(`${projection.name} › going on from stored documents equals a rebuild, also when the newest come twice`, (t) => {
    const property = fc.property(
      historyOf(anySubscriptionEvent),
      fc.nat({ max: 12 }),
      fc.nat({ max: 12 }),
      (history, stopped, back) => {
        const events = recorded(...history);
        const whole = after(events);
        const stored = structuredClone(after(events.slice(0, stopped)));
        t.deepEqual(after(events.slice(stopped), stored), whole);
        t.deepEqual(after(events.slice(Math.max(0, stopped - back)), stored), whole);
      },
    );
    t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 1_000 }));
  });
}

/** What an owner and operators may record: a message dies once until it is redriven, and what goes stands there. */
const anyLife = fc
  .array(
    fc.record({ kind: fc.constantFrom('die', 'die', 'redrive', 'discard'), place: fc.nat({ max: 5 }) }),
    {
      maxLength: 30,
    },
  )
  .map((steps) => {
    const dead = new Map<number, LetterRef>();
    const history: By<SubscriptionEvent>[] = [wasCreated];
    for (const { kind, place } of steps) {
      if (kind === 'die') {
        if (dead.has(place)) continue;
        dead.set(place, refAt(place, history.length));
        history.push(wasDeadLettered(place));
        continue;
      }
      const letters = [...dead.values()].filter((_, index) => index % 2 === place % 2);
      for (const { letter } of letters)
        for (const [key, ref] of dead) if (ref.letter === letter) dead.delete(key);
      if (letters.length > 0)
        history.push(kind === 'redrive' ? wasRedriven(...letters) : wereDiscarded(...letters));
    }
    return { history, dead };
  });

test('the letters that stand there are those that died and were not removed, and the subscription counts them', (t) => {
  const property = fc.property(anyLife, ({ history, dead }) => {
    const events = recorded(...history);
    const letters = lettersAfter(events);
    t.deepEqual(
      new Set([...letters.values()].map(({ messagePosition, letter }) => `${messagePosition} ${letter}`)),
      new Set([...dead.values()].map(({ position, letter }) => `${position} ${letter}`)),
    );
    t.is(idsAfter(events).size, dead.size);
    t.is(documentsAfter<SubscriptionDocument>(subscriptions, events).get(name)?.deadLetters, dead.size);
  });
  t.notThrows(() => fc.assert(property, seeded));
});
