import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseConfig } from '../../src/config.ts';
import { openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import type { Context } from '../../src/nexus-core.ts';
import { until } from '../support/until.ts';

const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };

test('a service that was silent for its removeAfterSec is deregistered in the log, by the hub, with the reason', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-removal-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  let aheadMs = 0;
  const core = await openCore(parsed.config, {
    logger: createLogger('silent'),
    clock: () => Date.now() + aheadMs,
  });
  t.teardown(core.close);
  const register = (id: string, ttlSec: number, removeAfterSec: number | null) =>
    core.execute(
      {
        type: 'RegisterService',
        data: { id, name: 'math', version: '1.0.0', host: '127.0.0.1', port: 9, ttlSec, removeAfterSec },
      },
      context,
    );
  t.true((await register('gone', 10, 10)).ok);
  t.true((await core.heartbeat('gone', {}, context)).ok);
  aheadMs = 20_000;
  // What falls due is looked at when the next alarm rings: that of this one.
  t.true((await register('other', 1, null)).ok);
  await until(async () => !(await core.service('gone', {}, context)).ok);

  const events = await core.stream('service-gone', {}, context);
  if (!events.ok) throw new Error(events.problem.detail);
  t.like(events.value.events.slice(-2), [
    { type: 'ServiceStatusChanged', data: { from: 'healthy', to: 'offline', cause: 'ttl' } },
    {
      type: 'ServiceDeregistered',
      data: { reason: 'offline for 10 s: no heartbeat within 10 s' },
      metadata: { actor: 'system' },
    },
  ]);
  t.like(await core.heartbeat('gone', {}, context), { ok: false, problem: { code: 'not_found' } });
  t.like(await core.service('other', {}, context), { ok: true });
});
