import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { startHubProcess } from '../support/hub-process.ts';
import { readWholeLog, request, until, whenReady } from '../support/rest.ts';
import { until as untilTrue } from '../support/until.ts';

const ttlMs = 3_000;
const service = { name: 'memory', version: '1.0.0', host: '127.0.0.1', port: 9 };

test('after kill -9 and a start when every TTL has long passed, nobody is offline before a whole TTL from the start', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-health-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const first = await startHubProcess(folder);
  t.teardown(() => first.kill('SIGKILL'));
  const ids = ['silent-1', 'silent-2', 'silent-3'];
  for (const id of ids) {
    const body = { ...service, id, ttlSec: ttlMs / 1_000 };
    t.is((await request(first.url, 'POST', '/services', { body })).status, 201);
    const beat = await request(first.url, 'POST', `/services/${id}/heartbeat`, { body: {} });
    t.is(beat.body.status, 'healthy');
  }
  await first.kill('SIGKILL');
  const killedMs = Date.now();
  await untilTrue(() => Date.now() > killedMs + ttlMs);

  const startedMs = Date.now();
  const second = await startHubProcess(folder);
  t.teardown(() => second.kill('SIGKILL'));
  await whenReady(second.url);
  await until(
    () => request(second.url, 'GET', '/services?status=offline'),
    ({ body }) => (body.services as readonly unknown[]).length === ids.length,
  );
  const since = (await readWholeLog(second.url)).filter(
    ({ metadata }) => Date.parse(metadata.recordedAt) >= startedMs,
  );
  const fallen = since.filter(({ type }) => type === 'ServiceStatusChanged');
  t.deepEqual(
    fallen.map(({ stream }) => stream).sort(),
    ids.map((id) => `service-${id}`),
  );
  for (const { data, metadata } of fallen) {
    t.like(data, { from: 'healthy', to: 'offline', cause: 'ttl', reason: 'no heartbeat within 3 s' });
    t.true(Date.parse(metadata.recordedAt) >= startedMs + ttlMs);
  }
  const back = await request(second.url, 'POST', '/services/silent-1/heartbeat', { body: {} });
  t.like(back, { status: 200, body: { ttlSec: 3, status: 'healthy' } });
});
