import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import test from 'ava';
import { defaultPolicy } from '../../../domain/service/policy.ts';
import type { Registry } from '../../../src/registry/registry.ts';
import { createTargets } from '../../../src/registry/target/targets.ts';
import { openAgent } from '../../../src/registry/target/undici.ts';
import { until } from '../../support/until.ts';
import { createTestClock, listen } from '../support.ts';
import { answering, breaking, silent, withInstances } from './world.ts';

/** Counts the requests of all listeners together, the first of which meets `first`, whoever is called. */
const firstThen = (first: RequestListener, then: RequestListener) => {
  const seen = { requests: 0 };
  const listener: RequestListener = (request, response) =>
    (seen.requests++ === 0 ? first : then)(request, response);
  return { seen, listener };
};

type TestClock = ReturnType<typeof createTestClock>;
const timeOf = ({ now, after }: TestClock) => ({ clock: now, after });

/** Half of the time of a call that may be repeated is over once the request has come. */
const silentUntilHalf =
  (clock: TestClock): RequestListener =>
  (request, response) => {
    silent(request, response);
    setImmediate(() => clock.advance(15_000));
  };

const failures: readonly [claim: string, (clock: TestClock) => RequestListener][] = [
  ['answers 502', () => answering(502, '')],
  ['answers 503', () => answering(503, '')],
  ['answers 504', () => answering(504, '')],
  ['breaks the connection', () => breaking],
  ['does not answer', silentUntilHalf],
];
for (const [claim, failing] of failures) {
  test(`an idempotent call goes to another instance when the first ${claim}`, async (t) => {
    const clock = createTestClock();
    const { seen, listener } = firstThen(failing(clock), answering(200, '1'));
    const run = async (registry: Registry): Promise<void> => {
      const invoked = await registry.invoke('svc', { method: 'm', idempotent: true });
      t.like(invoked, { ok: true, value: { result: 1, attempts: 2 } });
      t.is(seen.requests, 2);
    };
    await withInstances([listener, listener], {}, run, timeOf(clock));
  });

  test(`a call that is not idempotent fails when the instance ${claim}, and nobody else is called`, async (t) => {
    const clock = createTestClock();
    const { seen, listener } = firstThen(failing(clock), answering(200, '1'));
    const run = async (registry: Registry): Promise<void> => {
      t.false((await registry.invoke('svc', { method: 'm', timeoutMs: 10_000 })).ok);
      t.is(seen.requests, 1);
    };
    await withInstances([listener, listener], {}, run, timeOf(clock));
  });
}

test('a registered method says that its calls are idempotent, and a call may say otherwise', async (t) => {
  const { seen, listener } = firstThen(breaking, answering(200, '1'));
  const methods = { m: { idempotent: true } };
  await withInstances([listener, listener], { methods }, async (registry) => {
    t.like(await registry.invoke('svc', { method: 'm' }), { value: { attempts: 2 } });
    seen.requests = 0;
    t.false((await registry.invoke('svc', { method: 'm', idempotent: false })).ok);
  });
});

test('an idempotent call whose only instance broke the connection is repeated there', async (t) => {
  const { listener } = firstThen(breaking, answering(200, '1'));
  await withInstances([listener], {}, async (registry) => {
    t.like(await registry.invoke('svc', { method: 'm', idempotent: true }), {
      value: { attempts: 2, instance: 's0' },
    });
  });
});

test('three instances at most are called, and the last failure is told', async (t) => {
  let requests = 0;
  const fail: RequestListener = (request, response) => {
    requests++;
    answering(503, '"busy"')(request, response);
  };
  await withInstances([fail, fail, fail, fail], {}, async (registry) => {
    t.like(await registry.invoke('svc', { method: 'm', idempotent: true }), {
      problem: { code: 'upstream_failed', facts: { attempts: 3, upstreamStatus: 503, body: 'busy' } },
    });
    t.is(requests, 3);
  });
});

