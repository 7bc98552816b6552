import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Position } from '../../domain/event.ts';
import type { StatePolicyState } from '../../domain/state-policy/policy.ts';
import { parseConfig } from '../../src/config.ts';
import { openCore } from '../../src/core.ts';
import type { Context } from '../../src/nexus-core.ts';
import type { ReadChange } from '../../src/projection/read-store.ts';
import { openStatePolicies } from '../../src/state/policies.ts';
import { quiet } from '../registry/support.ts';
import { positionAt } from '../support/recorded.ts';
import { policyOf } from '../support/state-policies.ts';

type Newest = { readonly state: StatePolicyState; readonly revision: number };

const as = (id: string, ...scopes: readonly string[]): Context => ({
  subject: { id, scopes },
  correlationId: 'c',
});

test('policies › hold from the first write on, also while the read models are built from nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-policies-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const parsed = parseConfig(['--data-dir', folder], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, log: [`file:${folder}`], stateFile: 'none' };
  const first = await openCore(config, { watchdogMs: 60_000, logger: quiet });
  const admin = as('root', 'admin');
  await Promise.all(
    Array.from({ length: 3_000 }, (_, n) =>
      first.execute({ type: 'SetState', data: { key: `k/${n}`, value: n } }, admin),
    ),
  );
  const data = { pattern: 'app/*', owner: { subject: 'ann' }, maxKeys: 1 };
  t.true((await first.execute({ type: 'SetStatePolicy', data }, admin)).ok);
  await first.close();
  await rm(join(folder, 'read-models'), { recursive: true });

  const second = await openCore(config, { watchdogMs: 60_000, logger: quiet });
  t.teardown(() => second.close());
  // As the sockets of a hub do: none of the core's own timers keeps a process.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  t.false(second.parts.runner.ready, 'the read models are being built');
  const set = (id: string, key: string) =>
    second.execute({ type: 'SetState', data: { key, value: 1 } }, as(id, 'state:write:*'));
  const [bob, ann, more] = await Promise.all([set('bob', 'app/x'), set('ann', 'app/y'), set('ann', 'app/z')]);
  t.is(bob.ok ? 'ok' : bob.problem.code, 'forbidden');
  t.deepEqual([ann, more].map((done) => (done.ok ? 'ok' : done.problem.code)).toSorted(), [
    'ok',
    'quota_exceeded',
  ]);
});

test('policies › are unknown until they are read, again when that failed or other read models serve, and only grow newer', async (t) => {
  let fold = (_changes: readonly ReadChange[]): void => {};
  let swap = (): void => {};
  const runner = {
    onFolded: (listener: (changes: readonly ReadChange[], position: Position) => void) => {
      fold = (changes) => listener(changes, positionAt(1));
      return () => {};
    },
    onSwapped: (listener: () => void) => {
      swap = listener;
    },
  };
  const reads: PromiseWithResolvers<Newest>[] = [];
  const policies = openStatePolicies(runner, () => {
    const read = Promise.withResolvers<Newest>();
    reads.push(read);
    return read.promise;
  });
  let changes = 0;
  policies.onChanged(() => changes++);
  const named = (resolver: string) => policyOf('a/*', { resolver });
  const folded = (resolver: string, revision: number) =>
    fold([
      {
        model: 'state-policies',
        key: 'state-policies',
        document: { policies: [named(resolver)], revision, position: positionAt(revision) },
      },
    ]);

  t.truthy(policies.unknown());
  reads[0]?.reject(new Error('the log is away'));
  await t.throwsAsync(async () => policies.unknown(), { message: 'the log is away' });
  const known = policies.unknown();
  reads[1]?.resolve({ state: { policies: [named('max')] }, revision: 4 });
  await known;
  t.is(policies.unknown(), undefined);
  t.is(policies.resolverOf('a/b'), 'max');
  folded('set-union', 3);
  t.is(policies.resolverOf('a/b'), 'max', 'an older event is folded late');
  folded('deep-merge', 5);
  t.is(policies.resolverOf('a/b'), 'deep-merge');
  t.is(changes, 2);
  swap();
  t.truthy(policies.unknown());
  t.is(policies.resolverOf('a/b'), 'deep-merge', 'what was known holds meanwhile');
  reads[2]?.resolve({ state: { policies: [named('reject')] }, revision: 0 });
  await policies.unknown();
  t.is(policies.resolverOf('a/b'), 'reject', 'another log has other policies');
  swap();
  reads[3]?.resolve({ state: { policies: [] }, revision: -1 });
  await policies.unknown();
  t.is(policies.resolverOf('a/b'), undefined, 'or none at all');
  policies.close();
});
