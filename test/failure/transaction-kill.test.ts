import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startHubProcess } from '../support/hub-process.ts';
import { redisForTest } from '../support/redis-server.ts';
import { readWholeLog, request, whenReady } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import { random } from './hub-rounds.ts';

// biome-ignore-start lint/suspicious/noThenProperty: a list, by the name that it has on the wire

/** One round in the suite; NEXUS_LONG=1 makes it 40. */
const rounds = isLong ? 40 : 1;
const clients = 16;
const keys = Array.from({ length: 12 }, (_, n) => `pot/${n}`);
const seed = Number(process.env.NEXUS_TEST_SEED ?? 11);

type Entries = readonly { readonly key: string; readonly value: number }[];

/** @param log the flags that name it; the embedded one of the folder without any. */
const wholeOrNotAtAll = async (t: ExecutionContext, log: readonly string[]): Promise<void> => {
  t.timeout(10 * 60_000);
  const folder = await mkdtemp(join(tmpdir(), 'nexus-transactions-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const draw = random(seed);
  const acknowledged: string[] = [];
  let lists = 0;
  for (let round = 0; round < rounds; round++) {
    const hub = await startHubProcess(folder, log);
    try {
      await whenReady(hub.url);
      const before = acknowledged.length;
      const killAt = before + 50 + Math.floor(draw() * 150);
      const reached = Promise.withResolvers<void>();

      /** Moves one from each of some keys to the next one, and leaves a mark of its own, until the hub is gone. */
      const move = async (name: string): Promise<void> => {
        for (let index = 0; ; index++) {
          const first = Math.floor(draw() * keys.length);
          const moved = Array.from({ length: 8 }, (_, n) => ({
            op: 'increment',
            key: keys[(first + n) % keys.length],
            by: n % 2 === 0 ? -1 : 1,
          }));
          const mark = `${name}-${index}`;
          const body = { then: [...moved, { op: 'set', key: `mark/${mark}`, value: mark }] };
          try {
            const answer = await request(hub.url, 'POST', '/state', { body });
            if (answer.status !== 200) throw new Error(`${answer.status} ${String(answer.body.code)}`);
          } catch {
            return;
          }
          acknowledged.push(mark);
          if (acknowledged.length === killAt) reached.resolve();
        }
      };
      /** Adds the keys up, until the hub is gone. */
      const read = async (): Promise<void> => {
        for (;;) {
          let entries: Entries;
          try {
            const answer = await request(hub.url, 'GET', '/state?prefix=pot/');
            entries = answer.body.entries as Entries;
          } catch {
            return;
          }
          lists++;
          const sum = entries.reduce((total, { value }) => total + value, 0);
          t.is(sum, 0, 'no list shows half of a transaction');
        }
      };
      const work = [
        ...Array.from({ length: clients }, (_, client) => move(`${round}-${client}`)),
        read(),
        read(),
      ];
      await Promise.race([reached.promise, Promise.all(work)]);
      await hub.kill('SIGKILL');
      await Promise.all(work);
      t.true(acknowledged.length >= killAt, `round ${round}: the hub took transactions until it was killed`);
    } finally {
      await hub.kill('SIGKILL');
    }
  }
  t.true(lists > 0);

  const hub = await startHubProcess(folder, log);
  try {
    await whenReady(hub.url);
    const entries = (await request(hub.url, 'GET', '/state?prefix=pot/')).body.entries as Entries;
    t.is(
      entries.reduce((total, { value }) => total + value, 0),
      0,
    );
    const marks = new Set<string>();
    let left = 0;
    let open = 0;
    for (const { data, metadata, stream } of await readWholeLog(hub.url)) {
      const { transaction } = metadata;
      if (transaction === undefined) {
        t.is(left, 0, 'a transaction is whole before anything else comes');
        continue;
      }
      t.is(transaction.index, open);
      open = (open + 1) % transaction.count;
      left = open === 0 ? 0 : transaction.count - open;
      if (stream.startsWith('state-mark/')) marks.add((data as { readonly value: string }).value);
    }
    t.is(left, 0, 'the last one is whole too');
    t.deepEqual(
      acknowledged.filter((mark) => !marks.has(mark)),
      [],
      'what was acknowledged is there',
    );
    t.log(
      `seed ${seed}: ${rounds} rounds, ${acknowledged.length} acknowledged, ${marks.size} in the log, ${lists} lists`,
    );
  } finally {
    await hub.kill('SIGKILL');
  }
};

const claim = 'each is there whole or not at all, and nobody has read half of one';

test(`kill -9 in the midst of transactions on the embedded log › ${claim}`, (t) => wholeOrNotAtAll(t, []));

test(`kill -9 in the midst of transactions on Redis › ${claim}`, async (t) => {
  const redis = await redisForTest(t);
  if (redis !== undefined) await wholeOrNotAtAll(t, ['--log', redis.url]);
});
// biome-ignore-end lint/suspicious/noThenProperty: a list, by the name that it has on the wire
