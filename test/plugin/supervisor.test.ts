import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import { defaultLimits } from '../../domain/plugin/manifest.ts';
import { createTestClock } from '../registry/support.ts';
import { until } from '../support/until.ts';
import { ask, endless, openReal, pid, type Running, runs } from './supervisor/real.ts';
import { programOf } from './supervisor/simulated-processes.ts';
import { recordingHost } from './supervisor/world.ts';

// One after the other: each starts and kills processes, and they share two cores.

const support = (name: string) => join(import.meta.dirname, 'supervisor', name);
const lastTold = ({ told }: Running) => told.at(-1);
const isBack = (running: Running) => running.told.length > 1 && lastTold(running) === 'ready';

test.serial(
  'a killed process › its plugins are back and answer all that came meanwhile, while the 26th never noticed',
  async (t) => {
    const { sandbox, start } = openReal();
    t.teardown(() => sandbox.close());
    const all = await Promise.all(Array.from({ length: 26 }, (_, index) => start(`p${index}`)));
    const [one] = all;
    if (one === undefined) return t.fail();
    const killed = pid(one.guest);
    const siblings = all.filter(({ guest }) => pid(guest) === killed);
    const others = all.filter(({ guest }) => pid(guest) !== killed);
    t.deepEqual([siblings.length, others.length], [25, 1]);

    let calling = true;
    const faults = new Map<string, number>();
    const load = all.map(async ({ guest, name }) => {
      while (calling) {
        const answer = await ask(guest);
        if (answer.ok) t.deepEqual(answer.value, { change: { payload: name } });
        else faults.set(answer.fault, (faults.get(answer.fault) ?? 0) + 1);
      }
    });
    const startedMs = performance.now();
    process.kill(killed, 'SIGKILL');
    await until(() => siblings.every(isBack));
    t.log(`25 under load back after ${Math.round(performance.now() - startedMs)} ms`);
    const answers = await Promise.all(all.map(({ guest }) => ask(guest)));
    calling = false;
    await Promise.all(load);
    t.true(answers.every(({ ok }) => ok));
    t.deepEqual([...faults.keys()], ['gone'], 'only what was under way has no answer');
    t.true((faults.get('gone') ?? 0) <= 25);
    for (const { told } of others) t.deepEqual(told, ['ready']);
    t.false(runs(killed));

    // Each of them had a call running: they stand in four processes now, and one of these dies.
    const part = siblings.filter(({ guest }) => pid(guest) === pid(one.guest));
    t.true(part.length < 8);
    const againMs = performance.now();
    process.kill(pid(one.guest), 'SIGKILL');
    await until(() => part.every(({ told }) => told.filter((what) => what === 'ready').length === 3));
    t.log(`${part.length} back after ${Math.round(performance.now() - againMs)} ms`);
  },
);

test.serial(
  'suspects › are parted, and the one that does it again is struck, three times and no more',
  async (t) => {
    const clock = createTestClock();
    const { sandbox, start } = openReal(clock);
    t.teardown(() => sandbox.close());
    const [bad, near, idle] = await Promise.all([start('bad'), start('near'), start('idle')]);
    t.is(new Set([bad, near, idle].map(({ guest }) => pid(guest))).size, 1);
    const open = [ask(near.guest, 'spin'), ask(bad.guest, 'spin')];
    t.true((await ask(idle.guest)).ok);
    process.kill(pid(bad.guest), 'SIGKILL');
    for (const answer of await Promise.all(open)) t.like(answer, { fault: 'gone' });
    await until(() => [bad, near, idle].every(isBack));
    t.is(new Set([bad, near, idle].map(({ guest }) => pid(guest))).size, 3);
    for (const { deaths } of [bad, near, idle]) t.false(deaths[0]?.culprit);

    for (const told of ['down', 'down', 'ended']) {
      t.like(await ask(bad.guest, 'abort'), { fault: 'gone' });
      await until(() => lastTold(bad) === told);
      t.true(bad.deaths.at(-1)?.culprit);
      await until(() => {
        if (lastTold(bad) === 'down') clock.advance(1_000);
        return lastTold(bad) !== 'down';
      });
    }
    t.like(await ask(bad.guest), { fault: 'gone' });
    for (const { guest, deaths } of [near, idle]) {
      t.is(deaths.length, 1);
      t.true((await ask(guest)).ok);
    }
  },
);

