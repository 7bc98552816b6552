import test from 'ava';
import type { CallAnswer, Guest } from '../../../src/plugin/sandbox/sandbox.ts';
import { programOf } from './simulated-processes.ts';
import { recordingHost, settled, world } from './world.ts';

const pid = (guest: Guest) => guest.metrics().pid;

test('placement › the 26th plugin, those of low trust, large ones and a second version get a process of their own', async (t) => {
  const { simulated, sandbox, start } = world();
  t.is(simulated.processes.length, 0);
  const names = Array.from({ length: 26 }, (_, index) => `p${index}`);
  await Promise.all(names.map((name) => start(name)));
  t.deepEqual(
    simulated.alive().map(({ names }) => names().length),
    [25, 1],
  );
  await start('low', { trust: 'low' });
  t.deepEqual(
    simulated.alive().map(({ jitless }) => jitless),
    [false, false, true],
  );
  const { limits } = programOf('large');
  await start('large', { limits: { ...limits, memoryMb: 512 } });
  await start('large-too', { limits: { ...limits, memoryMb: 512 } });
  t.not(simulated.of('large'), simulated.of('large-too'));
  await start('large', { version: '2.0.0' });
  t.is(simulated.alive().length, 4);
  await start('tried', { alone: true });
  await start('after');
  t.is(simulated.of('tried')?.names().length, 1);
  await sandbox.close();
  t.is(simulated.alive().length, 0);
});

test('placement › an empty process ends after 5 s, and not when a plugin came in between', async (t) => {
  const { clock, simulated, start } = world();
  const one = await start('one');
  await one.guest.stop(0);
  clock.advance(4_999);
  const two = await start('two');
  clock.advance(5_000);
  await settled();
  t.is(pid(two.guest), 1);
  await two.guest.stop(0);
  clock.advance(5_000);
  await settled();
  t.is(simulated.alive().length, 0);
});

test('a death › the proven culprit is back after 1 s, its siblings at once and together in a new process', async (t) => {
  const { clock, simulated, start } = world();
  const guests = await Promise.all(['bad', 'b', 'c'].map((name) => start(name)));
  const [bad, b, c] = guests;
  if (bad === undefined || b === undefined || c === undefined) throw new Error('three');
  let waited: Promise<CallAnswer> | undefined;
  b.onDown.run = () => {
    waited = b.guest.call('hook:x', null, 1_000);
  };
  simulated.of('bad')?.die({ cause: 'memory', culprits: ['bad'], running: ['bad', 'b'] });
  await settled();
  t.deepEqual(b.told, ['ready', 'down', 'ready']);
  t.deepEqual([b.deaths[0]?.cause, b.deaths[0]?.culprit], ['sibling', false]);
  t.deepEqual(await waited, { ok: true, value: 'hook:x' });
  t.is(pid(b.guest), pid(c.guest));
  t.deepEqual(bad.told, ['ready', 'down']);
  t.deepEqual(bad.deaths, [{ cause: 'memory', reason: 'it died', culprit: true }]);
  clock.advance(999);
  await settled();
  t.deepEqual(bad.told, ['ready', 'down']);
  clock.advance(1);
  await settled();
  t.deepEqual(bad.told, ['ready', 'down', 'ready']);
  t.is(pid(bad.guest), pid(b.guest));
});

test('a death › another process stands by half a second later, for the next one, for ten minutes', async (t) => {
  const { clock, simulated, sandbox, start } = world();
  const [one] = await Promise.all([start('one'), start('other')]);
  const passes = async (ms: number) => {
    clock.advance(ms);
    await settled();
  };
  const empty = () => simulated.alive().filter(({ names }) => names().length === 0);
  simulated.of('one')?.die({});
  await settled();
  await passes(499);
  t.is(empty().length, 0);
  await passes(1);
  const [spare] = empty();
  t.is(empty().length, 1);

  simulated.of('one')?.die({});
  await settled();
  t.is(pid(one.guest), spare?.pid ?? 0);
  t.is(empty().length, 0);
  await passes(500);
  t.is(empty().length, 1);
  await passes(599_999);
  t.is(empty().length, 1);
  await passes(1);
  t.is(empty().length, 0, 'nobody needed it');

  simulated.of('one')?.die({});
  await sandbox.close();
  await passes(500);
  t.is(simulated.alive().length, 0, 'nor after the end');
});

test('strikes › two put a plugin alone, three end it, and who starts anew begins alone for ten minutes', async (t) => {
  const { clock, simulated, start } = world();
  const [bad, other] = await Promise.all([start('bad'), start('other')]);
  const strike = async () => {
    simulated.of('bad')?.die({ culprits: ['bad'] });
    await settled();
  };
  await strike();
  clock.advance(1_000);
  await settled();
  t.is(pid(bad.guest), pid(other.guest));
  await strike();
  clock.advance(1_000);
  await settled();
  t.is(pid(bad.guest), null, 'the second back-off is longer');
  clock.advance(3_000);
  await settled();
  t.not(pid(bad.guest), pid(other.guest));
  const waiting = bad.guest.call('hook:x', null, 1_000);
  await strike();
  t.deepEqual(bad.told, ['ready', 'down', 'ready', 'down', 'ready', 'ended']);
  await waiting;
  clock.advance(100_000);
  await settled();
  t.is(simulated.of('bad'), undefined);
  t.like(await bad.guest.call('hook:x', null, 1_000), { ok: false, fault: 'gone' });
  const anew = await start('bad');
  t.not(pid(anew.guest), pid(other.guest));
  await anew.guest.stop(0);
  clock.advance(600_000);
  const later = await start('bad');
  t.is(pid(later.guest), pid(other.guest));
});

