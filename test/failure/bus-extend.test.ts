import test, { type ExecutionContext } from 'ava';
import { openHub } from '../support/hub.ts';
import type { Frame } from '../support/ws-client.ts';
import { consumerOf, createGroup, publishedOf, settledAll } from './bus-rounds.ts';

const ackWaitMs = 1_500;
const handlerMs = 2 * ackWaitMs;
const extendEveryMs = 250;
const messages = 40;
const atOnce = 20;

const hub = await openHub();
test.after.always(() => hub.close());

/**
 * Handles every message for twice as long as it may be silent, `atOnce` of them at a time, until all are acknowledged or
 * so many deliveries have come; answers how many.
 */
const handles = async (
  t: ExecutionContext,
  group: string,
  extending: boolean,
  most: number,
): Promise<{ readonly deliveries: number; readonly acknowledged: number }> => {
  const topic = `slow.${group}`;
  const settings = { topic, ackWaitMs, maxDeliver: 100, backoffMs: [0], maxInFlight: 100 };
  await createGroup(hub.url, group, settings);
  await publishedOf(hub.url, topic, messages);
  const client = await consumerOf(t, hub.url, group, atOnce);
  const finished = Promise.withResolvers<void>();
  const timers = new Set<NodeJS.Timeout>();
  let deliveries = 0;
  let acknowledged = 0;

  const handle = ({ delivery }: Frame): void => {
    if (++deliveries >= most) {
      finished.resolve();
      return;
    }
    const pulse = setInterval(() => {
      if (extending) client.send({ type: 'extend', delivery });
    }, extendEveryMs);
    timers.add(pulse);
    const done = setTimeout(() => {
      clearInterval(pulse);
      client.send({ type: 'ack', delivery, id: `ack:${String(delivery)}` });
    }, handlerMs);
    timers.add(done);
  };
  client.onFrame((frame) => {
    if (frame.type === 'message') handle(frame);
    if (frame.type === 'done' && ++acknowledged === messages) finished.resolve();
  });
  await finished.promise;
  for (const timer of timers) clearInterval(timer);
  await client.close();
  return { deliveries, acknowledged };
};

test('a handler twice as slow as ackWait › that extends has its message to itself, less than a tenth comes again', async (t) => {
  const { deliveries, acknowledged } = await handles(t, 'extends', true, 10 * messages);
  t.log(`${messages} messages, ${deliveries} deliveries`);
  t.is(acknowledged, messages);
  t.true(deliveries - messages < messages / 10, `${deliveries} deliveries of ${messages}`);
  t.like(await settledAll(hub.url, 'extends'), { deadLetters: 0 });
});

test('control › one that does not extend gets everything again, and acknowledges nothing', async (t) => {
  const { deliveries, acknowledged } = await handles(t, 'silent', false, 3 * messages);
  t.is(deliveries, 3 * messages);
  t.is(acknowledged, 0);
});