test.serial(
  'a limit of one isolate › strikes that plugin alone, and its siblings stay where they are',
  async (t) => {
    const clock = createTestClock();
    const { sandbox, start } = openReal(clock);
    t.teardown(() => sandbox.close());
    const [bad, other] = await Promise.all([
      start('bad', { limits: { ...defaultLimits, cpuMsPerCall: 200 } }),
      start('other'),
    ]);
    const stood = pid(other.guest);
    while (!bad.told.includes('down')) await ask(bad.guest, 'spin');
    t.like(bad.deaths[0], { cause: 'cpu', culprit: true });
    const waiting = ask(bad.guest);
    clock.advance(1_000);
    t.true((await waiting).ok);
    t.is(bad.guest.metrics().restarts, 1);
    t.deepEqual(other.told, ['ready']);
    t.is(pid(other.guest), stood);
  },
);

test.serial('a process that hangs › is ended, and its plugins answer again', async (t) => {
  const { sandbox, start } = openReal();
  t.teardown(() => sandbox.close());
  const [a, b] = await Promise.all([start('a'), start('b')]);
  const hung = pid(a.guest);
  process.kill(hung, 'SIGSTOP');
  await until(() => isBack(a) && isBack(b));
  t.true((await ask(a.guest)).ok);
  t.true((await ask(b.guest)).ok);
  t.false(runs(hung));
});

test.serial(
  'stop and close › during a restart and while plugins are being loaded leave no process',
  async (t) => {
    const { sandbox, start } = openReal();
    const [stopped, kept, low] = await Promise.all([
      start('stopped'),
      start('kept'),
      start('low', { trust: 'low' }),
    ]);
    const pids = [pid(stopped.guest), pid(low.guest)];
    t.not(pids[0], pids[1]);
    process.kill(pid(stopped.guest), 'SIGKILL');
    await until(() => stopped.told.includes('down'));
    await stopped.guest.stop(0);
    await until(() => isBack(kept));
    pids.push(pid(kept.guest));
    const loading = sandbox.start(programOf('endless', { code: endless }), recordingHost().host);
    await sandbox.close();
    t.false((await loading).ok);
    t.false((await ask(kept.guest)).ok);
    t.deepEqual(stopped.told, ['ready', 'down']);
    t.deepEqual(pids.filter(runs), []);
  },
);

test.serial(
  'a hub that is killed › takes its processes with it, also one whose plugin never answers',
  async (t) => {
    const holder = spawn(process.execPath, [support('holder.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface({ input: holder.stdout }), 'line');
    const pids: unknown = JSON.parse(String(line));
    if (!Array.isArray(pids)) return t.fail();
    const children = pids.map(Number);
    t.deepEqual(children.map(runs), [true, true]);
    holder.kill('SIGKILL');
    await until(() => children.every((child) => !runs(child)));
    t.pass();
  },
);

test.serial(
  'a hub that is out of file descriptors › refuses the start and repeats the restart, and lives',
  async (t) => {
    const program = spawn(
      'sh',
      ['-c', 'ulimit -n 80 && exec "$0" "$1"', process.execPath, support('short-of-files.ts')],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [text, [code]] = await Promise.all([
      program.stdout.setEncoding('utf8').toArray(),
      once(program, 'exit'),
    ]);
    t.is(code, 0);
    const seen = JSON.parse(text.join(''));
    t.regex(seen.refused, /No process could be started: .*EMFILE/);
    t.deepEqual(seen.told, ['ready', 'down', 'ready']);
  },
);
