import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asPosition, type Position } from '../../domain/event.ts';
import { createHandler } from '../../src/command/handle.ts';
import { parseConfig } from '../../src/config.ts';
import { createDeciders } from '../../src/core/deciders.ts';
import { createReads } from '../../src/core/reads.ts';
import { createStateCommands } from '../../src/core/state-commands.ts';
import { createStateQueries } from '../../src/core/states.ts';
import { type Core, openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import type { Context } from '../../src/nexus-core.ts';

const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };

const open = async (t: ExecutionContext): Promise<Core> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-consistency-'));
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const core = await openCore(
    { ...parsed.config, log: [`file:${folder}`] },
    { logger: createLogger('silent') },
  );
  t.teardown(async () => {
    await core.close();
    await rm(folder, { recursive: true, force: true });
  });
  return core;
};

const set = (core: Core, key: string, value: number) =>
  core.execute({ type: 'SetState', data: { key, value } }, context);

/** Where the log's next event will stand: the read models are behind a log that says it has it. */
const nextOf = async ({ parts: { log } }: Core): Promise<Position> => {
  const position = await log.position();
  return asPosition((BigInt(`0x${position}`) + 1n).toString(16).padStart(position.length, '0'));
};

/** Whatever was asked before is not answered until `next` has happened, and then by what `next` made. */
const answeredBehind = async <Value>(asked: Promise<Value>, next: () => Promise<unknown>): Promise<Value> => {
  const order: string[] = [];
  const answer = asked.then((value) => {
    order.push('answer');
    return value;
  });
  // Reads that need not wait are answered in a few turns of the queue.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  order.push('next');
  await next();
  const value = await answer;
  if (order[0] !== 'next') throw new Error('it was answered from what was there');
  return value;
};

test('reads after a start › wait until the read models show what the log had when it was found', async (t) => {
  const core = await open(t);
  await set(core, 'k', 1);
  const hub = Object.create(core.parts.hub, { began: { value: await nextOf(core) } });
  const queries = createStateQueries(createReads({ ...core.parts, hub }), core.parts);
  const read = await answeredBehind(Promise.resolve(queries.state('k', {}, context)), () =>
    set(core, 'k', 2),
  );
  t.like(read, { ok: true, value: { value: 2, version: 2 } });
});

test('a strong read › waits until the read models show what the log has', async (t) => {
  const core = await open(t);
  await set(core, 'k', 1);
  const next = await nextOf(core);
  const log = { ...core.parts.log, position: () => Promise.resolve(next) };
  const queries = createStateQueries(createReads({ ...core.parts, log }), core.parts);
  t.like(await queries.state('k', {}, context), { value: { version: 1 } }, 'another read does not');
  const strong: Context = { ...context, consistency: 'strong' };
  const read = await answeredBehind(Promise.resolve(queries.state('k', {}, strong)), () => set(core, 'k', 2));
  t.like(read, { ok: true, value: { value: 2, version: 2 } });
});

test('a refusal › is told once the read models show the version that it names', async (t) => {
  const core = await open(t);
  await set(core, 'k', 1);
  const { runner } = core.parts;
  const next = await nextOf(core);
  const log = { ...core.parts.log, position: () => Promise.resolve(next) };
  const execute = createStateCommands({ ...core.parts, log }, createHandler(log), createDeciders(runner));
  const metadata = { actor: 'me', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
  const refused = execute(
    { type: 'SetState', data: { key: 'k', value: 3, expectedVersion: 7 } },
    { context, metadata },
  );
  const answer = await answeredBehind(refused, () => set(core, 'other', 1));
  t.like(answer, { ok: false, problem: { code: 'version_conflict' } });
});

test('strong reads › of one request ask once between them where the log is, others each for itself', async (t) => {
  const core = await open(t);
  let asked = 0;
  const position = () => {
    asked++;
    return core.parts.log.position();
  };
  const reads = createReads({ ...core.parts, log: { ...core.parts.log, position } });
  const strong: Context = { ...context, consistency: 'strong' };
  const together: Context = { ...strong, together: true };
  const sixteen = (of: () => Context) => Promise.all(Array.from({ length: 16 }, () => reads.ready(of())));
  await sixteen(() => together);
  t.is(asked, 1);
  await sixteen(() => ({ ...together }));
  t.is(asked, 17, 'another request asks anew');
  await sixteen(() => strong);
  t.is(asked, 33);
});
