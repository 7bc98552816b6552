import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asRevision, asStreamId, type NewEvent } from '../../domain/event.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { type EventLog, LogError } from '../../src/log/event-log.ts';
import { isLong, skipped, skippedUnlessLong } from '../support/skip.ts';
import { mountLoopDisk, whyNoLoopDisk } from './loop-disk.ts';

const longReason = isLong ? whyNoLoopDisk() : undefined;

const event = (bytes: number): NewEvent => ({
  id: newId(),
  type: 'Filled',
  data: { pad: 'x'.repeat(bytes) },
  metadata: { actor: 'local', correlationId: 'c', causationId: null, node: 'n', schema: 1 },
});

const stream = asStreamId('fill-1');

/** Appends until the log refuses; the number of events that it took. */
const fill = async (t: ExecutionContext, log: EventLog, bytes: number, together = 1): Promise<number> => {
  for (let count = 0; ; count += together) {
    try {
      const events = Array.from({ length: together }, () => event(bytes));
      t.true((await log.append(stream, events, 'any')).ok);
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      t.is(error.code, 'log_full', error.message);
      return count;
    }
  }
};

/** Full: refused before it was written, again and again, while everything that stands there can be read. */
const assertFull = async (
  t: ExecutionContext,
  log: EventLog,
  count: number,
  bytes: number,
): Promise<void> => {
  const refusals = await Promise.allSettled(
    Array.from({ length: 20 }, () => log.append(asStreamId('fill-2'), [event(bytes)], 'any')),
  );
  for (const refusal of refusals) t.is(refusal.status, 'rejected');
  t.true(log.reachable, 'a full log has not failed');
  t.is(await log.head(asStreamId('fill-2')), undefined, 'nothing of it was written');
  t.is((await log.head(stream))?.revision, asRevision(count - 1));
  t.is((await log.readAll({ direction: 'backwards', limit: 10 })).events.length, 10);
};

for (const [bytes, together] of [
  [200, 50],
  [20_000, 1],
  [400_000, 1],
] as const) {
  test(`full map › of events of ${bytes} bytes is refused before it is written, and passes after a scavenge`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'nexus-full-'));
    const failures: LogError[] = [];
    const options = {
      directory,
      mapSizeBytes: 12 * 2 ** 20,
      onFailure: (error: LogError) => failures.push(error),
    };
    let log = await openEmbeddedLog(options);
    t.teardown(async () => {
      await log.close();
      rmSync(directory, { recursive: true, force: true });
    });
    let written = 0;
    for (let round = 0; round < 3; round++) {
      const taken = await fill(t, log, bytes, together);
      t.true(taken > 0, 'there was room again');
      written += taken;
      await assertFull(t, log, written, bytes * together);
      if (round === 1) {
        await log.close();
        log = await openEmbeddedLog(options);
        await assertFull(t, log, written, bytes * together);
      }
      await log.truncate(stream, asRevision(written));
      t.true((await log.scavenge()).events > 0);
      t.is((await log.readStream(stream, { limit: 10 })).length, 1);
    }
    t.deepEqual(failures, []);
    t.log(`${written} events`);
  });
}

test('full disk › is refused as log_full while the reserve is touched', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'nexus-reserve-'));
  const log = await openEmbeddedLog({ directory, reserveBytes: Number.MAX_SAFE_INTEGER });
  t.teardown(async () => {
    await log.close();
    rmSync(directory, { recursive: true, force: true });
  });
  await t.throwsAsync(log.append(stream, [event(10)], 'none'), { instanceOf: LogError, code: 'log_full' });
  t.deepEqual((await log.readAll({ limit: 10 })).events, []);
});

test('full disk › of 64 MB is refused before it is written, and passes when there is room', async (t) => {
  if (!isLong) return skippedUnlessLong(t, t.title);
  if (longReason !== undefined) return skipped(t, t.title, longReason);
  const disk = mountLoopDisk(64);
  const directory = join(disk.directory, 'log');
  const failures: LogError[] = [];
  const log = await openEmbeddedLog({
    directory,
    reserveBytes: 8 * 2 ** 20,
    onFailure: (error) => failures.push(error),
  });
  t.teardown(async () => {
    await log.close();
    disk.remove();
  });
  const ballast = join(disk.directory, 'ballast');
  writeFileSync(ballast, Buffer.alloc(20 * 2 ** 20));
  const first = await fill(t, log, 10_000);
  await assertFull(t, log, first, 10_000);
  rmSync(ballast);
  const second = await fill(t, log, 10_000);
  t.true(second > 0, 'there was room again');
  await assertFull(t, log, first + second, 10_000);
  t.deepEqual(failures, []);
  t.log(`${first} events beside the ballast, ${second} after it`);
});
