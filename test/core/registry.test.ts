import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { parseConfig } from '../../src/config.ts';
import { openCore } from '../../src/core.ts';
import type { ErrorCode, Result } from '../../src/errors.ts';
import { createLogger } from '../../src/logger.ts';
import type { Context, NexusCore } from '../../src/nexus-core.ts';

const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };
const service = { id: 'math-1', name: 'math', version: '1.0.0', host: '127.0.0.1', port: 9 };

const folderFor = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-registry-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const open = (folder: string, allowedTargets: readonly string[] = []): Promise<NexusCore> => {
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  return openCore(
    { ...parsed.config, allowedTargets },
    { watchdogMs: 60_000, logger: createLogger('silent') },
  );
};

const register = (core: NexusCore, data: object) =>
  core.execute({ type: 'RegisterService', data: { ...service, ...data } }, context);

const faultOf = (result: Result<unknown>): ErrorCode | 'ok' => (result.ok ? 'ok' : result.problem.code);

test('an operator’s maintenance that comes in beside a report of the service stays', async (t) => {
  const core = await open(await folderFor(t));
  await register(core, { ttlSec: 60 });
  await core.heartbeat('math-1', {}, context);
  const maintenance = core.execute(
    { type: 'UpdateService', data: { id: 'math-1', status: 'maintenance' } },
    context,
  );
  const report = core.heartbeat('math-1', { status: 'unhealthy' }, context);
  t.is(faultOf(await maintenance), 'ok');
  t.is(faultOf(await report), 'ok');
  const types = await core.stream('service-math-1', {}, context);
  t.deepEqual(types.ok && types.value.events.map(({ data }) => (data as { readonly to?: string }).to), [
    undefined,
    'healthy',
    'maintenance',
  ]);
  const now = await core.service('math-1', {}, context);
  t.is(now.ok && now.value.status, 'maintenance');
  await core.close();
});

test('with allowedTargets an address outside of them is refused at its registration, a name when it is used', async (t) => {
  const core = await open(await folderFor(t), ['10.1.0.0/16']);
  t.is(faultOf(await register(core, { id: 'inside', host: '10.1.2.3' })), 'ok');
  t.is(faultOf(await register(core, { id: 'named', host: 'math.example' })), 'ok');
  for (const host of ['10.2.0.1', '127.0.0.1', '[::1]', '::ffff:10.2.0.1', '169.254.169.254']) {
    const refused = await register(core, { id: 'outside', host });
    t.like(refused, { ok: false, problem: { code: 'invalid', facts: { errors: [{ pointer: '/host' }] } } });
  }
  const moved = { type: 'UpdateService', data: { id: 'inside', host: '10.2.0.1' } };
  t.is(faultOf(await core.execute(moved, context)), 'invalid');
  const probed = await register(core, {
    id: 'inside',
    host: '10.1.2.3',
    healthCheckUrl: 'http://10.2.0.1/health',
  });
  t.like(probed, { ok: false, problem: { facts: { errors: [{ pointer: '/healthCheckUrl' }] } } });
  await core.close();
});

for (const host of ['a b', 'a\r\nX: y', 'user@host', 'host/path', '127.1', '0x7f000001', '[math]', '']) {
  test(`a service whose host is ${JSON.stringify(host)} is refused`, async (t) => {
    const core = await open(await folderFor(t));
    const refused = await register(core, { host });
    t.like(refused, { ok: false, problem: { code: 'invalid', facts: { errors: [{ pointer: '/host' }] } } });
    await core.close();
  });
}

test('a service that cannot be read at the start is known again once the read models are rebuilt', async (t) => {
  const folder = await folderFor(t);
  const first = await open(folder);
  await register(first, { id: 'a', metadata: { note: 'precious-marker' } });
  await register(first, { id: 'b' });
  await first.close();
  for (const path of globSync(join(folder, 'read-models/*/read-models.mdb'))) {
    const bytes = readFileSync(path);
    for (let at = bytes.indexOf('precious-marker'); at >= 0; at = bytes.indexOf('precious-marker', at + 1)) {
      bytes[at] = 0x50;
    }
    writeFileSync(path, bytes);
  }
  const second = await open(folder);
  for (const id of ['a', 'b']) {
    for (;;) {
      const beat = await second.heartbeat(id, {}, context).catch((error: unknown) => error);
      if (beat instanceof Error || !(beat as Result<unknown>).ok) await delay(10);
      else break;
    }
  }
  const services = await second.services({}, context);
  t.deepEqual(services.ok && services.value.services.map(({ id }) => id), ['a', 'b']);
  await second.close();
});
