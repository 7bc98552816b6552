import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { startHubProcess } from '../support/hub-process.ts';
import { request } from '../support/rest.ts';

type Message = { readonly payload: number; readonly replay?: true };
type Pulled = { readonly delivery: string; readonly message: Message };

const messages = 600;
const kills = 2;

test('kill -9 in the middle of a replay › every message of it is delivered, and it ends once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-replay-'));
  t.teardown(() => rm(folder, { recursive: true }));
  let hub = await startHubProcess(folder);
  t.teardown(() => hub.kill('SIGKILL'));
  const call = (method: string, path: string, body?: object) =>
    request(hub.url, method, path, body === undefined ? {} : { body });
  const pull = async (): Promise<readonly Pulled[]> =>
    (await call('POST', '/subscriptions/work/pull', { max: 40, waitMs: 2_000 })).body
      .deliveries as readonly Pulled[];

  for (let sent = 0; sent < messages; sent += 50) {
    const batch = Array.from({ length: 50 }, (_, index) =>
      call('POST', '/events/work.a', { payload: sent + index }),
    );
    for (const { status } of await Promise.all(batch)) t.is(status, 201);
  }
  t.is((await call('PUT', '/subscriptions/work', { topic: 'work.a', backoffMs: [0] })).status, 201);
  t.is((await call('POST', '/subscriptions/work/replay', { from: 'start' })).status, 200);

  const acknowledged = new Set<number>();
  let deliveries = 0;
  for (let round = 1; round <= kills; round++) {
    while (acknowledged.size < (messages * round) / (kills + 1)) {
      const pulled = await pull();
      deliveries += pulled.length;
      const told = await call('POST', '/subscriptions/work/ack', {
        deliveries: pulled.map(({ delivery }) => delivery),
      });
      t.is(told.status, 200);
      for (const { message } of pulled) {
        t.true(message.replay);
        acknowledged.add(message.payload);
      }
    }
    await pull();
    await hub.kill('SIGKILL');
    hub = await startHubProcess(folder);
  }
  for (let open = true; open; ) {
    const pulled = await pull();
    deliveries += pulled.length;
    if (pulled.length > 0) {
      await call('POST', '/subscriptions/work/ack', { deliveries: pulled.map(({ delivery }) => delivery) });
    }
    for (const { message } of pulled) acknowledged.add(message.payload);
    const { body } = await call('GET', '/subscriptions/work/replays');
    open = (body.replays as readonly unknown[]).length > 0;
  }
  t.is(acknowledged.size, messages);
  // What was acknowledged less than a second before a kill may come again, and nothing else.
  t.true(deliveries < messages * (kills + 1));
  t.log(`${messages} messages, ${kills} kills, ${deliveries} deliveries`);
  t.deepEqual(await pull(), []);
  t.like((await call('GET', '/subscriptions/work')).body, { inFlight: 0, lagEvents: 0, deadLetters: 0 });
});
