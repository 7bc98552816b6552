import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseConfig } from '../../src/config.ts';
import { openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import type { CommandInput, Context } from '../../src/nexus-core.ts';
import { openHub } from '../support/hub.ts';

const hub = await openHub();
test.after.always(() => hub.close());

const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };
const run = async (type: string, data: object, more: Partial<CommandInput> = {}) => {
  const done = await hub.core.execute({ type, data, ...more }, context);
  return done.ok ? 'done' : done.problem.code;
};
const taking = (type: string): object => ({ add: { input: { type } } });
const service = (name: string, id: string, methods: object, more = {}): object => ({
  ...{ name, id, methods, version: '1.0.0', host: '127.0.0.1', port: 9 },
  ...more,
});
const interfacesOf = async (name: string) => {
  const found = await hub.core.serviceInterface(name, context);
  return found.ok ? found.value.interfaces.map(({ version, methods }) => ({ version, methods })) : undefined;
};
const typesIn = async (stream: string): Promise<readonly string[]> => {
  const found = await hub.core.stream(stream, {}, context);
  return found.ok ? found.value.events.map(({ type }) => type) : [];
};

test('of registrations that come at once and contradict each other › those that agree with the first are taken', async (t) => {
  const types = ['string', 'number', 'boolean', 'string', 'array', 'string'];
  const answers = await Promise.all(
    types.map((type, index) => run('RegisterService', service('race', `race-${index}`, taking(type)))),
  );
  t.deepEqual(
    answers,
    types.map((type) => (type === 'string' ? 'done' : 'breaking_change')),
  );
  t.deepEqual(await typesIn('interface-race'), ['InterfaceDeclared']);
});

test('a registration that is refused behind its interface › leaves one that the next attempt finds', async (t) => {
  const input = service('half', 'half-1', taking('string'));
  t.is(await run('RegisterService', input, { expectedRevision: 7 }), 'revision_conflict');
  t.deepEqual(await interfacesOf('half'), [{ version: '1.0.0', methods: taking('string') }]);
  t.is(await run('RegisterService', input), 'done');
  t.deepEqual(await typesIn('interface-half'), ['InterfaceDeclared']);
});

test('an instance that takes another name › is compared with that name’s interface', async (t) => {
  await run('RegisterService', service('one', 'one-1', taking('string')));
  await run('RegisterService', service('two', 'two-1', taking('number')));
  t.is(await run('UpdateService', { id: 'one-1', name: 'two' }), 'breaking_change');
  t.is(await run('UpdateService', { id: 'one-1', name: 'two', methods: taking('number') }), 'done');
  t.is(await run('UpdateService', { id: 'two-1', version: '2.0.0', methods: taking('string') }), 'done');
  t.is((await interfacesOf('two'))?.length, 2);
});

test('changes that say nothing of name, version and methods › write nothing of an interface', async (t) => {
  await run('RegisterService', service('still', 'still-1', taking('string')));
  t.is(await run('UpdateService', { id: 'still-1', weight: 4, tags: ['x'] }), 'done');
  t.is(await run('UpdateService', { id: 'still-1', status: 'draining' }), 'done');
  t.is(await run('RegisterService', service('still', 'still-1', taking('string'), { weight: 2 })), 'done');
  t.deepEqual(await typesIn('interface-still'), ['InterfaceDeclared']);
});

test('two updates of one instance at once › are each compared with what stands before them', async (t) => {
  await run('RegisterService', service('both', 'both-1', taking('string')));
  const answers = await Promise.all([
    run('UpdateService', { id: 'both-1', methods: { ...taking('string'), sub: {} } }),
    run('UpdateService', { id: 'both-1', methods: { ...taking('string'), mul: {} } }),
  ]);
  t.deepEqual(answers, ['done', 'breaking_change']);
  t.deepEqual(await interfacesOf('both'), [{ version: '1.0.0', methods: { ...taking('string'), sub: {} } }]);
});

test('RegisterService with a command id › declares and registers once, however often it is sent', async (t) => {
  const data = service('once', 'once-1', taking('string'));
  const answers = await Promise.all([1, 2, 3].map(() => run('RegisterService', data, { commandId: 'once' })));
  t.deepEqual(answers, ['done', 'done', 'done']);
  t.is(await run('RegisterService', { ...data, weight: 2 }, { commandId: 'once' }), 'idempotency_mismatch');
  t.deepEqual(await typesIn('interface-once'), ['InterfaceDeclared']);
  t.deepEqual(await typesIn('service-once-1'), ['ServiceRegistered']);
});

test('interfaces › hold after a restart, and after their read model was lost', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-interfaces-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, log: [`file:${folder}/log`] };
  let before: unknown;
  for (const start of ['first', 'again', 'rebuilt']) {
    const core = await openCore(config, { watchdogMs: 60_000, logger: createLogger('silent') });
    const register = (type: string) =>
      core.execute({ type: 'RegisterService', data: service('stay', 'stay-1', taking(type)) }, context);
    t.true((await register('string')).ok, start);
    before ??= await core.serviceInterface('stay', context);
    t.deepEqual(await core.serviceInterface('stay', context), before as never, start);
    t.like(await register('number'), { ok: false, problem: { code: 'breaking_change' } }, start);
    await core.close();
    if (start === 'again') await rm(join(folder, 'read-models'), { recursive: true });
  }
});