test('strikes › count for ten minutes, after which the process takes others again', async (t) => {
  const { clock, simulated, start } = world();
  const bad = await start('bad');
  for (const backoffMs of [1_000, 4_000]) {
    simulated.of('bad')?.die({ culprits: ['bad'] });
    await settled();
    clock.advance(backoffMs);
    await settled();
  }
  const apart = await start('other');
  t.not(pid(apart.guest), pid(bad.guest));
  await apart.guest.stop(0);
  clock.advance(600_000);
  await settled();
  const together = await start('third');
  t.is(pid(together.guest), pid(bad.guest));
  simulated.of('bad')?.die({ culprits: ['bad'] });
  await settled();
  t.is(bad.told.at(-1), 'down');
});

test('suspects › stand alone at once without a strike, and the guilty one clears the others', async (t) => {
  const { clock, simulated, start } = world();
  const [a, b, c, idle] = await Promise.all([start('a'), start('b'), start('c'), start('idle')]);
  simulated.of('a')?.die({ running: ['a', 'b', 'c'] });
  await settled();
  t.is(new Set([a, b, c, idle].map(({ guest }) => pid(guest))).size, 4);
  t.true(a.deaths[0]?.reason.includes('one of a, b, c'));
  t.false(a.deaths[0]?.culprit);
  simulated.of('b')?.die({ running: ['b'] });
  await settled();
  t.deepEqual(
    b.deaths.map(({ culprit }) => culprit),
    [false, true],
  );
  const next = await start('next', { limits: { ...programOf('x').limits, memoryMb: 512 } });
  const last = await start('last', { limits: { ...programOf('x').limits, memoryMb: 512 } });
  t.is(simulated.alive().length, 3, 'they went to those who are cleared, and to the idle one');
  t.not(pid(next.guest), pid(b.guest));
  clock.advance(1_000);
  await settled();
  t.deepEqual(b.told, ['ready', 'down', 'ready', 'down', 'ready']);
  t.truthy(last);
});

test('suspects › more than four share four processes, and each further death has fewer', async (t) => {
  const { clock, simulated, start } = world();
  const names = Array.from({ length: 25 }, (_, index) => `p${index}`);
  const guests = await Promise.all(names.map((name) => start(name)));
  let deaths = 0;
  const bad = guests[13];
  while (bad !== undefined && !bad.told.includes('ended')) {
    const process = simulated.of('p13');
    if (process === undefined) clock.advance(1_000);
    else {
      deaths += 1;
      process.die({ running: process.names() });
    }
    await settled();
    t.true(simulated.alive().length <= 8);
  }
  t.is(deaths, 5, 'two until it stands alone, then three strikes');
  for (const { name, told } of guests) if (name !== 'p13') t.is(told.at(-1), 'ready');
});

test('an unexplained death › is held against nobody the first time, and makes suspects the second', async (t) => {
  const { clock, simulated, start } = world();
  const [a, b] = await Promise.all([start('a'), start('b')]);
  simulated.of('a')?.die({});
  await settled();
  t.is(pid(a.guest), pid(b.guest));
  clock.advance(600_000);
  simulated.of('a')?.die({});
  await settled();
  t.is(pid(a.guest), pid(b.guest), 'ten minutes are enough to forget');
  simulated.of('a')?.die({});
  await settled();
  t.not(pid(a.guest), pid(b.guest));
  t.deepEqual(a.told, ['ready', 'down', 'ready', 'down', 'ready', 'down', 'ready']);
});

test('a death by one that was stopped before › is held against nobody who is left', async (t) => {
  const { simulated, start } = world();
  const [a, b] = await Promise.all([start('a'), start('b')]);
  for (let deaths = 0; deaths < 3; deaths += 1) {
    simulated.of('a')?.die({ culprits: ['stopped'], running: ['a'] });
    await settled();
  }
  for (const { told, deaths, guest } of [a, b]) {
    t.is(told.at(-1), 'ready');
    t.true(deaths.every(({ cause }) => cause === 'sibling'));
    t.is(pid(guest), pid(a.guest));
  }
  const stopped = await start('stopped');
  t.not(pid(stopped.guest), pid(a.guest));
});

test('a guest that ends alone › is struck while its process and siblings go on', async (t) => {
  const { clock, simulated, start } = world();
  const [bad, other] = await Promise.all([start('bad'), start('other')]);
  for (const backoffMs of [1_000, 4_000, 0]) {
    simulated.of('bad')?.dispose('bad', { cause: 'cpu', reason: 'too long', culprit: true });
    await settled();
    clock.advance(backoffMs);
    await settled();
  }
  t.is(bad.told.at(-1), 'ended');
  t.deepEqual(other.told, ['ready']);
});

