import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { startHubProcess } from '../support/hub-process.ts';
import { isLong, skipped, skippedUnlessLong } from '../support/skip.ts';
import { checkSound, headOf, nothingTold, random, writeAll } from './hub-rounds.ts';
import { mountLoopDisk, whyNoLoopDisk } from './loop-disk.ts';

const rounds = 10;
const writers = 64;
const seed = Number(process.env.NEXUS_TEST_SEED ?? 7);

test('power cut › of a hub with 64 writers loses nothing acknowledged, and its read models equal a rebuild', async (t) => {
  if (!isLong) return skippedUnlessLong(t, t.title);
  const reason = whyNoLoopDisk();
  if (reason !== undefined) return skipped(t, t.title, reason);
  t.timeout(900_000);
  const disk = mountLoopDisk(768);
  t.teardown(() => disk.remove());
  const folder = join(disk.directory, 'hub');
  mkdirSync(folder);
  const draw = random(seed);
  const told = nothingTold();
  let events = 0;
  for (let number = 0; number < rounds; number++) {
    const hub = await startHubProcess(folder);
    try {
      const before = await headOf(hub);
      const writing = writeAll(hub, told, { writers, name: String(number), seed: seed + number });
      const cutAt = before + 1 + Math.floor(draw() * 3_000);
      while ((await headOf(hub)) < cutAt);
      process.kill(hub.pid, 'SIGSTOP');
      disk.cutPower();
      await hub.kill('SIGKILL');
      await writing;
    } finally {
      await hub.kill('SIGKILL');
    }
    disk.remount();
    t.deepEqual([told.refused, told.pending], [[], []], `round ${number}`);
    events = await checkSound(t, folder, told.acknowledged);
  }
  t.log(`seed ${seed}: ${rounds} rounds, ${told.acknowledged.length} acknowledged, ${events} events`);
});
