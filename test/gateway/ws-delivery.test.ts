import { once } from 'node:events';
import test from 'ava';
import { asPosition } from '../../domain/event.ts';
import { feed } from '../../src/gateway/ws/feed.ts';
import { createOutbox, type Outbox } from '../../src/gateway/ws/outbox.ts';
import type { Watched } from '../../src/nexus-core.ts';
import { openHub } from '../support/hub.ts';
import { openWs } from '../support/ws-client.ts';
import { openPair } from './socket-pair.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
test.after.always(() => hub.close());

const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };

const publish = async (topic: string, from: number, to: number, pad = ''): Promise<void> => {
  const done = [];
  for (let n = from; n < to; n++) {
    done.push(hub.core.execute({ type: 'PublishMessage', data: { topic, payload: { n, pad } } }, context));
  }
  for (const result of await Promise.all(done)) if (!result.ok) throw new Error(result.problem.detail);
};

test('a client that reconnects with after › gets each message once, in order, while others publish', async (t) => {
  const topic = 'delivery.reconnect';
  const total = 3_000;
  const publishing = (async () => {
    for (let from = 0; from < total; from += 50) await publish(topic, from, from + 50);
  })();
  const seen: number[] = [];
  let after: unknown = 'start';
  let connections = 0;
  while (seen.length < total) {
    const ws = await openWs(hub.url);
    connections++;
    ws.send({ type: 'subscribe', topic, after, subscription: 's' });
    const take = 1 + ((connections * 37) % 400);
    for (let index = 0; index < take && seen.length < total; index++) {
      const { payload, position } = await ws.waitForType('message');
      seen.push((payload as { readonly n: number }).n);
      after = position;
    }
    ws.socket.terminate();
  }
  await publishing;
  t.true(connections > 5);
  t.deepEqual(
    seen,
    Array.from({ length: total }, (_, index) => index),
  );
});

test('a client that stops reading › holds nobody up, and gets everything in order once it reads', async (t) => {
  const topic = 'delivery.slow';
  const total = 20_000;
  const slow = await openWs(hub.url);
  const quick = await openWs(hub.url);
  for (const ws of [slow, quick]) await ws.ask({ type: 'subscribe', topic });
  slow.socket.pause();
  let expected = 0;
  const quickDone = new Promise<void>((resolve) => {
    quick.onFrame(({ payload }) => {
      t.is((payload as { readonly n: number }).n, expected++);
      if (expected === total) resolve();
    });
  });
  // 20 MB: more than the socket's buffers, the hub's bound and its ring take together.
  for (let from = 0; from < total; from += 1_000) await publish(topic, from, from + 1_000, 'x'.repeat(1_000));
  await quickDone;
  let next = 0;
  const slowDone = new Promise<void>((resolve) => {
    slow.onFrame(({ payload }) => {
      t.is((payload as { readonly n: number }).n, next++);
      if (next === total) resolve();
    });
  });
  slow.socket.resume();
  await slowDone;
  await Promise.all([slow.close(), quick.close()]);
});

test('many subscriptions of one socket › each get every message once', async (t) => {
  const topic = 'delivery.many';
  const ws = await openWs(hub.url);
  const names = Array.from({ length: 50 }, (_, index) => `sub-${index}`);
  for (const subscription of names) await ws.ask({ type: 'subscribe', topic, subscription });
  await publish(topic, 0, 100);
  const counts = new Map<unknown, number[]>();
  for (let index = 0; index < 100 * names.length; index++) {
    const { subscription, payload } = await ws.waitForType('message');
    const list = counts.get(subscription) ?? [];
    list.push((payload as { readonly n: number }).n);
    counts.set(subscription, list);
  }
  const all = Array.from({ length: 100 }, (_, index) => index);
  for (const name of names) t.deepEqual(counts.get(name), all);
  await ws.close();
});

test('many sockets of one topic › each get every message once and in order, whatever they call their subscription', async (t) => {
  const topic = 'shared.all';
  const total = 400;
  const sockets = await Promise.all(Array.from({ length: 30 }, () => openWs(hub.url)));
  const done = sockets.map(async (ws, index) => {
    // Named by the hub, alike by the client, and each for itself; the topic itself, and patterns that hold it.
    const subscription = [undefined, 'orders', `own-${index}`][index % 3];
    const pattern = [topic, 'shared.>', '*.all'][index % 4] ?? topic;
    const { subscription: name } = await ws.ask({ type: 'subscribe', topic: pattern, subscription });
    return { ws, name };
  });
  const subscribed = await Promise.all(done);
  for (let from = 0; from < total; from += 40) await publish(topic, from, from + 40, 'é'.repeat(from % 90));
  for (const { ws, name } of subscribed) {
    for (let n = 0; n < total; n++) {
      const { subscription, payload } = await ws.waitForType('message');
      t.is(subscription, name);
      t.is((payload as { readonly n: number }).n, n);
    }
  }
  await Promise.all(sockets.map((ws) => ws.close()));
});

test('a feed › pulls nothing while the socket is full: what is buffered stays at the bound, whatever there is', async (t) => {
  const { client, socket, transport, close } = await openPair();
  const highBytes = 256 * 1024;
  const batches = 400;
  const pad = 'x'.repeat(1_000);
  let pulled = 0;
  let peak = 0;
  const stalled = Promise.withResolvers<void>();
  async function* items(): AsyncIterable<Watched<object>> {
    for (; pulled < batches; pulled++) {
      peak = Math.max(peak, socket.bufferedAmount);
      const position = asPosition('0'.repeat(16));
      const batch = Array.from({ length: 100 }, (_, index) => ({ n: pulled * 100 + index, pad }));
      yield { type: 'items', items: batch, position };
    }
  }
  client.socket.pause();
  let drains = 0;
  const outbox = createOutbox({ socket, transport, highBytes, onDrained: () => drains++ });
  const observed: Outbox = {
    send: outbox.send,
    sendFrames: (frames) => outbox.sendFrames(frames),
    flush: outbox.flush,
    close: outbox.close,
    get full() {
      return outbox.full;
    },
    get room() {
      return outbox.room;
    },
    drained: () => {
      peak = Math.max(peak, socket.bufferedAmount);
      stalled.resolve();
      return outbox.drained();
    },
  };
  const watch = { position: asPosition('0'.repeat(16)), items: items() };
  const source = { watch, itemType: 'message', confirmType: 'subscribed', facts: {} } as const;
  const { signal } = new AbortController();
  const done = feed({ source, subscription: 's', outbox: observed, signal, tellCaughtUp: false });
  await stalled.promise;
  const heldAt = pulled;
  t.true(heldAt < batches);
  let next = 0;
  client.onFrame(({ n }) => t.is(n, next++));
  client.socket.resume();
  await done;
  await once(client.socket, 'message');
  while (next < batches * 100) await once(client.socket, 'message');
  t.is(next, batches * 100);
  t.true(drains > 0);
  t.true(peak <= highBytes + 2_000, `peak ${peak}`);
  await close();
});