test('repetitions end where the budget of the service does, and the failure says so', async (t) => {
  let requests = 0;
  const fail: RequestListener = (request, response) => {
    requests++;
    breaking(request, response);
  };
  // No circuit opens: what ends the repetitions is the budget.
  const balancing = { ...defaultPolicy.balancing, maxEjectedPercent: 0 };
  await withInstances([fail], { balancing }, async (registry) => {
    const calls = 100;
    let refused = 0;
    for (let call = 0; call < calls; call++) {
      const invoked = await registry.invoke('svc', { method: 'm', idempotent: true });
      if (!invoked.ok && invoked.problem.facts?.retry === 'budget_used_up') refused++;
    }
    t.true(refused > 0);
    // A tenth of a second's worth of requests more than 20 % and the reserve would be a budget that leaks.
    t.true(requests <= calls + calls * 0.2 + 100, `${requests}`);
  });
});

test('a service has as many calls at one time as it says, and the next is overloaded', async (t) => {
  const held: (() => void)[] = [];
  const hold: RequestListener = (request, response) => {
    request.resume();
    held.push(() => response.end('1'));
  };
  const balancing = { ...defaultPolicy.balancing, maxInFlight: 2 };
  await withInstances([hold], { balancing }, async (registry) => {
    const running = [registry.invoke('svc', { method: 'm' }), registry.invoke('svc', { method: 'm' })];
    await until(() => held.length === 2);
    t.like(await registry.invoke('svc', { method: 'm' }), {
      problem: { code: 'overloaded', facts: { service: 'svc', maxInFlight: 2 } },
    });
    for (const release of held) release();
    for (const invoked of await Promise.all(running)) t.true(invoked.ok);
    const next = registry.invoke('svc', { method: 'm' });
    await until(() => held.length === 3);
    held[2]?.();
    t.true((await next).ok);
  });
});

test('the instance is told how long it has: the call’s own time, or what is left to the caller', async (t) => {
  const seen: [number, number][] = [];
  const note: RequestListener = (request, response) => {
    const { headers } = request;
    seen.push([Number(headers['x-nexus-timeout-ms']), Date.parse(String(headers['x-nexus-deadline']))]);
    answering(200, '1')(request, response);
  };
  const methods = { slow: { timeoutMs: 120_000 } };
  const clock = createTestClock();
  const run = async (registry: Registry): Promise<void> => {
    await registry.invoke('svc', { method: 'm' });
    await registry.invoke('svc', { method: 'slow' });
    await registry.invoke('svc', { method: 'slow', timeoutMs: 10_000 });
    await registry.invoke('svc', { method: 'slow' }, { leftMs: 5_000 });
    await registry.invoke('svc', { method: 'slow', idempotent: true });
    const given = seen.map(([timeoutMs]) => timeoutMs);
    t.deepEqual(given, [30_000, 120_000, 10_000, 5_000, 60_000]);
    for (const [timeoutMs, deadline] of seen) t.is(deadline, clock.now() + timeoutMs);
    t.like(await registry.invoke('svc', { method: 'm' }, { leftMs: -1 }), {
      problem: { code: 'upstream_timeout' },
    });
    t.is(seen.length, 5);
  };
  await withInstances([note], { methods }, run, { clock: clock.now, after: clock.after });
});

test('an origin has a pool while it has connections, so those of instances that are gone keep nothing', async (t) => {
  const agent = openAgent(createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }), 4);
  const server = await listen(answering(200, '1'));
  const { body } = await agent.request({
    origin: `http://127.0.0.1:${server.port}`,
    path: '/',
    method: 'GET',
  });
  await body.dump();
  t.is(Object.keys(agent.stats).length, 1);
  const gone = once(agent, 'disconnect');
  await server.close();
  await gone;
  t.is(Object.keys(agent.stats).length, 0);
  await agent.close();
});
