import test from 'ava';
import { LogError } from '../../../src/log/event-log.ts';
import { until } from '../../support/rest.ts';
import {
  context,
  newFolder,
  okOf,
  openBus,
  reopenSubscriptions,
  takeFrom,
  tokensOf,
  turns,
} from './support.ts';

test('a crash before the checkpoint › what is dead does not come again: plain, scheduled, or redriven before', async (t) => {
  let offsetMs = 0;
  const wallMs = () => Date.now() + offsetMs;
  const bus = await openBus(await newFolder(t), wallMs);
  t.teardown(bus.close);
  const { log } = bus.core.parts;
  const unsaved = await reopenSubscriptions(bus.core, {
    wallMs,
    log: {
      ...log,
      start: log.start,
      append: (stream, ...rest) =>
        stream.startsWith('checkpoint-')
          ? Promise.reject(new LogError('log_unavailable', 'no checkpoint is saved', {}))
          : log.append(stream, ...rest),
    },
  });
  await bus.create('s');
  await bus.publish('plain');
  await bus.publish('redriven', { messageId: 'redriven' });
  await bus.publish('scheduled', { deliverAt: new Date(Date.now() + 3_600_000).toISOString() });
  const server = okOf(await unsaved.server('s'));
  const { signal } = new AbortController();
  const die = async (count: number) => {
    const deliveries = await takeFrom(server, count);
    t.like(await server.settle('term', tokensOf(deliveries), { durable: false }), { ok: true });
  };
  const letters = async (count: number) => {
    await until(
      async () => okOf(await bus.core.deadLetters('s', {}, context)).deadLetters.length,
      (now) => now === count,
    );
  };
  await die(2);
  await letters(2);
  await bus.execute('RedriveDeadLetters', { name: 's', messageIds: ['redriven'] });
  await die(1);
  await letters(2);
  offsetMs = 3_700_000;
  await bus.publish('poke', { topic: 'poke', deliverAt: '2100-01-01T00:00:00Z' });
  await die(1);
  await letters(3);
  await unsaved.close();

  const next = await reopenSubscriptions(bus.core, { wallMs });
  t.teardown(next.close);
  await turns();
  const again = okOf(await next.server('s'));
  t.deepEqual(okOf(await again.pull(10, 0, signal)), []);
  await bus.publish('end');
  t.deepEqual(
    okOf(await again.pull(10, 5_000, signal)).map(({ message }) => message.payload),
    ['end'],
  );
  await letters(3);
});
