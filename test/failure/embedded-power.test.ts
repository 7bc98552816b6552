import { join } from 'node:path';
import test from 'ava';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { isLong, skipped, skippedUnlessLong } from '../support/skip.ts';
import { type Acknowledged, checkLog, startWriter } from './embedded-rounds.ts';
import { type LoopDisk, mountLoopDisk, whyNoLoopDisk } from './loop-disk.ts';

const rounds = 20;

const reason = isLong ? whyNoLoopDisk() : undefined;

/** 64 writers until so many are acknowledged, then no power; answers what was acknowledged before. */
const writeUntilCut = async (disk: LoopDisk, count: number, noSync: boolean): Promise<Acknowledged[]> => {
  const directory = join(disk.directory, 'log');
  const writer = startWriter({
    directory,
    writers: 64,
    streams: 20,
    flushEvents: 300,
    reserveBytes: 0,
    noSync,
  });
  await writer.acknowledged(count);
  writer.process.kill('SIGSTOP');
  disk.cutPower();
  writer.process.kill('SIGKILL');
  await writer.exit;
  disk.remount();
  return writer.told.acknowledged;
};

/** How many of them the log lacks; all, when it cannot even be opened. */
const lostIn = async (directory: string, acknowledged: readonly Acknowledged[]): Promise<number> => {
  try {
    const log = await openEmbeddedLog({ directory, reserveBytes: 0 });
    const ids = new Set<string>();
    for (let after = log.start; ; ) {
      const page = await log.readAll({ after, limit: 10_000 });
      for (const event of page.events) ids.add(event.id);
      if (!page.more) break;
      after = page.position;
    }
    await log.close();
    return acknowledged.filter(({ id }) => !ids.has(id)).length;
  } catch {
    return acknowledged.length;
  }
};

test.serial('power cut › with 64 writers loses no acknowledged event', async (t) => {
  if (!isLong) return skippedUnlessLong(t, t.title);
  if (reason !== undefined) return skipped(t, t.title, reason);
  t.timeout(900_000);
  const disk = mountLoopDisk(512);
  t.teardown(() => disk.remove());
  const acknowledged: Acknowledged[] = [];
  for (let round = 0; round < rounds; round++) {
    acknowledged.push(...(await writeUntilCut(disk, 300 + ((round * 7_919) % 4_000), false)));
    await checkLog(t, join(disk.directory, 'log'), acknowledged);
  }
  t.log(`${rounds} rounds, ${acknowledged.length} acknowledged events, none lost`);
});

test.serial('power cut › its control: without fsync it loses', async (t) => {
  if (!isLong) return skippedUnlessLong(t, t.title);
  if (reason !== undefined) return skipped(t, t.title, reason);
  t.timeout(900_000);
  const disk = mountLoopDisk(512);
  t.teardown(() => disk.remove());
  const acknowledged = await writeUntilCut(disk, 3_000, true);
  const lost = await lostIn(join(disk.directory, 'log'), acknowledged);
  t.true(lost > 0);
  t.log(`${lost} of ${acknowledged.length} acknowledged events lost`);
});
