import test, { type ExecutionContext } from 'ava';
import { openHub } from '../support/hub.ts';
import { isLong } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { type Frame, openWs, type WsClient } from '../support/ws-client.ts';
import { consumerOf, createGroup, settledAll, viewOf } from './bus-rounds.ts';

/** LOW messages that wait behind a flood, and in a backlog; NEXUS_LONG=1 makes them 2,000 and 100,000. */
const waitingLow = isLong ? 2_000 : 40;
const backlog = isLong ? 100_000 : 20_000;

const hub = await openHub({ wsFramesPerSec: 0 });
test.after.always(() => hub.close());

const publisherOf = async (t: ExecutionContext): Promise<WsClient> => {
  const client = await openWs(hub.url);
  t.teardown(() => client.socket.terminate());
  return client;
};

/** Publishes `count` messages at once, and resolves when they are durable. */
const publish = async (client: WsClient, topic: string, priority: string, count: number): Promise<void> => {
  const pageOf = (size: number) =>
    Array.from({ length: size }, () => client.ask({ type: 'publish', topic, priority, payload: null }));
  for (let left = count; left > 0; left -= 1_000) {
    for (const answer of await Promise.all(pageOf(Math.min(left, 1_000))))
      if (answer.type !== 'published') throw new Error(JSON.stringify(answer));
  }
};

/** Takes and acknowledges one delivery after another, of which it has one at a time. */
const takeOne = async (client: WsClient): Promise<string> => {
  const { delivery, priority } = await client.waitForType('message');
  client.send({ type: 'ack', delivery });
  return String(priority);
};

const prioritiesOf = async (client: WsClient, count: number): Promise<readonly string[]> => {
  const taken: string[] = [];
  while (taken.length < count) taken.push(await takeOne(client));
  return taken;
};

/** Subscribed before anything is published, so that all of it stands ready when the consumer comes. */
const groupOf = async (name: string): Promise<string> => {
  const topic = `flood.${name}`;
  await createGroup(hub.url, name, { topic, ackWaitMs: 600_000 });
  return topic;
};

test.serial('CRITICAL and LOW that both wait › LOW has every ninth delivery, exactly', async (t) => {
  const topic = await groupOf('both');
  const publisher = await publisherOf(t);
  await publish(publisher, topic, 'LOW', 60);
  await publish(publisher, topic, 'CRITICAL', 450);
  const client = await consumerOf(t, hub.url, 'both', 1);
  const taken = await prioritiesOf(client, 400);
  const places = taken.flatMap((priority, index) => (priority === 'LOW' ? [index] : []));
  t.log(`of ${taken.length}: LOW ${places.length}, CRITICAL ${taken.length - places.length}`);
  const first = places[0] ?? taken.length;
  t.true(first < 9);
  t.deepEqual(
    places,
    Array.from({ length: Math.ceil((400 - first) / 9) }, (_, index) => first + 9 * index),
  );
  const rest = await prioritiesOf(client, 110);
  t.is([...taken, ...rest].filter((priority) => priority === 'CRITICAL').length, 450);
  t.like(await settledAll(hub.url, 'both'), { deadLetters: 0 });
});

test.serial('CRITICAL without LOW › gets everything', async (t) => {
  const topic = await groupOf('alone');
  await publish(await publisherOf(t), topic, 'CRITICAL', 300);
  const client = await consumerOf(t, hub.url, 'alone', 1);
  t.deepEqual(new Set(await prioritiesOf(client, 300)), new Set(['CRITICAL']));
  t.like(await settledAll(hub.url, 'alone'), { deadLetters: 0 });
});

test.serial('LOW behind a flood of CRITICAL that goes on until it is through › flows', async (t) => {
  t.timeout(10 * 60_000);
  const topic = await groupOf('flood');
  const publisher = await publisherOf(t);
  await publish(publisher, topic, 'LOW', waitingLow);
  const counts = { LOW: 0, CRITICAL: 0, published: 0 };
  const through = Promise.withResolvers<void>();
  let flooding = true;
  const flood = async (): Promise<void> => {
    while (flooding) {
      await publish(publisher, topic, 'CRITICAL', 100);
      counts.published += 100;
    }
  };
  const flooded = Promise.all(Array.from({ length: 2 }, flood));
  await until(() => counts.published >= 500);
  const client = await consumerOf(t, hub.url, 'flood', 8);
  client.onFrame(({ type, delivery, priority }: Frame) => {
    if (type !== 'message') return;
    client.send({ type: 'ack', delivery });
    if (priority === 'LOW') counts.LOW++;
    else counts.CRITICAL++;
    if (counts.LOW === waitingLow) {
      flooding = false;
      through.resolve();
    }
  });
  await through.promise;
  const { CRITICAL: before, published } = counts;
  await flooded;
  t.log(`${waitingLow} LOW were through when ${before} of ${published} CRITICAL were`);
  t.is(counts.LOW, waitingLow);
  t.like(await settledAll(hub.url, 'flood'), { deadLetters: 0 });
});

test.serial(`one CRITICAL behind a backlog of ${backlog} LOW › is the next delivery`, async (t) => {
  t.timeout(10 * 60_000);
  const topic = await groupOf('backlog');
  const publisher = await publisherOf(t);
  await publish(publisher, topic, 'LOW', backlog);
  const client = await consumerOf(t, hub.url, 'backlog', 1);
  t.deepEqual(new Set(await prioritiesOf(client, 100)), new Set(['LOW']));
  const { delivery, priority } = await client.waitForType('message');
  t.is(priority, 'LOW');
  await publish(publisher, topic, 'CRITICAL', 1);
  t.like(await viewOf(hub.url, 'backlog'), { lagEvents: backlog - 100 + 1 });
  client.send({ type: 'ack', delivery });
  t.is(await takeOne(client), 'CRITICAL');
  t.is(await takeOne(client), 'LOW');
});
