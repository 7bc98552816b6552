import test from 'ava';
import { asPosition } from '../../domain/event.ts';
import type { Address } from '../../src/bus/requests/address.ts';
import { createWaiting, replyIdOf } from '../../src/bus/requests/waiting.ts';
import { problem } from '../../src/errors.ts';
import type { Message } from '../../src/nexus-core.ts';

/** A clock that stands still until it is told. */
const createTimers = () => {
  const timers = new Map<() => void, number>();
  return {
    timers,
    after: (delayMs: number, run: () => void) => {
      timers.set(run, delayMs);
      return () => {
        timers.delete(run);
      };
    },
    run: () => {
      for (const [run] of [...timers]) run();
    },
  };
};

const addressOf = (requestId: string): Address => ({
  node: 'n',
  requestId,
  deadlineMs: 1,
  correlationId: 'c',
});
const reply: Message = {
  messageId: 'm',
  topic: '_reply.n',
  payload: 1,
  priority: 'NORMAL',
  headers: {},
  publishedAt: '2026-01-01T00:00:00.000Z',
  publisher: 'bob',
  position: asPosition('0000000000000001'),
};
const limits = { maxWaiting: 3, maxWaitingPerSubject: 2 };

test('a wait ends once › with the first of reply, time-out and end, and leaves no timer', async (t) => {
  const clock = createTimers();
  const waiting = createWaiting(clock, limits);
  const opened = waiting.open('to-1', addressOf('r1'), 'ann', 50);
  if (!opened.ok) return t.fail();
  t.deepEqual([...clock.timers.values()], [50]);
  waiting.settle(replyIdOf('r1'), reply);
  waiting.settle(replyIdOf('r1'), { ...reply, payload: 2 });
  opened.value.end(problem('no_reply', 'late'));
  t.deepEqual(await opened.value.ended, { reply });
  t.is(clock.timers.size, 0);
  t.is(waiting.size, 0);
  t.like(waiting.find('to-1'), { requestId: 'r1' }, 'the same reply may be tried again');
});

test('a wait whose time is over › ends with no_reply, and its address is unknown', async (t) => {
  const clock = createTimers();
  const waiting = createWaiting(clock, limits);
  const opened = waiting.open('to-1', addressOf('r1'), 'ann', 50);
  if (!opened.ok) return t.fail();
  clock.run();
  t.like(await opened.value.ended, {
    problem: { code: 'no_reply', facts: { requestId: 'r1', timeoutMs: 50 } },
  });
  t.is(waiting.find('to-1'), undefined);
  waiting.settle(replyIdOf('r1'), reply);
  t.is(waiting.find('to-1'), undefined);
});

test('bounds › of a subject and of all, and whatever ends makes room', async (t) => {
  const waiting = createWaiting(createTimers(), limits);
  const open = (id: string, subject: string) => waiting.open(`to-${id}`, addressOf(id), subject, 50);
  const first = open('1', 'ann');
  t.true(first.ok);
  t.true(open('2', 'ann').ok);
  t.like(open('3', 'ann'), { ok: false, problem: { code: 'rate_limited' } });
  t.true(open('4', 'bob').ok);
  t.like(open('5', 'eve'), { ok: false, problem: { code: 'overloaded' } });
  waiting.settle(replyIdOf('1'), reply);
  t.true(open('6', 'ann').ok);
  t.is(waiting.size, 3);
  waiting.endAll(problem('shutting_down', 'end'));
  t.is(waiting.size, 0);
  for (const id of ['7', '8']) t.true(open(id, 'ann').ok);
});
