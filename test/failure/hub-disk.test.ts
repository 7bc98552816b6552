import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { open } from 'lmdb';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { isLong, skipped, skippedUnlessLong } from '../support/skip.ts';
import { checkSound, headOf, nothingTold, startSound, type Told, writeAll } from './hub-rounds.ts';
import { failing, whyNoInjection } from './inject.ts';

const noInjection = whyNoInjection();

type Fault = { readonly file: string; readonly calls: string; readonly when: string };

/** A hub on `folder`, with a fault when one is given; it is gone at the test's end. */
const start = async (t: ExecutionContext, folder: string, fault?: Fault): Promise<HubProcess> => {
  const prefix =
    fault === undefined ? [] : failing(join(folder, 'nexus-data', fault.file), fault.calls, fault.when);
  const hub = await startHubProcess(folder, [], { UV_THREADPOOL_SIZE: '1' }, prefix);
  t.teardown(() => hub.kill('SIGKILL'));
  return hub;
};

/** A folder with the data of a hub that ran and was stopped. */
const prepare = async (t: ExecutionContext, told: Told): Promise<string> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'nexus-hub-disk-')));
  t.teardown(() => rm(folder, { recursive: true }));
  const hub = await start(t, folder);
  const writing = writeAll(hub, told, { writers: 8, name: 'first', seed: 1 });
  while ((await headOf(hub)) < 100);
  await hub.kill('SIGTERM');
  await writing;
  return folder;
};

const endMessage = /nexus: a disk failed and this process ends: .*/;

/**
 * lmdb overruns a buffer of its own when it words the error of a failed page write, so that some runs abort before they
 * can say more.
 */
const assertEnded = (t: ExecutionContext, end: number | string, stderr: string, what: string): void => {
  if (end === 'SIGABRT' || end === 'SIGSEGV') t.regex(stderr, /Input\/output error/, what);
  else {
    t.is(end, 1, `${what}: ${stderr}`);
    t.regex(stderr, endMessage, what);
  }
};

/** Lets 64 writers write until the fault has ended the hub. Answers how long they waited for an end in vain, in ms. */
const writeIntoFault = async (
  t: ExecutionContext,
  folder: string,
  told: Told,
  fault: Fault,
  seed: number,
) => {
  const what = `${fault.calls} ${fault.when}`;
  let hub: HubProcess;
  try {
    hub = await start(t, folder, fault);
  } catch (error) {
    // It was hit before it was ready.
    t.regex(
      String(error),
      /ended with (1|SIGABRT|SIGSEGV) before it was ready: .*Input\/output error/s,
      what,
    );
    return 0;
  }
  told.acknowledgedAtMs = performance.now();
  await writeAll(hub, told, { writers: 64, name: `${fault.file}-${fault.calls}-${fault.when}`, seed });
  assertEnded(t, await hub.exited, hub.stderr(), what);
  t.deepEqual(told.pending, [], `${what}: every request is settled`);
  // Between the failed write of the read models and the end, lmdb refuses reads too: that is told as it is.
  const ofReads = (line: string) => fault.file.includes('read-models') && line.endsWith(': 503 not_ready');
  const refused = told.refused.filter((line) => !ofReads(line));
  t.deepEqual(refused, [], `${what}: the connection's end is the answer`);
  return told.settledAtMs - told.acknowledgedAtMs;
};

/** A few of each in the suite; all of `many` with NEXUS_LONG=1. */
const upTo = (last: number): string[] => Array.from({ length: last }, (_, index) => String(index + 1));
const writes = 'pwrite64,pwritev';
const log = 'log/records/data.mdb';
const index = 'log/index/data.mdb';
const readModels = 'read-models/generation-1/read-models.mdb';
const rounds: readonly { what: string; file: string; calls: string; few: string[]; many: string[] }[] = [
  { what: 'log', file: log, calls: writes, few: ['1', '40'], many: [...upTo(30), '5+', '40', '200'] },
  { what: 'log', file: log, calls: 'fdatasync', few: ['9'], many: [...upTo(30), '5+'] },
  { what: 'index', file: index, calls: writes, few: [], many: ['1', '2', '3', '10', '2+'] },
  { what: 'index', file: index, calls: 'fdatasync', few: [], many: ['1', '2', '1+'] },
  { what: 'read models', file: readModels, calls: writes, few: ['12+'], many: [...upTo(30), '5+', '40'] },
  { what: 'read models', file: readModels, calls: 'fdatasync', few: ['5'], many: [...upTo(30), '5+'] },
];

