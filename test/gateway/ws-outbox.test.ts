import { once } from 'node:events';
import test from 'ava';
import { createOutbox } from '../../src/gateway/ws/outbox.ts';
import { encodeTexts } from '../../src/gateway/ws/text-frame.ts';
import { openPair } from './socket-pair.ts';

const openOutbox = async (highBytes = 1_000_000) => {
  const pair = await openPair();
  let drains = 0;
  const outbox = createOutbox({ ...pair, highBytes, onDrained: () => drains++ });
  return { ...pair, outbox, drains: () => drains };
};

/** Texts as another implementation of RFC 6455 reads them from the frames. */
const received = async (count: number, send: (outbox: ReturnType<typeof createOutbox>) => void) => {
  const { client, outbox, close } = await openOutbox();
  const texts: string[] = [];
  client.socket.on('message', (data) => texts.push(data.toString()));
  send(outbox);
  while (texts.length < count) await once(client.socket, 'message');
  await close();
  return texts;
};

/** JSON, as the client of these tests reads nothing else. */
const textOf = (bytes: number): string => JSON.stringify('x'.repeat(bytes - 2));

test('send › texts of every length of header arrive as they were, in order', async (t) => {
  const texts = [2, 125, 126, 127, 65_535, 65_536, 200_000].map(textOf);
  texts.push('"é"', '"日本語 🚀"', JSON.stringify('é'.repeat(63)), JSON.stringify('🚀'.repeat(20_000)));
  t.deepEqual(
    await received(texts.length, (outbox) => {
      for (const text of texts) outbox.send(text);
    }),
    texts,
  );
});

test('sendFrames › keeps its place among texts of the same turn', async (t) => {
  const shared = encodeTexts(['3', '4']);
  const texts = await received(7, (outbox) => {
    outbox.send('1');
    outbox.send('2');
    outbox.sendFrames(shared);
    outbox.send('5');
    outbox.sendFrames(encodeTexts([]));
    outbox.sendFrames(encodeTexts(['6']));
    outbox.send('7');
  });
  t.deepEqual(texts, ['1', '2', '3', '4', '5', '6', '7']);
});

test('close › tells what was queued first', async (t) => {
  const { client, outbox, close } = await openOutbox();
  const texts: string[] = [];
  client.socket.on('message', (data) => texts.push(data.toString()));
  outbox.send('1');
  outbox.sendFrames(encodeTexts(['2']));
  outbox.close(4_000, 'enough');
  outbox.send('3');
  t.deepEqual(await client.closed, { code: 4_000, reason: 'enough' });
  t.deepEqual(texts, ['1', '2']);
  await close();
});

test('frames of the outbox and pings of ws › do not mix', async (t) => {
  const { client, socket, outbox, close } = await openOutbox();
  const texts: string[] = [];
  let pings = 0;
  client.socket.on('message', (data) => texts.push(data.toString()));
  client.socket.on('ping', () => pings++);
  for (let index = 0; index < 100; index++) {
    outbox.send(String(index));
    socket.ping();
    if (index % 10 === 0) await once(client.socket, 'message');
  }
  while (texts.length < 100) await once(client.socket, 'message');
  t.deepEqual(
    texts,
    Array.from({ length: 100 }, (_, index) => String(index)),
  );
  t.is(pings, 100);
  await close();
});

test('room › counts what is queued and what the stream holds, and comes back when the peer reads', async (t) => {
  const highBytes = 100_000;
  const { client, transport, outbox, drains, close } = await openOutbox(highBytes);
  client.socket.pause();
  t.is(outbox.room, highBytes);
  outbox.send(textOf(60_000));
  t.is(outbox.room, 40_000);
  t.false(outbox.full);
  while (!outbox.full) {
    outbox.send(textOf(60_000));
    outbox.flush();
  }
  t.is(outbox.room, 0);
  t.true(transport.writableLength > 0);
  const drained = outbox.drained();
  client.socket.resume();
  await drained;
  t.true(outbox.room >= highBytes / 2);
  t.is(drains(), 1);
  await outbox.drained();
  await close();
});
