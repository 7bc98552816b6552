import test from 'ava';
import fc from 'fast-check';
import type { Priority } from '../../../domain/message/message.ts';
import type { Consumer } from '../../../src/bus/subscription/consumers.ts';
import type { Entry } from '../../../src/bus/subscription/entry.ts';
import type { Delivery, Settlement } from '../../../src/nexus-subscriptions.ts';
import { seeded } from '../../support/arbitraries.ts';
import { dispatcherWith, entryAt, turns } from './support.ts';

/** What happens to a dispatcher, in any order: messages come, consumers come, take, settle and go, and time passes. */
const anyStep = fc.oneof(
  fc.record({
    what: fc.constant('accept' as const),
    key: fc.constantFrom('a', 'b', 'c'),
    priority: fc.constantFrom<Priority[]>('LOW', 'CRITICAL'),
  }),
  fc.record({
    what: fc.constant('ask' as const),
    consumer: fc.nat({ max: 2 }),
    max: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    what: fc.constant('settle' as const),
    how: fc.constantFrom<Settlement[]>('ack', 'ack', 'nak', 'term', 'extend'),
    index: fc.nat({ max: 5 }),
  }),
  fc.record({ what: fc.constant('leave' as const), consumer: fc.nat({ max: 2 }), blameless: fc.boolean() }),
  fc.record({ what: fc.constant('giveBack' as const), index: fc.nat({ max: 5 }) }),
  fc.record({ what: fc.constant('wait' as const), ms: fc.constantFrom(100, 1_000, 5_000) }),
);

test('whatever happens › a key is first delivered in order and never twice at once, and none is lost or settled twice', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 120, size: 'max' }), async (steps) => {
      const { dispatcher, clock, buried } = dispatcherWith({
        order: 'key',
        ackWaitMs: 2_000,
        backoffMs: [500],
        maxDeliver: 4,
        maxInFlight: 4,
      });
      const settled: string[] = [];
      const origin = {
        delivered: () => {},
        settled: (entry: Entry) => void settled.push(entry.message.messageId),
      };
      const members = new Map<number, Consumer>();
      const firsts = new Map<string, string[]>();
      let accepted = 0;
      const nameOf = ({ message }: Pick<Entry, 'message'>) => `${message.priority} ${message.key}`;
      const underWay = (): readonly Entry[] => [...members.values()].flatMap(({ held }) => [...held]);
      const tokens = (): readonly string[] => underWay().map(({ token }) => token ?? '');
      const got = (batch: readonly Delivery[] | undefined): void => {
        for (const { attempt, message } of batch ?? []) {
          const list = firsts.get(nameOf({ message })) ?? [];
          if (attempt === 1 && !list.includes(message.messageId)) list.push(message.messageId);
          firsts.set(nameOf({ message }), list);
        }
      };
      const ask = (number: number, max: number): void => {
        const consumer = members.get(number) ?? dispatcher.join(max);
        members.set(number, consumer);
        if (consumer.asking === undefined) void dispatcher.next(consumer).then(got);
      };
      const check = (): void => {
        const names = underWay().map(nameOf);
        t.is(new Set(names).size, names.length, 'two of a key at once');
        t.true(dispatcher.inFlight <= 4);
      };
      for (const step of steps) {
        const held = tokens();
        const token = 'index' in step ? held[step.index % held.length] : undefined;
        if (step.what === 'accept') {
          const { key, priority } = step;
          dispatcher.sink.accept([entryAt(++accepted, { key, priority, origin, nowMs: clock.now() })]);
        } else if (step.what === 'ask') ask(step.consumer, step.max);
        else if (step.what === 'wait') clock.advance(step.ms);
        else if (step.what === 'leave') {
          const consumer = members.get(step.consumer);
          if (consumer !== undefined) dispatcher.leave(consumer, step.blameless);
          members.delete(step.consumer);
        } else if (token !== undefined && step.what === 'giveBack') dispatcher.giveBack([token]);
        else if (token !== undefined && step.what === 'settle') dispatcher.settle(step.how, [token], {});
        await turns(1);
        check();
      }
      for (let round = 0; settled.length < accepted && round < 1_000; round++) {
        ask(9, 3);
        await turns(2);
        check();
        dispatcher.settle('ack', tokens(), {});
        clock.advance(1_000);
      }
      t.deepEqual([settled.length, new Set(settled).size], [accepted, accepted]);
      t.deepEqual([dispatcher.unsettled, dispatcher.inFlight], [0, 0]);
      t.is(new Set(buried.map(({ messageId }) => messageId)).size, buried.length);
      for (const list of firsts.values()) {
        t.deepEqual(
          list,
          list.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1))),
        );
      }
      dispatcher.close();
    }),
    { ...seeded, numRuns: 100 },
  );
});
