import test from 'ava';
import type { Attempt, OutgoingCall } from '../../../src/registry/call/transport.ts';
import { createInstance } from '../../../src/registry/instance.ts';
import type { Channel, PushedCall } from '../../../src/registry/socket/channel.ts';
import { createSockets } from '../../../src/registry/socket/sockets.ts';
import { serviceDocument } from '../support.ts';

const instance = createInstance(serviceDocument({ id: 'one', reach: 'socket' }));

/** A connection that takes down what it is sent, and is full when it is told to be. */
const createChannel = () => {
  const pushed: PushedCall[] = [];
  const cancelled: number[] = [];
  const ended: string[] = [];
  let room: PromiseWithResolvers<void> | undefined;
  const channel: Channel = {
    get full() {
      return room !== undefined;
    },
    drained: () => room?.promise ?? Promise.resolve(),
    push: (call) => void pushed.push(call),
    cancel: (call) => void cancelled.push(call),
    ended: (service) => void ended.push(service),
  };
  return {
    channel,
    pushed,
    cancelled,
    ended,
    fill() {
      room = Promise.withResolvers();
    },
    async empty() {
      const waiting = room;
      room = undefined;
      waiting?.resolve();
      await waiting?.promise;
    },
  };
};

const open = () => {
  const gone: string[] = [];
  const sockets = createSockets({
    onServed: () => Promise.resolve(),
    onGone: (service, reason) => void gone.push(`${service}: ${reason}`),
  });
  const call = (changes: Partial<OutgoingCall> = {}): Promise<Attempt> =>
    sockets.transport(instance, {
      method: 'add',
      body: 'null',
      headers: { 'x-nexus-timeout-ms': '1000' },
      signal: new AbortController().signal,
      ...changes,
    });
  return { sockets, gone, call };
};

test('a call of an instance that nobody serves was not sent', async (t) => {
  t.like(await open().call(), { outcome: 'unsent', failure: { refused: false } });
});

test('nothing is pushed to a connection that does not take it, and all in order once it does', async (t) => {
  const { sockets, call } = open();
  const peer = createChannel();
  const attendance = sockets.attend(peer.channel);
  attendance.serve('one', 10);
  peer.fill();
  const answers = ['1', '2', '3'].map((body) => call({ body }));
  t.deepEqual(peer.pushed, []);
  await peer.empty();
  t.deepEqual(
    peer.pushed.map(({ call: number, body }) => [number, body]),
    [
      [1, '1'],
      [2, '2'],
      [3, '3'],
    ],
  );
  for (const { call: number } of peer.pushed) attendance.answer(number, { ok: true, value: number });
  t.deepEqual(
    await Promise.all(answers),
    [1, 2, 3].map((value) => ({ outcome: 'result', value })),
  );
});

test('behind 1,000 calls that wait, one more was not sent', async (t) => {
  const { sockets, call } = open();
  const peer = createChannel();
  const attendance = sockets.attend(peer.channel);
  attendance.serve('one', 1);
  const running = Array.from({ length: 1_001 }, () => call());
  t.like(await call(), { outcome: 'unsent' });
  t.is(peer.pushed.length, 1);
  t.like(peer.pushed[0], { service: 'one', method: 'add', body: 'null', timeoutMs: 1_000 });
  attendance.close();
  const outcomes = (await Promise.all(running)).map(({ outcome }) => outcome);
  t.deepEqual(outcomes, ['broken', ...Array.from({ length: 1_000 }, () => 'unsent')]);
});

test('a call that is given up while it waits is never pushed, and one that was pushed is cancelled', async (t) => {
  const { sockets, call } = open();
  const peer = createChannel();
  const attendance = sockets.attend(peer.channel);
  attendance.serve('one', 1);
  const givenUp = [new AbortController(), new AbortController()];
  const [first, second] = givenUp.map(({ signal }) => call({ signal }));
  givenUp[1]?.abort();
  t.like(await second, { outcome: 'unsent' });
  t.deepEqual(peer.cancelled, []);
  givenUp[0]?.abort();
  t.like(await first, { outcome: 'broken' });
  t.deepEqual(peer.cancelled, [1]);
  t.is(peer.pushed.length, 1);
  t.is(attendance.answer(1, { ok: true, value: null }), 'late');
  t.is(attendance.answer(2, { ok: true, value: null }), 'unknown');
  // Its place is free again.
  const third = call();
  t.is(attendance.answer(2, { ok: true, value: 3 }), 'taken');
  t.like(await third, { outcome: 'result', value: 3 });
  t.is(attendance.answer(2, { ok: true, value: 3 }), 'late');
});

test('another connection that serves the instance gets what waits, and nobody hears that it was gone', async (t) => {
  const { sockets, gone, call } = open();
  const [older, newer] = [createChannel(), createChannel()];
  const first = sockets.attend(older.channel);
  first.serve('one', 1);
  const answers = [call(), call(), call()];
  const second = sockets.attend(newer.channel);
  second.serve('one', 5);
  t.deepEqual(older.ended, ['one']);
  t.is(newer.pushed.length, 2);
  first.answer(1, { ok: true, value: 'older' });
  t.is(older.pushed.length, 1);
  first.close();
  t.deepEqual(gone, []);
  second.answer(1, { ok: true, value: 'newer' });
  second.close();
  t.deepEqual(
    (await Promise.all(answers)).map(({ outcome }) => outcome),
    ['result', 'result', 'broken'],
  );
  t.deepEqual(gone, ['one: its WebSocket closed']);
});

test('a connection that is drained ends what it serves and waits for its last answer, and serves no more', async (t) => {
  const { sockets, call } = open();
  const peer = createChannel();
  const attendance = sockets.attend(peer.channel);
  attendance.serve('one', 1);
  const answers = [call(), call()];
  let isDrained = false;
  const drained = attendance.drain('the end').then(() => {
    isDrained = true;
  });
  t.like(await answers[1], { outcome: 'unsent' });
  t.false(isDrained);
  attendance.answer(1, { ok: false, error: { message: 'no', code: 'x' } });
  await drained;
  t.like(await answers[0], { outcome: 'refused', error: { message: 'no', code: 'x' } });
  attendance.serve('one', 1);
  t.false(sockets.has('one'));
});