for (const what of ['log', 'read models', 'index']) {
  test(`EIO › of the ${what} under 64 writers ends the hub, loses nothing acknowledged, and leaves a sound next start`, async (t) => {
    if (noInjection !== undefined) return skipped(t, t.title, noInjection);
    if (!isLong && what === 'index') return skippedUnlessLong(t, t.title);
    t.timeout(1_800_000);
    const told = nothingTold();
    const folder = await prepare(t, told);
    let faults = 0;
    let waitedMs = 0;
    for (const { file, calls, few, many } of rounds.filter((round) => round.what === what)) {
      for (const when of isLong ? many : few) {
        const ms = await writeIntoFault(t, folder, told, { file, calls, when }, ++faults);
        waitedMs = Math.max(waitedMs, ms);
        if (isLong) await (await startSound(t, folder, told.acknowledged)).kill('SIGKILL');
      }
    }
    const events = await checkSound(t, folder, told.acknowledged);
    t.log(
      `${faults} faults, ${told.acknowledged.length} acknowledged, ${told.broken.length} cut off, ` +
        `${events} events, all settled at most ${Math.round(waitedMs)} ms after the last acknowledgement`,
    );
  });
}

test('EIO › of the index while the hub shuts down is told, and the next start is sound', async (t) => {
  if (noInjection !== undefined) return skipped(t, t.title, noInjection);
  const told = nothingTold();
  const folder = await prepare(t, told);
  const hub = await start(t, folder, { file: index, calls: 'fdatasync', when: '1' });
  const before = await headOf(hub);
  const writing = writeAll(hub, told, { writers: 4, name: 'last', seed: 3 });
  while ((await headOf(hub)) < before + 20);
  assertEnded(t, await hub.kill('SIGTERM'), hub.stderr(), 'the drain');
  await writing;
  await checkSound(t, folder, told.acknowledged);
});

test('EIO › its control: without a fault the same writers go on', async (t) => {
  if (noInjection !== undefined) return skipped(t, t.title, noInjection);
  const folder = await prepare(t, nothingTold());
  const told = nothingTold();
  const hub = await start(t, folder, { file: log, calls: writes, when: '65535' });
  const before = await headOf(hub);
  const writing = writeAll(hub, told, { writers: 64, name: 'control', seed: 4 });
  while ((await headOf(hub)) < before + 500);
  t.deepEqual([told.refused, told.broken, told.pending], [[], [], []]);
  t.is(await hub.kill('SIGTERM'), 0, hub.stderr());
  await writing;
});

test('hanging disk › a write that never ends ends the hub, although its thread cannot end', async (t) => {
  const told = nothingTold();
  const folder = await prepare(t, told);
  const hub = await start(t, folder);
  // Whoever holds the lock of lmdb's writers makes each of them wait, as a disk that does not answer would.
  const other = open({
    path: join(folder, 'nexus-data/log/records'),
    encoding: 'binary',
    maxDbs: 4,
    mapSize: 256 * 2 ** 30,
    overlappingSync: false,
  });
  const [held, free] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = other.transaction(async () => {
    held.resolve();
    await free.promise;
  });
  await held.promise;
  const writing = writeAll(hub, told, { writers: 16, name: 'hung', seed: 5 });
  t.is(await hub.exited, 1);
  t.regex(hub.stderr(), /nexus: a disk failed and this process ends: a write of the event log .* hangs/);
  await writing;
  t.deepEqual([told.pending, told.refused], [[], []]);
  free.resolve();
  await holding;
  await other.close();
  await checkSound(t, folder, told.acknowledged);
});