test('initialize › a plugin that fails at restarts is struck, and told of each time', async (t) => {
  let failing = false;
  const { clock, simulated, start } = world(() =>
    Promise.resolve(failing ? { cause: 'initialize', reason: 'it threw', culprit: true } : undefined),
  );
  const one = await start('one');
  failing = true;
  simulated.of('one')?.die({});
  await settled();
  clock.advance(1_000);
  await settled();
  clock.advance(4_000);
  await settled();
  t.deepEqual(one.told, ['ready', 'down', 'down', 'down', 'ended']);
});

test('initialize › a start survives the deaths that others cause, and answers when it is the culprit', async (t) => {
  let release = () => {};
  const { simulated, start, sandbox } = world(async (name) => {
    if (name === 'slow') await new Promise<void>((resolve) => (release = resolve));
    return undefined;
  });
  await start('bad');
  const slow = start('slow');
  await settled();
  simulated.of('bad')?.die({ culprits: ['bad'] });
  await settled();
  release();
  const { told } = await slow;
  t.deepEqual(told, ['down', 'ready']);
  const { host } = recordingHost();
  const { guest } = await slow;
  await guest.stop(0);
  const again = sandbox.start(programOf('slow'), host);
  await settled();
  simulated
    .alive()
    .at(-1)
    ?.die({ culprits: ['slow'] });
  t.like(await again, { ok: false, death: { culprit: true } });
});

test('calls › wait while a guest is away: 1,000, and each no longer than its own time', async (t) => {
  const { clock, simulated, start } = world();
  const { guest } = await start('one');
  simulated.of('one')?.die({ culprits: ['one'] });
  await settled();
  const short = guest.call('hook:x', null, 500);
  const calls = Array.from({ length: 999 }, () => guest.call('hook:x', null, 5_000));
  t.like(await guest.call('hook:x', null, 5_000), { fault: 'overloaded' });
  clock.advance(500);
  t.like(await short, { fault: 'timeout' });
  t.like(await guest.call('hook:x', 'x'.repeat(9_000_000), 5_000), { fault: 'overloaded' });
  clock.advance(500);
  await settled();
  t.true((await Promise.all(calls)).every(({ ok }) => ok));
});

test('no process › is a value at the start, and tried again with longer waits at a restart', async (t) => {
  const { clock, simulated, sandbox, start } = world();
  const one = await start('one');
  simulated.refuse(new Error('EAGAIN'));
  const refused = await sandbox.start(programOf('low', { trust: 'low' }), recordingHost().host);
  t.like(refused, { ok: false, death: { culprit: false } });
  simulated.of('one')?.die({});
  for (let attempt = 0; attempt < 8; attempt += 1) {
    await settled();
    clock.advance(30_000);
  }
  simulated.refuse(undefined);
  clock.advance(30_000);
  await settled();
  t.deepEqual(one.told, ['ready', 'down', 'ready']);
  t.is(one.guest.metrics().restarts, 1);
});

test('a life that is over › is heard no more', async (t) => {
  const { simulated, start } = world();
  const one = await start('one');
  const before = simulated.of('one')?.hosts.get('one');
  simulated.of('one')?.die({ culprits: ['one'] });
  await settled();
  t.like(await before?.wish({ operation: 'state.get', data: null }), { ok: false });
  t.false(one.told.includes('wish'));
});

test('stop › ends a guest that is away, being loaded or running, and the host hears nothing after it', async (t) => {
  let release = () => {};
  let hold = false;
  const { clock, simulated, start } = world(async () => {
    if (hold) await new Promise<void>((resolve) => (release = resolve));
    return undefined;
  });
  const [away, loading] = await Promise.all([start('away'), start('loading')]);
  simulated.of('away')?.die({ culprits: ['away'] });
  hold = true;
  await settled();
  const waiting = away.guest.call('hook:x', null, 1_000);
  await Promise.all([away.guest.stop(0), loading.guest.stop(0)]);
  t.like(await waiting, { fault: 'gone' });
  release();
  await settled();
  clock.advance(10_000);
  await settled();
  t.is(simulated.alive().length, 0);
  t.deepEqual(loading.told, ['ready', 'down']);
  t.deepEqual(away.told, ['ready', 'down']);
});

test('close › while guests are being loaded or restarted leaves no process, and answers every start', async (t) => {
  const never = new Promise<undefined>(() => {});
  const { simulated, sandbox, start } = world((name) =>
    name.startsWith('never') ? never : Promise.resolve(undefined),
  );
  await start('one');
  const starts = ['never-a', 'never-b'].map((name) => sandbox.start(programOf(name), recordingHost().host));
  const low = sandbox.start(programOf('low', { trust: 'low' }), recordingHost().host);
  simulated.of('one')?.die({});
  await sandbox.close();
  for (const started of await Promise.all([...starts, low])) t.false(started.ok);
  t.is(simulated.alive().length, 0);
  t.false((await sandbox.start(programOf('late'), recordingHost().host)).ok);
});
