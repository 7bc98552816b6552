import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseConfig } from '../../src/config.ts';
import { openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import type { Context, NexusCore } from '../../src/nexus-core.ts';
import { listen } from '../registry/support.ts';
import { until } from '../support/until.ts';

const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };

const open = (folder: string, clock: () => number): Promise<NexusCore> => {
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  return openCore(parsed.config, { watchdogMs: 60_000, logger: createLogger('silent'), clock });
};

const typesOf = async (core: NexusCore): Promise<readonly string[]> => {
  const stream = await core.stream('service-one', {}, context);
  return stream.ok ? stream.value.events.map(({ type }) => type) : [];
};

test('a circuit that opens and closes is two events, and lives through a restart of the hub between them', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-circuit-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  let status = 500;
  const server = await listen((request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json' }).end('1');
  });
  t.teardown(() => server.close());
  let nowMs = Date.now();
  const invoke = (core: NexusCore) => core.invoke('svc', { method: 'm' }, context);
  const serviceOf = async (core: NexusCore) => {
    const read = await core.service('one', {}, context);
    return read.ok ? read.value : undefined;
  };

  const first = await open(folder, () => nowMs);
  const service = { id: 'one', name: 'svc', version: '1.0.0', host: '127.0.0.1', port: server.port };
  await first.execute({ type: 'RegisterService', data: service }, context);
  for (let call = 0; call < 5; call++)
    t.like(await invoke(first), { problem: { code: 'upstream_failed', facts: { upstreamStatus: 500 } } });
  t.like(await invoke(first), { problem: { code: 'no_healthy_instance' } });
  await until(async () => (await serviceOf(first))?.status === 'unhealthy');
  const ejected = await serviceOf(first);
  t.is(ejected?.statusCause, 'invocations');
  t.true(ejected?.circuit?.reason.startsWith('5 failures in a row'));
  t.true(Date.parse(ejected?.circuit?.until ?? '') > nowMs);
  t.deepEqual(await typesOf(first), ['ServiceRegistered', 'CircuitOpened', 'ServiceStatusChanged']);
  await first.close();

  status = 200;
  nowMs += 60_000;
  const second = await open(folder, () => nowMs);
  t.like(await invoke(second), { value: { result: 1, instance: 'one' } });
  t.is((await typesOf(second)).length, 3, 'one good call is not enough');
  t.like(await invoke(second), { value: { result: 1, instance: 'one' } });
  await until(async () => (await serviceOf(second))?.status === 'healthy');
  t.is((await serviceOf(second))?.circuit, null);
  t.deepEqual((await typesOf(second)).slice(3), ['CircuitClosed', 'ServiceStatusChanged']);
  await second.close();
});
