import test from 'ava';
import { defaultPolicy } from '../../../domain/service/policy.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { afterBadProbe, afterGoodProbe } from '../../../src/registry/health/liveness.ts';
import type { ProbeResult } from '../../../src/registry/health/probe.ts';
import { createProbing, maxRunning, maxSuspects } from '../../../src/registry/health/probing.ts';
import { createInstance, type Instance } from '../../../src/registry/instance.ts';
import { createSchedule } from '../../../src/registry/schedule.ts';
import { createTestClock, serviceDocument } from '../support.ts';
import { settled } from './world.ts';

type Asked = { readonly url: string; readonly atMs: number; readonly timeoutMs: number };

const { healthCheck } = defaultPolicy;
const good: ProbeResult = { ok: true };
const bad: ProbeResult = { ok: false, reason: 'no answer' };

/**
 * Probing by a clock that is moved by hand, of hosts that answer after `takesMs`.
 *
 * @param takesMs by url; hosts whose time is longer than the time-out of their check are dead.
 */
const open = (takesMs: (url: string) => number, random: () => number = () => 0.5) => {
  const clock = createTestClock(0);
  const schedule = createSchedule(clock);
  const asked: Asked[] = [];
  const running = new Map<string, number>();
  const results: { readonly id: string; readonly ok: boolean }[] = [];
  const seen = { most: 0, together: 0, aborted: 0 };

  const probing = createProbing({
    clock,
    schedule,
    random,
    probe: (url, { timeoutMs, signal }) =>
      new Promise((resolve) => {
        asked.push({ url, atMs: clock.now(), timeoutMs });
        running.set(url, (running.get(url) ?? 0) + 1);
        seen.together = Math.max(seen.together, running.get(url) ?? 0);
        seen.most = Math.max(
          seen.most,
          [...running.values()].reduce((sum, count) => sum + count, 0),
        );
        const end = (result: ProbeResult): void => {
          running.set(url, (running.get(url) ?? 0) - 1);
          resolve(result);
        };
        const isDead = takesMs(url) > timeoutMs;
        const cancel = schedule.alarm(clock.now() + Math.min(takesMs(url), timeoutMs), () =>
          end(isDead ? bad : good),
        );
        signal.addEventListener('abort', () => {
          seen.aborted++;
          cancel.cancel();
          end(bad);
        });
      }),
    onResult(instance, result) {
      results.push({ id: instance.id, ok: result.ok });
      instance.evidence = result.ok
        ? afterGoodProbe(instance.evidence, healthCheck)
        : afterBadProbe(instance.evidence, result.reason, healthCheck);
    },
  });

  const watch = (id: string, changes: Partial<ServiceDocument> = {}): Instance => {
    const healthCheckUrl = `http://${id}/`;
    const instance = createInstance(serviceDocument({ id, healthCheckUrl, status: 'starting', ...changes }));
    probing.watch(instance);
    return instance;
  };

  const pass = async (ms: number, stepMs = 100): Promise<void> => {
    for (let left = ms; left > 0; left -= stepMs) {
      clock.advance(Math.min(left, stepMs));
      await settled();
    }
  };

  const of = (id: string): readonly Asked[] => asked.filter(({ url }) => url === `http://${id}/`);
  return { clock, probing, asked, of, results, seen, running, watch, pass };
};

test('each instance is probed at its own interval, ± 10 %, with its own time-out', async (t) => {
  for (const [draw, share] of [
    [0, 0.9],
    [0.5, 1],
    [0.999_999, 1.1],
  ] as const) {
    const { watch, pass, of } = open(
      () => 0,
      () => draw,
    );
    watch('quick', { healthCheck: { ...healthCheck, intervalMs: 1_000, timeoutMs: 500 } });
    watch('slow', { healthCheck: { ...healthCheck, intervalMs: 4_000, timeoutMs: 700 } });
    await pass(20_000, 1);
    for (const [id, intervalMs, timeoutMs] of [
      ['quick', 1_000, 500],
      ['slow', 4_000, 700],
    ] as const) {
      const [first, second] = of(id);
      t.is(first?.timeoutMs, timeoutMs);
      const afterMs = (second?.atMs ?? 0) - (first?.atMs ?? 0);
      // The answer is taken in at the end of the clock's step, of 1 ms.
      t.true(afterMs >= intervalMs * share - 0.01 && afterMs <= intervalMs * share + 1.01);
    }
  }
});

