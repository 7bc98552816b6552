import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readSnapshot } from '../../src/state/read-snapshot.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { readWholeLog, request, whenReady } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import { entriesIn, sampleEntries, snapshotOf } from '../support/snapshots.ts';
import { headOf, random } from './hub-rounds.ts';

/** 2 rounds in the suite; NEXUS_LONG=1 makes it 20. */
const rounds = isLong ? 20 : 2;
const keys = 3_000;
const seed = Number(process.env.NEXUS_TEST_SEED ?? 7);

test('kill -9 in the midst of a load › repeating it completes it, and each key was written once', async (t) => {
  t.timeout(10 * 60_000);
  const folder = await mkdtemp(join(tmpdir(), 'nexus-snapshot-kill-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const draw = random(seed);
  const entries = sampleEntries(keys);
  const text = await snapshotOf(entries);
  const stateFile = join(folder, 'state.json');
  const env = { NEXUS_STATE_FILE: stateFile, NEXUS_SNAPSHOT_EVERY_SEC: '1' };
  const load = (url: string) =>
    fetch(`${url}/snapshot`, { method: 'POST', body: text, headers: { 'content-type': 'application/json' } });
  for (let round = 0; round < rounds; round++) {
    const hub = await startHubProcess(folder, [], env);
    const loading = load(hub.url).then(
      (response) => response.status,
      () => 'cut',
    );
    // Drawn by how much is in the log: any place in the load may be hit.
    const killAt = Math.floor(draw() * keys * 0.9);
    while ((await headOf(hub)) < killAt);
    await hub.kill('SIGKILL');
    t.true(['cut', 200].includes(await loading));
    const read = await readSnapshot(stateFile);
    if (read.ok) await read.snapshot.close();
    // The periodic snapshot is whole, or was not there yet.
    t.true(read.ok || read.reason.startsWith('ENOENT'), read.ok ? '' : read.reason);
  }
  const hub = await startHubProcess(folder, [], env);
  t.teardown(() => hub.kill('SIGKILL'));
  await whenReady(hub.url);
  t.deepEqual(await readdir(join(folder, 'nexus-data', 'uploads')).catch(() => []), []);
  const done = await load(hub.url);
  t.is(done.status, 200);
  t.like((await done.json()) as object, { entries: keys });
  const saved = await fetch(`${hub.url}/snapshot`);
  const now = new Map(entriesIn(await saved.text()).map(({ key, value }) => [key, JSON.stringify(value)]));
  t.is(now.size, keys);
  t.true(entries.every(({ key, value }) => now.get(key) === JSON.stringify(value)));
  const sets = (await readWholeLog(hub.url)).filter(({ type }) => type === 'StateSet');
  t.is(sets.length, keys, 'no key was written twice');
  const { body } = await request(hub.url, 'GET', '/health');
  t.is(body.status, 'ok');
});
