import test from 'ava';
import { streamId } from '../../../domain/event.ts';
import { type EventLog, LogError } from '../../../src/log/event-log.ts';
import { newFolder, okOf, openBus, payloadsOf, reopenSubscriptions, tokensOf } from './support.ts';

test('a checkpoint whose append was not answered › is the owner’s own, which goes on with what it had delivered', async (t) => {
  const bus = await openBus(await newFolder(t));
  t.teardown(bus.close);
  const { log } = bus.core.parts;
  let unanswered = 0;
  const deaf: EventLog = {
    ...log,
    async append(...given) {
      const appended = await log.append(...given);
      if (given[0] !== streamId('checkpoint', 's') || ++unanswered > 2) return appended;
      throw new LogError('log_unavailable', 'no answer', { outcome: 'unknown' });
    },
  };
  const own = await reopenSubscriptions(bus.core, { log: deaf });
  t.teardown(own.close);
  await bus.create('s');
  for (const payload of [1, 2]) await bus.publish(payload);
  const server = okOf(await own.server('s'));
  const { signal } = new AbortController();
  const pullOne = async () => tokensOf(okOf(await server.pull(1, 5_000, signal)));
  const [first = ''] = await pullOne();
  const [second = ''] = await pullOne();
  t.like(await server.settle('ack', [first], { durable: true }), {
    ok: true,
    value: { done: 1, durable: true },
  });
  t.true(unanswered >= 3, 'the log was deaf');
  t.like(await server.settle('ack', [second], { durable: true }), {
    ok: true,
    value: { done: 1, refused: [] },
  });

  await own.close();
  await bus.publish(3);
  const later = await reopenSubscriptions(bus.core, {});
  t.teardown(later.close);
  const last = okOf(await okOf(await later.server('s')).pull(10, 5_000, signal));
  t.deepEqual(payloadsOf(last), [3]);
});
