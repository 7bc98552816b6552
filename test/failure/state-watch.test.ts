import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { isLong } from '../support/skip.ts';
import { type Change, type Watcher, watchers } from '../support/state-watchers.ts';
import { random } from './hub-rounds.ts';

/** 20,000 writes and 50 connections destroyed by each watcher; NEXUS_LONG=1 makes the writes 200,000. */
const count = isLong ? 200_000 : 20_000;
const cuts = 50;
const inFlight = 128;
const keys = Array.from({ length: 8 }, (_, index) => `w/${index}`);
const last = 'w/last';
const seed = Number(process.env.NEXUS_TEST_SEED ?? 5);
const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };

/** Puts and deletes at random; a delete of what is not there is refused and changes nothing. */
const write = async ({ core }: Hub, from: number, to: number, draw: () => number): Promise<void> => {
  let next = from;
  const work = async (): Promise<void> => {
    for (let index = next++; index < to; index = next++) {
      const key = keys[Math.floor(draw() * keys.length)] ?? '';
      const command =
        draw() < 0.1
          ? { type: 'DeleteState', data: { key } }
          : { type: 'SetState', data: { key, value: index % 5 === 0 ? { index } : index } };
      const done = await core.execute(command, context);
      if (!done.ok && done.problem.code !== 'not_found') throw new Error(done.problem.detail);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
};

/** What the log says the changes were, in its order. */
const changesOf = async ({ core }: Hub): Promise<readonly Change[]> => {
  const changes: Change[] = [];
  const values = new Map<string, unknown>();
  for (let after = 'start'; ; ) {
    const page = await core.log({ after, limit: 1_000, category: 'state' }, context);
    if (!page.ok) throw new Error(page.problem.detail);
    for (const { stream, type, data, revision, position } of page.value.events) {
      const key = stream.slice('state-'.length);
      const deleted = type === 'StateDeleted';
      const value = deleted ? null : (data as { readonly value: unknown }).value;
      const oldValue = values.get(key) ?? null;
      values.set(key, value);
      changes.push({ key, value, oldValue, version: revision + 1, deleted, position });
    }
    if (!page.value.more) return changes;
    after = page.value.position;
  }
};

type Followed = { readonly seen: readonly Change[]; readonly destroyed: number; readonly lost: number };

/** Watches to the last write, and destroys its own connection `cuts` times on the way, wherever it then is. */
const follow = async (watch: Watcher, url: string, draw: () => number): Promise<Followed> => {
  const seen: Change[] = [];
  let [destroyed, lost] = [0, 0];
  const mean = (count * 0.8) / cuts;
  for (let after = 'start'; seen.at(-1)?.key !== last; ) {
    const until =
      destroyed < cuts ? seen.length + 1 + Math.floor(draw() * 2 * mean) : Number.POSITIVE_INFINITY;
    let own = false;
    await watch(url, 'w/', after, (change) => {
      seen.push(change);
      after = change.position;
      own = seen.length >= until || change.key === last;
      return !own;
    }).catch(() => delay(20));
    if (own && seen.at(-1)?.key !== last) destroyed++;
    else if (!own) lost++;
  }
  return { seen, destroyed, lost };
};

/** The first place where what was seen is not what was made. */
const difference = (seen: readonly Change[], made: readonly Change[]): readonly unknown[] | undefined => {
  const length = Math.max(seen.length, made.length);
  for (let index = 0; index < length; index++) {
    const [one, other] = [seen[index], made[index]];
    if (JSON.stringify(one) !== JSON.stringify(other)) return [index, one, other];
  }
  return undefined;
};

const opened = async (t: ExecutionContext, folder: string, apiPort: number): Promise<Hub> => {
  const hub = await openHub({ dataDir: folder, log: [`file:${folder}/log`], apiPort, wsFramesPerSec: 0 });
  t.teardown(() => hub.close());
  return hub;
};

test('watchers whose sockets are destroyed 50 times, and whose hub restarts › see each change once, in order, with what was there before', async (t) => {
  t.timeout(10 * 60_000);
  const startedMs = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'nexus-watch-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const draw = random(seed);
  const first = await opened(t, folder, 0);
  const following = Object.entries(watchers).map(
    async ([name, watch], index) => [name, await follow(watch, first.url, random(seed + index + 1))] as const,
  );
  await write(first, 0, count / 2, draw);
  await first.close();
  const second = await opened(t, folder, first.port);
  await write(second, count / 2, count, draw);
  await second.core.execute({ type: 'SetState', data: { key: last, value: true } }, context);
  const writtenMs = performance.now();
  const made = await changesOf(second);
  t.true(made.length > count * 0.9);
  for (const [name, { seen, destroyed, lost }] of await Promise.all(following)) {
    t.is(difference(seen, made), undefined, name);
    t.is(destroyed, cuts, name);
    t.true(lost > 0, `${name} met the restart`);
  }
  const seconds = [writtenMs, performance.now()].map((ms) => Math.round((ms - startedMs) / 100) / 10);
  t.log(`${made.length} changes written in ${seconds[0]} s, seen in ${seconds[1]} s`);
});