test('one that was never seen is probed within half a second, the others over their interval', async (t) => {
  const { watch, pass, of } = open(
    () => 0,
    () => 0.9,
  );
  watch('new');
  watch('known', { status: 'healthy' });
  await pass(20_000);
  t.is(of('new')[0]?.atMs, 450);
  t.is(of('known')[0]?.atMs, 9_000);
});

test('of 10,000 instances at most 256 are probed at a time, each once per interval, and none twice at a time', async (t) => {
  let draws = 0;
  const { watch, pass, seen, results, asked } = open(
    () => 20,
    () => (draws++ % 1_000) / 1_000,
  );
  for (let number = 0; number < 10_000; number++) watch(`i${number}`, { status: 'healthy' });
  await pass(10_000, 10);
  t.is(new Set(asked.map(({ url }) => url)).size, 10_000);
  t.true(seen.most <= maxRunning);
  t.is(seen.together, 1);
  t.is(results.filter(({ ok }) => !ok).length, 0);
});

test('a burst of 10,000 fills all 256 slots and no more', async (t) => {
  const { watch, pass, seen } = open(() => 20);
  for (let number = 0; number < 10_000; number++) watch(`i${number}`, { status: 'healthy' });
  await pass(6_000, 10);
  t.is(seen.most, maxRunning);
});

test('5,000 dead hosts do not keep the living from being probed at their interval', async (t) => {
  const isDead = (url: string): boolean => url.startsWith('http://dead');
  const { watch, pass, asked, running } = open((url) => (isDead(url) ? 60_000 : 10));
  const down = { status: 'unhealthy', statusCause: 'probe' } as const;
  let mostDead = 0;
  for (let number = 0; number < 5_000; number++) watch(`dead${number}`, down);
  for (let number = 0; number < 1_000; number++) watch(`living${number}`, { status: 'healthy' });
  for (let seconds = 0; seconds < 40; seconds++) {
    await pass(1_000);
    const dead = [...running].filter(([url]) => isDead(url));
    mostDead = Math.max(
      mostDead,
      dead.reduce((sum, [, count]) => sum + count, 0),
    );
  }
  t.is(mostDead, maxSuspects);
  const times = new Map<string, number[]>();
  for (const { url, atMs } of asked) times.set(url, [...(times.get(url) ?? []), atMs]);
  for (let number = 0; number < 1_000; number++) {
    const of = times.get(`http://living${number}/`) ?? [];
    for (let index = 1; index < of.length; index++) {
      // The interval, what the probe takes, and a step of the clock.
      if ((of[index] ?? 0) - (of[index - 1] ?? 0) > 10_000 + 10 + 200) t.fail(`living${number}: ${of}`);
    }
    if (of.length < 3) t.fail(`living${number}: ${of}`);
  }
  // The dead are gone through in turn, 64 a second.
  t.true(new Set(asked.map(({ url }) => url).filter(isDead)).size >= 2_000);
});

test('a result counts for nothing when the check is another one by then, and the new one is probed soon', async (t) => {
  const { watch, pass, probing, asked, results } = open(() => 1_000);
  const instance = watch('one');
  await pass(500);
  t.is(asked.length, 1);
  instance.document = { ...instance.document, healthCheckUrl: 'http://other/' };
  probing.watch(instance);
  await pass(800);
  t.deepEqual(results, []);
  await pass(500);
  t.is(asked.at(-1)?.url, 'http://other/');
  await pass(1_000);
  t.deepEqual(results, [{ id: 'one', ok: true }]);
});

test('a document that leaves the check alone moves no probe', async (t) => {
  const { watch, pass, probing, asked } = open(() => 0);
  const instance = watch('one');
  for (let second = 0; second < 30; second++) {
    await pass(1_000);
    instance.document = { ...instance.document, healthCheck: { ...healthCheck }, weight: second };
    probing.watch(instance);
  }
  t.is(asked.length, 3);
});

test('a forgotten instance is probed no more, and what runs is broken off and counts for nothing', async (t) => {
  const { watch, pass, probing, asked, results, seen } = open(() => 1_000);
  const instance = watch('one');
  await pass(500);
  probing.forget(instance);
  await pass(60_000, 1_000);
  t.is(seen.aborted, 1);
  t.is(asked.length, 1);
  t.deepEqual(results, []);
});

test('close breaks off what runs', async (t) => {
  const { watch, pass, probing, seen } = open(() => 1_000);
  watch('one');
  await pass(500);
  await probing.close();
  t.is(seen.aborted, 1);
});
