import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isLong, skipped } from '../support/skip.ts';
import { checkLog, startWriter, type Writer } from './embedded-rounds.ts';
import { traced, whyNoInjection } from './inject.ts';

const nth = isLong ? Array.from({ length: 30 }, (_, index) => index + 1) : [2, 7, 20];

/** A writer on `directory` of which strace injects a fault into one system call. All writes use one thread. */
const startFaulty = (directory: string, fault: string, watchdogMs = 2_000): Writer =>
  startWriter(
    { directory, writers: 16, streams: 5, flushEvents: 100, watchdogMs },
    traced('/dev/null', '-e', `trace=${fault.split(':', 1)}`, '-e', `inject=${fault}`),
    { UV_THREADPOOL_SIZE: '1' },
  );

/** A sound log with some events; opening it again writes nothing that the fault could hit first. */
const prepare = async (t: ExecutionContext): Promise<{ directory: string; first: Writer }> => {
  const directory = mkdtempSync(join(tmpdir(), 'nexus-eio-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const first = startWriter({ directory, writers: 4, streams: 5 });
  await first.acknowledged(50);
  first.process.kill('SIGKILL');
  await first.exit;
  return { directory, first };
};

/**
 * The process ended by itself, with a message, and nobody was told of a success after the failure. lmdb overruns a
 * buffer of its own when it words the error of a failed page write, so that some runs abort before they can say more.
 */
const assertFailedForGood = async (t: ExecutionContext, writer: Writer, what: string): Promise<void> => {
  const { code, signal, stderr } = await writer.exit;
  const { told } = writer;
  t.regex(stderr, /Input\/output error|hangs|log_failed/, `${what}: the end is explained`);
  t.false(/[fr].*a/.test(told.order), `${what}: nothing is acknowledged after it`);
  if (signal !== null) {
    t.true(signal === 'SIGABRT' || signal === 'SIGSEGV', `${what}: ${signal}`);
    return;
  }
  t.is(code, 1, `${what}: ${stderr}`);
  if (told.order === '') return;
  t.deepEqual(told.failed, ['log_failed'], `${what}: the failure is told once`);
  t.is(told.refused.length, 16, `${what}: every writer is told`);
  t.deepEqual([...new Set(told.refused)], ['log_failed'], what);
  t.true(told.ended, `${what}: nothing stays pending`);
};

for (const call of ['pwrite64', 'fdatasync']) {
  test(`EIO › from the n-th ${call} ends the log: no acknowledgement after it, and a sound next start`, async (t) => {
    const reason = whyNoInjection();
    if (reason !== undefined) return skipped(t, t.title, reason);
    t.timeout(600_000);
    const { directory, first } = await prepare(t);
    const acknowledged = [...first.told.acknowledged];
    for (const n of nth) {
      const writer = startFaulty(directory, `${call}:error=EIO:when=${n}`);
      await assertFailedForGood(t, writer, `${call} ${n}`);
      acknowledged.push(...writer.told.acknowledged);
      await checkLog(t, directory, acknowledged);
    }
    t.log(`${nth.length} faults, ${acknowledged.length} acknowledged events`);
  });
}

test('EIO › its control: without a fault the same writers go on', async (t) => {
  const reason = whyNoInjection();
  if (reason !== undefined) return skipped(t, t.title, reason);
  const { directory } = await prepare(t);
  const writer = startFaulty(directory, 'pwrite64:error=EIO:when=65535');
  await writer.acknowledged(500);
  t.true(writer.told.acknowledged.length >= 500);
  t.deepEqual(writer.told.failed, []);
  t.deepEqual(writer.told.refused, []);
  writer.process.kill('SIGKILL');
  await writer.exit;
});

test('hanging disk › ends the log although no call has failed', async (t) => {
  const reason = whyNoInjection();
  if (reason !== undefined) return skipped(t, t.title, reason);
  const { directory, first } = await prepare(t);
  // The call returns long after the log has given up; the process cannot end before it.
  const writer = startFaulty(directory, 'fdatasync:delay_enter=1500000:when=9', 250);
  await assertFailedForGood(t, writer, 'a write that hangs');
  await checkLog(t, directory, [...first.told.acknowledged, ...writer.told.acknowledged]);
});
