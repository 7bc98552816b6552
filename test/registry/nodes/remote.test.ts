import test from 'ava';
import type { Attendance, Channel, PushedCall } from '../../../src/registry/socket/channel.ts';
import { openWorld, settle } from './world.ts';

/** A service that takes down what it is sent. */
const connect = (world: ReturnType<typeof openWorld>, node: string) => {
  const pushed: PushedCall[] = [];
  const cancelled: number[] = [];
  const ended: string[] = [];
  const channel: Channel = {
    full: false,
    drained: () => Promise.resolve(),
    push: (call) => void pushed.push(call),
    cancel: (call) => void cancelled.push(call),
    ended: (_service, reason) => void ended.push(reason),
  };
  const attendance: Attendance = world.at(node).attend(channel);
  return { pushed, cancelled, ended, attendance, serve: () => attendance.serve('one', 10) };
};

const openSocketWorld = (...names: readonly string[]) => {
  const world = openWorld(...names);
  world.put({ id: 'one', reach: 'socket', status: 'starting' });
  return world;
};

test('an instance whose socket is open to one node is judged by that node, and called there by all', async (t) => {
  const world = openSocketWorld('a', 'b', 'c');
  for (const node of ['a', 'b', 'c']) {
    const service = connect(world, node);
    await service.serve();
    t.is(world.document('one')?.servedBy, node);
    for (const caller of ['a', 'b', 'c']) {
      const call = { correlationId: 'c-1' };
      const invoked = world.at(caller).invoke('svc', { method: 'add', data: { from: caller } }, call);
      await settle();
      const asked = service.pushed.at(-1);
      t.like(asked, { method: 'add', body: `{"from":"${caller}"}`, correlationId: 'c-1' });
      t.true(Number(asked?.timeoutMs) > 0);
      service.attendance.answer(asked?.call ?? 0, { ok: true, value: caller });
      t.like(await invoked, { value: { result: caller, instance: 'one', attempts: 1 } });
    }
    await world.pass(60_000);
  }
  // It was healthy all the time, and only where it is called has changed.
  t.like(world.written, { 0: { by: 'a', to: 'healthy', cause: 'socket' }, length: 1 });
  await world.close();
});

test('what the service refuses, and a caller that goes away, are passed on between nodes', async (t) => {
  const world = openSocketWorld('a', 'b');
  const service = connect(world, 'a');
  await service.serve();
  const failing = world.at('b').invoke('svc', { method: 'add' });
  await settle();
  service.attendance.answer(1, { ok: false, error: { message: 'no', code: 'empty' } });
  t.like(await failing, { problem: { code: 'upstream_failed', facts: { body: { code: 'empty' } } } });
  const caller = new AbortController();
  const leaving = world.at('b').invoke('svc', { method: 'add' }, { signal: caller.signal });
  await settle();
  caller.abort();
  t.like(await leaving, { problem: { code: 'upstream_failed' } });
  await settle();
  t.deepEqual(service.cancelled, [2]);
  await world.close();
});

test('a call that cannot reach the node was not sent, and one too large for a frame neither', async (t) => {
  const world = openSocketWorld('a', 'b');
  const service = connect(world, 'a');
  await service.serve();
  const large = await world.at('b').invoke('svc', { method: 'add', data: 'x'.repeat(1_048_000) });
  t.like(large, { problem: { code: 'upstream_failed' } });
  world.cut('a');
  const away = await world.at('b').invoke('svc', { method: 'add' });
  t.like(away, { problem: { code: 'upstream_failed', detail: 'it cannot be reached' } });
  t.deepEqual(service.pushed, []);
  await world.close();
});

test('a socket that is opened to another node takes over from the first, which is told and says nothing of it', async (t) => {
  const world = openSocketWorld('a', 'b');
  const [first, second] = [connect(world, 'a'), connect(world, 'b')];
  await first.serve();
  await second.serve();
  t.deepEqual(first.ended, ['a newer WebSocket serves it at another node']);
  first.attendance.close();
  await world.pass(60_000);
  t.deepEqual(
    world.written.map(({ to }) => to),
    ['healthy'],
  );
  second.attendance.close();
  await world.pass(5_000);
  t.like(world.written[1], { by: 'b', to: 'offline', reason: 'its WebSocket closed' });
  await world.close();
});

test('when the node that it is open to is gone, another one says so after 5 s, unless it is back by then', async (t) => {
  const world = openSocketWorld('a', 'b', 'c');
  await connect(world, 'a').serve();
  await world.lose('a');
  await world.pass(4_750);
  t.is(world.written.length, 1);
  await connect(world, 'b').serve();
  await world.pass(60_000);
  t.is(world.written.length, 1);
  await world.lose('b');
  await world.pass(5_000);
  t.deepEqual(world.written[1], {
    by: 'c',
    id: 'one',
    to: 'offline',
    cause: 'socket',
    reason: 'the node that its WebSocket was open to is gone',
  });
  await connect(world, 'c').serve();
  t.like(world.written[2], { by: 'c', to: 'healthy' });
  await world.close();
});

test('a node that was taken to be gone with the socket open says that it serves once it has a lease again', async (t) => {
  const world = openSocketWorld('a', 'b');
  const service = connect(world, 'a');
  await service.serve();
  await world.release('a');
  await world.pass(5_000);
  t.like(world.written[1], { by: 'b', to: 'offline', cause: 'socket' });
  await world.take('a');
  t.like(world.written[2], { by: 'a', to: 'healthy', cause: 'socket' });
  const invoked = world.at('b').invoke('svc', { method: 'add' });
  await settle();
  service.attendance.answer(1, { ok: true, value: 'again' });
  t.like(await invoked, { value: { result: 'again' } });
  await world.pass(60_000);
  t.is(world.written.length, 3);
  await world.close();
});
