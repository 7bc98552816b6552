import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { makeGroup } from './support/groups.ts';
import { openHub } from './support/hub.ts';
import { until } from './support/rest.ts';

type Example = {
  /** Its next line on stdout. */
  line(): Promise<string>;
  stop(): Promise<void>;
};

const run = (name: string, ...args: string[]): Example => {
  const child: ChildProcessByStdio<null, Readable, null> = spawn(
    process.execPath,
    [join(import.meta.dirname, '../examples', name), ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    line: async () => {
      const next = await lines.next();
      if (next.done === true) throw new Error(`${name} ended`);
      return next.value;
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
};

const post = async (url: string, body: unknown): Promise<unknown> =>
  (
    await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  ).json();

test('examples/service.ts › registers, answers through the hub, and is gone when it was stopped', async (t) => {
  const hub = await openHub();
  const service = run('service.ts', hub.url);
  try {
    t.regex(await service.line(), /^adder-\d+ registered: 201$/);
    let healthy: unknown;
    do {
      const answer: unknown = await (await fetch(`${hub.url}/services?name=adder&status=healthy`)).json();
      healthy = (answer as { services: unknown[] }).services[0];
    } while (healthy === undefined);
    const invoked = await post(`${hub.url}/services/adder/invoke`, { method: 'add', data: { a: 1, b: 2 } });
    t.like(invoked, { result: { sum: 3 }, attempts: 1 });
    await service.stop();
    t.like(await (await fetch(`${hub.url}/services`)).json(), { services: { length: 0 } });
  } finally {
    await service.stop();
    await hub.close();
  }
});

test('examples/socket-service.ts › registers, answers over its own socket, and is gone when it was stopped', async (t) => {
  const hub = await openHub();
  const service = run('socket-service.ts', hub.url);
  try {
    t.regex(await service.line(), /^socket-adder-\d+ serves$/);
    const invoked = await post(`${hub.url}/services/adder/invoke`, { method: 'add', data: { a: 1, b: 2 } });
    t.like(invoked, { result: { sum: 3 }, attempts: 1 });
    const refused = await post(`${hub.url}/services/adder/invoke`, {
      method: 'divide',
      data: { a: 1, b: 2 },
    });
    t.like(refused, { code: 'upstream_failed', body: { code: 'no_such_method' } });
    await service.stop();
    t.like(await (await fetch(`${hub.url}/services`)).json(), { services: { length: 0 } });
  } finally {
    await service.stop();
    await hub.close();
  }
});

test('examples/subscriber.ts › gets what was and what comes, and after a restart what it has not seen', async (t) => {
  const hub = await openHub();
  const folder = await mkdtemp(join(tmpdir(), 'nexus-example-'));
  const args = ['orders.>', join(folder, 'position'), `${hub.url.replace('http', 'ws')}/ws`];
  const publish = (payload: number) => post(`${hub.url}/events/orders.created`, { payload });
  await publish(1);
  let subscriber = run('subscriber.ts', ...args);
  try {
    t.is(await subscriber.line(), 'orders.created 1');
    const { position } = (await publish(2)) as { readonly position: string };
    t.is(await subscriber.line(), 'orders.created 2');
    while ((await readFile(join(folder, 'position'), 'utf8')) !== position) await setImmediate();
    await subscriber.stop();
    await publish(3);
    subscriber = run('subscriber.ts', ...args);
    t.is(await subscriber.line(), 'orders.created 3');
  } finally {
    await subscriber.stop();
    await hub.close();
    await rm(folder, { recursive: true });
  }
});

test('examples/worker.ts › acknowledges what it has done, says why it has not, and gives back the rest when it is stopped', async (t) => {
  const hub = await openHub();
  const url = `${hub.url.replace('http', 'ws')}/ws`;
  const group = await makeGroup(hub.url, { maxDeliver: 1 });
  let worker = run('worker.ts', group.name, url);
  try {
    t.is(await worker.line(), `a worker of ${group.name}`);
    await group.publish({ order: 1 }, 'nothing');
    t.is(await worker.line(), `${group.topic} order 1, attempt 1`);
    t.is(await worker.line(), `${group.topic} failed: the payload has no order`);
    t.like(await group.lettersWhen(1), [{ errors: [{ reason: 'the payload has no order' }] }]);
    t.like(await until(group.view, ({ inFlight }) => inFlight === 0), { lagEvents: 0 });
    await worker.stop();
    await group.publish({ order: 2 });
    await group.call('POST', '/dead-letters/redrive', { all: true, payload: { order: 3 } });
    worker = run('worker.ts', group.name, url);
    await worker.line();
    const lines = [await worker.line(), await worker.line()].sort();
    t.deepEqual(lines, [`${group.topic} order 2, attempt 1`, `${group.topic} order 3, attempt 1`]);
  } finally {
    await worker.stop();
    await hub.close();
  }
});

test('examples/lock.ts › one at a time works, the next one when it gives the lock back, and an old token writes nothing', async (t) => {
  const hub = await openHub();
  const ann = run('lock.ts', 'ann', hub.url);
  try {
    t.is(await ann.line(), 'ann holds the lock with token 1');
    t.is(await ann.line(), 'ann: written');
    t.is(await ann.line(), 'token 0: refused');
    const bob = run('lock.ts', 'bob', hub.url);
    try {
      await ann.stop();
      t.is(await bob.line(), 'bob holds the lock with token 3');
      t.is(await bob.line(), 'bob: written');
      t.is(await bob.line(), 'token 2: refused');
    } finally {
      await bob.stop();
    }
    t.is((await fetch(`${hub.url}/locks/jobs%2Fnightly`)).status, 404);
  } finally {
    await ann.stop();
    await hub.close();
  }
});
