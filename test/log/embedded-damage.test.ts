import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { asPosition, asRevision, asStreamId } from '../../domain/event.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { LogError } from '../../src/log/event-log.ts';
import { newEvent, newEvents, numbers } from './contract/fixture.ts';
import { flipBit, readEverything, temporaryFolder, withLog } from './embedded-fixture.ts';

const one = asStreamId('topic-one');
const two = asStreamId('topic-two');
const pad = 'x'.repeat(20_000);

test('a flipped bit in a record is an error that names folder and position, never other data', async (t) => {
  const directory = temporaryFolder(t);
  await withLog({ directory }, async (log) => {
    await log.append(one, [newEvent({ n: 0, pad })], 'none');
    await log.append(two, [newEvent({ n: 1, pad: `${pad}-needle-${pad}` })], 'none');
    await log.append(one, [newEvent({ n: 2, pad })], 'any');
  });
  t.true(flipBit(join(directory, 'records', 'data.mdb'), '-needle-') > 0);

  await withLog({ directory }, async (log) => {
    const damaged = {
      instanceOf: LogError,
      code: 'log_corrupt',
      message: new RegExp(`position 0{15}2 in ${join(directory, 'records')}`),
    };
    const error = await t.throwsAsync(log.readStream(two, { limit: 10 }), damaged);
    t.deepEqual(error?.facts, { directory: join(directory, 'records'), position: '0000000000000002' });
    await t.throwsAsync(log.readAll({ limit: 10 }), damaged);
    await t.throwsAsync(log.readAll({ limit: 10, category: 'topic', direction: 'backwards' }), damaged);
    const watching = log
      .watch({ after: log.start, signal: new AbortController().signal })
      [Symbol.asyncIterator]();
    await t.throwsAsync(Promise.resolve(watching.next()), damaged);

    t.deepEqual(numbers(await log.readStream(one, { limit: 10 })), [0, 2], 'what is sound can be read');
    t.deepEqual(numbers((await log.readAll({ limit: 1 })).events), [0]);
    t.true((await log.append(two, [newEvent()], asRevision(0))).ok, 'and written');
  });
});

test('a flipped bit in the newest record stops the start', async (t) => {
  const directory = temporaryFolder(t);
  await withLog({ directory }, async (log) => {
    await log.append(one, [newEvent({ pad: '-needle-' })], 'none');
  });
  t.true(flipBit(join(directory, 'records', 'data.mdb'), '-needle-') > 0);
  await t.throwsAsync(openEmbeddedLog({ directory, watchdogMs: 60_000 }), {
    instanceOf: LogError,
    code: 'log_corrupt',
  });
});

test('a lost index is made again from the records', async (t) => {
  const directory = temporaryFolder(t);
  const events = newEvents(300);
  const before = await withLog({ directory, flushEvents: 50 }, async (log) => {
    for (let n = 0; n < 300; n += 3) await log.append(n % 2 === 0 ? one : two, events.slice(n, n + 3), 'any');
    return { all: await readEverything(log), one: await log.readStream(one, { limit: 1_000 }) };
  });
  rmSync(join(directory, 'index'), { recursive: true });
  await withLog({ directory, flushEvents: 50 }, async (log) => {
    t.deepEqual(await readEverything(log), before.all);
    t.deepEqual(await log.readStream(one, { limit: 1_000 }), before.one);
    t.deepEqual((await log.readAll({ category: 'topic', limit: 1_000 })).events, before.all);
    const again = await log.append(one, events.slice(0, 3), 'any');
    t.true(again.ok && again.duplicate, 'ids are known again');
  });
});

test('a flipped bit in the index is found out, and the next start makes the index again', async (t) => {
  const directory = temporaryFolder(t);
  await withLog({ directory }, async (log) => {
    for (let n = 0; n < 5; n++) await log.append(one, [newEvent({ n })], 'any');
  });
  // The block of the stream's places: a count of five, then the place of the first event.
  const block = Buffer.alloc(12);
  block.writeUInt32LE(5, 0);
  block.writeDoubleLE(4_096, 4);
  t.true(flipBit(join(directory, 'index', 'data.mdb'), block) > 0);
  await withLog({ directory }, async (log) => {
    await t.throwsAsync(log.readStream(one, { limit: 10 }), { instanceOf: LogError, code: 'log_corrupt' });
    t.deepEqual(numbers(await readEverything(log)), [0, 1, 2, 3, 4], 'the log itself is sound');
  });
  await withLog({ directory }, async (log) => {
    t.deepEqual(numbers(await log.readStream(one, { limit: 10 })), [0, 1, 2, 3, 4]);
  });
});

test('an index that is no database is made again', async (t) => {
  const directory = temporaryFolder(t);
  await withLog({ directory }, async (log) => {
    await log.append(one, newEvents(3), 'any');
  });
  const file = join(directory, 'index', 'data.mdb');
  const length = readFileSync(file).length;
  writeFileSync(file, Buffer.alloc(length, 0x55));
  await withLog({ directory }, async (log) => {
    t.deepEqual(numbers(await log.readStream(one, { limit: 10 })), [0, 1, 2]);
  });
});

test('records that are no database stop the start', async (t) => {
  const directory = temporaryFolder(t);
  await withLog({ directory }, (log) => log.append(one, newEvents(3), 'any'));
  writeFileSync(join(directory, 'records', 'data.mdb'), Buffer.alloc(100_000));
  await t.throwsAsync(openEmbeddedLog({ directory, watchdogMs: 60_000 }), {
    instanceOf: LogError,
    code: 'log_corrupt',
  });
});

test('a creation that lost its power before anything was written is begun anew', async (t) => {
  const directory = temporaryFolder(t);
  for (const folder of ['records', 'index']) {
    mkdirSync(join(directory, folder));
    writeFileSync(join(directory, folder, 'data.mdb'), Buffer.alloc(8_192));
  }
  await withLog({ directory }, async (log) => {
    t.true((await log.append(one, newEvents(1), 'none')).ok);
  });
});

test('records that were put back from an older copy get an index of their own', async (t) => {
  const directory = temporaryFolder(t);
  await withLog({ directory }, (log) => log.append(one, newEvents(3), 'any'));
  cpSync(join(directory, 'records'), join(directory, 'copy'), { recursive: true });
  await withLog({ directory }, (log) => log.append(one, newEvents(3, 3), 'any'));
  rmSync(join(directory, 'records'), { recursive: true });
  cpSync(join(directory, 'copy'), join(directory, 'records'), { recursive: true });
  await withLog({ directory }, async (log) => {
    t.is(await log.position(), asPosition('0000000000000003'));
    t.deepEqual(numbers(await log.readStream(one, { limit: 10 })), [0, 1, 2]);
    const result = await log.append(one, [newEvent({ n: 'new' })], asRevision(2));
    t.true(result.ok && !result.duplicate);
  });
});

test('a folder that is open already is refused with its owner named', async (t) => {
  const directory = temporaryFolder(t);
  await withLog({ directory }, async () => {
    await t.throwsAsync(openEmbeddedLog({ directory, watchdogMs: 60_000 }), {
      instanceOf: LogError,
      code: 'log_failed',
      message: new RegExp(`process ${process.pid} on `),
    });
  });
  t.true(existsSync(directory));
  await withLog({ directory }, async (log) => {
    t.true(log.reachable);
  });
});
