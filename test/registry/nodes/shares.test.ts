import test from 'ava';
import { openWorld, settle } from './world.ts';

const ids = Array.from({ length: 60 }, (_, index) => `service-${index}`);

test('each instance is judged by one node, and each node judges some', async (t) => {
  const world = openWorld('a', 'b', 'c');
  for (const id of ids) world.put({ id, ttlSec: 10 });
  await world.pass(10_000);
  t.deepEqual(world.written.map(({ id }) => id).sort(), [...ids].sort());
  for (const { by, id, to } of world.written) t.deepEqual([by, to], [world.judgeOf(id), 'offline']);
  t.is(new Set(world.written.map(({ by }) => by)).size, 3);
  await world.pass(60_000);
  t.is(world.written.length, ids.length);
  await world.close();
});

test('the share of a node that is gone is judged by others, after a whole TTL from then on, and no other share moves', async (t) => {
  const world = openWorld('a', 'b', 'c');
  for (const id of ids) world.put({ id, ttlSec: 10 });
  const before = new Map<string, string>(ids.map((id) => [id, world.judgeOf(id)]));
  await world.pass(9_000);
  await world.lose('a');
  await world.pass(1_000);
  const kept = ids.filter((id) => before.get(id) !== 'a');
  t.deepEqual(world.written.map(({ id }) => id).sort(), [...kept].sort());
  for (const { by, id } of world.written) t.is(by, before.get(id) ?? '');
  await world.pass(8_750);
  t.is(world.written.length, kept.length);
  await world.pass(250);
  t.is(world.written.length, ids.length);
  for (const { by, id } of world.written) t.is(by, world.judgeOf(id));
  await world.close();
});

test('a node whose lease may have been released writes nothing, and what it has not heard meanwhile does not count', async (t) => {
  const world = openWorld('a');
  world.put({ id: 'one', ttlSec: 10 });
  await world.pass(5_000);
  world.makeLate('a');
  await world.pass(60_000);
  t.deepEqual(world.written, []);
  await world.tellChange();
  await world.pass(60_000);
  t.deepEqual(world.written, []);
  await world.makeValid('a');
  await world.pass(9_750);
  t.deepEqual(world.written, []);
  await world.pass(250);
  t.like(world.written, { 0: { to: 'offline' }, length: 1 });
  await world.close();
});

test('what is reported to a node whose lease may have been released is written when it has one again', async (t) => {
  const world = openWorld('a');
  world.put({ id: 'one', ttlSec: 10 });
  world.makeLate('a');
  await world.at('a').heartbeat('one', { status: 'degraded' });
  await world.pass(60_000);
  t.deepEqual(world.written, []);
  await world.makeValid('a');
  await world.at('a').heartbeat('one', { status: 'degraded' });
  t.like(world.written, { 0: { to: 'degraded' }, length: 1 });
  await world.close();
});

test('a node that was stopped for a while, and had its lease renewed before it noticed, expires nobody for that while', async (t) => {
  const world = openWorld('a');
  world.put({ id: 'one', ttlSec: 10 });
  world.makeLate('a');
  await world.pass(15_000);
  await world.makeValid('a');
  world.put({ id: 'one', weight: 2 });
  await settle();
  t.deepEqual(world.written, []);
  await world.pass(20_000);
  t.like(world.written, { 0: { to: 'offline' }, length: 1 });
  await world.close();
});

test('heartbeats that come to any node in turn keep an instance healthy, and each node knows its load', async (t) => {
  const world = openWorld('a', 'b', 'c');
  for (const id of ids) world.put({ id, ttlSec: 10, status: 'starting' });
  for (let round = 0; round < 12; round++) {
    const node = ['a', 'b', 'c'][round % 3] ?? '';
    for (const id of ids) await world.at(node).heartbeat(id, { load: round / 12, metrics: { round } });
    await world.pass(5_000);
    for (const name of ['a', 'b', 'c']) {
      const live = world.at(name).live('service-7');
      t.like(live, { load: round / 12 });
      t.is(live?.metrics.get('round'), round);
    }
  }
  t.deepEqual(new Set(world.written.map(({ to }) => to)), new Set(['healthy']));
  t.is(world.written.length, ids.length);
  for (const { by, id } of world.written) t.is(by, world.judgeOf(id));
  await world.close();
});

test('what a service reports to one node is judged by the node that judges it', async (t) => {
  const world = openWorld('a', 'b');
  world.put({ id: 'one', ttlSec: 10 });
  const other = world.judgeOf('one') === 'a' ? 'b' : 'a';
  t.like(await world.at(other).heartbeat('one', { status: 'degraded' }), { value: { status: 'healthy' } });
  await world.pass(250);
  t.like(world.written, { 0: { by: world.judgeOf('one'), to: 'degraded', cause: 'report' }, length: 1 });
  await world.close();
});

test('of many heartbeats the newest of each instance is told, each 250 ms, in frames of at most 1,000', async (t) => {
  const world = openWorld('a', 'b');
  const many = Array.from({ length: 2_500 }, (_, index) => `s${index}`);
  for (const id of many) world.put({ id });
  for (let load = 0; load <= 1; load += 0.25)
    for (const id of many) await world.at('a').heartbeat(id, { load });
  await world.at('a').heartbeat('s0', { status: 'degraded' });
  t.is(world.asked.length, 0);
  await world.pass(250);
  const beats = world.asked.map(({ request }) => (request.op === 'beats' ? request.beats : []));
  t.deepEqual(
    beats.map(({ length }) => length),
    [1_000, 1_000, 500],
  );
  t.deepEqual(beats[0]?.[0], { service: 's0', load: 1, status: 'degraded' });
  t.true(beats.flat().every(({ load }) => load === 1));
  await world.pass(10_000);
  t.is(world.asked.length, 3);
  await world.close();
});

test('without links the node that hears an instance contradicts the one that does not, once per TTL', async (t) => {
  const world = openWorld('a', 'b');
  world.put({ id: 'one', ttlSec: 10 });
  const judge = world.judgeOf('one');
  const other = judge === 'a' ? 'b' : 'a';
  world.cut(other);
  for (let second = 0; second < 60; second++) {
    await world.at(other).heartbeat('one', { load: 0.5 });
    await world.pass(1_000);
  }
  t.deepEqual(
    world.written.map(({ by, to }) => [by === judge, to]),
    Array.from({ length: 6 }, () => [
      [true, 'offline'],
      [false, 'healthy'],
    ])
      .flat()
      .slice(0, world.written.length),
  );
  // It is offline for a second of each eleven.
  t.true(world.written.length >= 9 && world.written.length <= 12, String(world.written.length));
  t.is(world.at(other).live('one')?.load, 0.5);
  t.is(world.at(judge).live('one')?.load, null);
  await settle();
  await world.close();
});
