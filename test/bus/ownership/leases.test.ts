import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openLeases } from '../../../src/bus/ownership/leases.ts';
import { parseConfig } from '../../../src/config.ts';
import { openCore } from '../../../src/core.ts';
import { quiet } from '../../registry/support.ts';
import { until } from '../../support/until.ts';

const names = Array.from({ length: 50 }, (_, index) => `name-${index}`);

test('a node that says where it is reached after it has its lease is chosen from then on, and told so', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-leases-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const core = await openCore(parsed.config, { watchdogMs: 60_000, logger: quiet });
  const { log, hub } = core.parts;
  const first = openLeases({ log, hub, node: 'first', logger: quiet });
  first.reachableAt('http://first:1');
  const late = openLeases({ log, hub, node: 'late', logger: quiet });
  await until(() => late.valid && late.others.get('first') === 'http://first:1');
  t.deepEqual(
    names.filter((name) => late.isChosen(name)),
    [],
  );
  const told = new Promise<void>((resolve) => late.onChange(resolve));
  late.reachableAt('http://late:1');
  await told;
  const own = names.filter((name) => late.isChosen(name));
  t.true(own.length > 0 && own.length < names.length);
  await until(() => first.others.get('late') === 'http://late:1');
  t.deepEqual(
    names.filter((name) => !first.isChosen(name)),
    own,
  );
  await late.close();
  await until(() => first.others.size === 0);
  t.true(names.every((name) => first.isChosen(name)));
  await first.close();
  await core.close();
});
