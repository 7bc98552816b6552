import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { request, until, whenReady } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import { random } from './hub-rounds.ts';

const keys = Array.from({ length: 80 }, (_, n) => `kill/${n}`);
const versions = 8;
/** What each round leaves of every key; NEXUS_LONG=1 makes it seven rounds instead of two. */
const limits = isLong ? [7, 6, 5, 4, 3, 2, 1] : [5, 2];
const seed = Number(process.env.NEXUS_TEST_SEED ?? 7);

const pathOf = (key: string): string => `/state/${encodeURIComponent(key)}`;

type History = { readonly history: readonly { readonly version: number }[]; readonly oldestVersion: number };

/** What is wrong with the past of a key: it must be whole from some version on, and what is before must be a gap. */
const faultsOf = async ({ url }: HubProcess, key: string, left?: number): Promise<string[]> => {
  const { body } = await request(url, 'GET', `${pathOf(key)}/history`);
  const { history, oldestVersion } = body as unknown as History;
  const numbers = history.map(({ version }) => version).toReversed();
  const faults: string[] = [];
  if (numbers.some((version, index) => version !== oldestVersion + index) || numbers.at(-1) !== versions)
    faults.push(`${key} has ${numbers.join(' ')}, said to begin at ${oldestVersion}`);
  if (left !== undefined && numbers.length !== left) faults.push(`${key} has ${numbers.length} of ${left}`);
  if (oldestVersion > 1) {
    const { status } = await request(url, 'GET', `${pathOf(key)}?version=${oldestVersion - 1}`);
    if (status !== 410) faults.push(`${key} answers ${status} for a version that was removed`);
  }
  return faults;
};

const allFaults = async (hub: HubProcess, left?: number): Promise<string[]> =>
  (await Promise.all(keys.map((key) => faultsOf(hub, key, left)))).flat();

/** Keys of which it is recorded that no more than `left` versions stay. */
const trimmedTo = async (hub: HubProcess, left: number): Promise<number> => {
  const { body } = await request(hub.url, 'GET', '/log?category=trim&limit=1000');
  const events = body.events as readonly { readonly data: { readonly before: number } }[];
  return events.filter(({ data }) => data.before >= versions - left).length;
};

test('kill -9 in the middle of cutting histories › each key is whole from its oldest version on, and the next hub finishes', async (t) => {
  t.timeout(10 * 60_000);
  const folder = await mkdtemp(join(tmpdir(), 'nexus-history-kill-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const draw = random(seed);
  let hub = await startHubProcess(folder);
  t.teardown(() => hub.kill('SIGKILL'));
  for (let value = 1; value <= versions; value++)
    await Promise.all(keys.map((key) => request(hub.url, 'PUT', pathOf(key), { body: { value } })));
  let killedInside = 0;
  for (const [round, left] of limits.entries()) {
    // The moment is drawn by how many keys were cut, not by a clock.
    const killAt = 1 + Math.floor(draw() * (keys.length - 1));
    const setting = request(hub.url, 'PUT', '/state-policies/kill%2F*', { body: { maxVersions: left } });
    while ((await trimmedTo(hub, left)) < killAt);
    await setting;
    await hub.kill('SIGKILL');

    hub = await startHubProcess(folder);
    await whenReady(hub.url);
    t.deepEqual(await allFaults(hub), [], `round ${round}: after the kill`);
    if ((await allFaults(hub, left)).length > 0) killedInside++;
    await until(
      () => trimmedTo(hub, left),
      (trimmed) => trimmed === keys.length,
    );
    await until(
      () => allFaults(hub, left),
      (faults) => faults.length === 0,
    );
  }
  t.log(`seed ${seed}: ${limits.length} rounds, ${killedInside} kills with work left`);
});
