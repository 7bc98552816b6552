import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { StreamId } from '../../domain/event.ts';
import { isLong } from '../support/skip.ts';
import { type Acknowledged, checkLog, startWriter } from './embedded-rounds.ts';

const rounds = isLong ? 50 : 3;

/** Some acknowledgements after which the process is killed: a moment that no clock decides. */
const moment = (round: number): number => 200 + ((round * 7_919) % 5_000);

test('kill -9 › of 64 writers loses no acknowledged event and repeats none', async (t) => {
  t.timeout(600_000);
  const directory = mkdtempSync(join(tmpdir(), 'nexus-kill-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const acknowledged: Acknowledged[] = [];
  for (let round = 0; round < rounds; round++) {
    const flushEvents = round % 2 === 0 ? 300 : 16_384;
    const writer = startWriter({ directory, writers: 64, streams: 20, flushEvents });
    await writer.acknowledged(moment(round));
    writer.process.kill('SIGKILL');
    const { signal, stderr } = await writer.exit;
    t.is(signal, 'SIGKILL', stderr);
    acknowledged.push(...writer.told.acknowledged);
    const events = await checkLog(t, directory, acknowledged);
    t.true(events >= acknowledged.length);
  }
  t.log(`${rounds} rounds, ${acknowledged.length} acknowledged events`);
});

test('kill -9 › amid truncations and scavenges keeps what is visible and hides what was truncated', async (t) => {
  t.timeout(600_000);
  const directory = mkdtempSync(join(tmpdir(), 'nexus-scavenge-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const acknowledged: Acknowledged[] = [];
  const truncated = new Map<StreamId, number>();
  let scavenged = 0;
  for (let round = 0; round < rounds; round++) {
    const flushEvents = round % 2 === 0 ? 300 : 16_384;
    const writer = startWriter({ directory, writers: 16, streams: 10, flushEvents, scavenges: true });
    await writer.acknowledged(moment(round));
    writer.process.kill('SIGKILL');
    const { signal, stderr } = await writer.exit;
    t.is(signal, 'SIGKILL', stderr);
    acknowledged.push(...writer.told.acknowledged);
    for (const [stream, before] of writer.told.truncated) {
      truncated.set(stream, Math.max(before, truncated.get(stream) ?? 0));
    }
    scavenged += writer.told.scavenged;
    await checkLog(t, directory, acknowledged, truncated);
  }
  t.true(scavenged > 0, 'the scavenger was at work');
  t.log(`${rounds} rounds, ${acknowledged.length} acknowledged events, ${scavenged} scavenged`);
});
