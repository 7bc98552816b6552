import test, { type ExecutionContext } from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { redisForTest } from '../support/redis-server.ts';
import { readWholeLog, request, until } from '../support/rest.ts';
import { nodeIdOf, startNode } from './bus-rounds.ts';

const openTwo = async (t: ExecutionContext) => {
  t.timeout(120_000);
  const redis = await redisForTest(t);
  if (redis === undefined) return undefined;
  const [a, b] = await Promise.all([startNode(t, 'a', redis.url), startNode(t, 'b', redis.url)]);
  const ids = await Promise.all([nodeIdOf(a.hub.url), nodeIdOf(b.hub.url)]);
  // Each has its lease, where the other can see it.
  await until(
    () => readWholeLog(a.hub.url),
    (log) =>
      ids.every((id) => log.some(({ type, stream }) => type === 'LeaseTaken' && stream === `node-${id}`)),
  );
  return { a, b, ids };
};

const set = async (t: ExecutionContext, url: string, key: string, ttlMs: number): Promise<void> => {
  const { status } = await request(url, 'PUT', `/state/${key}`, { body: { value: 1, ttlMs } });
  t.is(status, 201);
};
const allGone = (url: string, prefix: string) =>
  until(
    () => request(url, 'GET', `/state?prefix=${prefix}`),
    ({ body }) => (body.entries as unknown[]).length === 0,
  );
const expiries = async (url: string, prefix: string): Promise<readonly LogEvent[]> =>
  (await readWholeLog(url)).filter(
    ({ type, stream }) => type === 'StateDeleted' && stream.startsWith(`state-${prefix}`),
  );
const streamsOf = (events: readonly LogEvent[]): readonly string[] =>
  events.map(({ stream }) => stream).sort();
const nodesOf = (events: readonly LogEvent[]): readonly string[] =>
  [...new Set(events.map(({ metadata }) => metadata.node))].sort();
const namesOf = (count: number, prefix: string): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

test('of two hubs on one log one expires each key, once; what one that was killed would have expired the other does', async (t) => {
  const hubs = await openTwo(t);
  if (hubs === undefined) return;
  const { a, b, ids } = hubs;
  /** The nodes that expired 40 keys which both of them had set. */
  const expiredBy = async (prefix: string): Promise<readonly string[]> => {
    const keys = namesOf(40, prefix);
    await Promise.all(keys.map((key, index) => set(t, (index % 2 === 0 ? a : b).hub.url, key, 1)));
    await Promise.all([allGone(a.hub.url, prefix), allGone(b.hub.url, prefix)]);
    const events = await expiries(a.hub.url, prefix);
    t.deepEqual(streamsOf(events), keys.map((key) => `state-${key}`).sort());
    t.true(events.every(({ data }) => (data as { readonly reason?: string }).reason === 'expired'));
    return nodesOf(events);
  };
  let round = 0;
  // A node that is starved for 3 s loses its lease for a while, and the other one does its share too.
  await until(
    () => expiredBy(`k${round++}-`),
    (nodes) => nodes.length === 2,
  );

  const lock = (url: string, body: object) => request(url, 'POST', '/locks/shared', { body });
  const held = await lock(b.hub.url, { holder: 'dead', ttlMs: 1_500 });
  t.is(held.status, 201);
  const next = lock(a.hub.url, { holder: 'next', ttlMs: 60_000, waitMs: 60_000 });
  await b.hub.kill('SIGKILL');
  // Due while the dead one's lease still lives: about half of them are its own.
  const later = namesOf(40, 'later');
  await Promise.all(later.map((key) => set(t, a.hub.url, key, 1)));
  await allGone(a.hub.url, 'later');
  const orphaned = await expiries(a.hub.url, 'later');
  t.deepEqual(streamsOf(orphaned), later.map((key) => `state-${key}`).sort());
  t.deepEqual(nodesOf(orphaned), [ids[0]]);

  const acquired = await next;
  t.is(acquired.status, 201);
  t.like(acquired.body, { holder: 'next' });
  t.true(Number(acquired.body.token) > Number(held.body.token));
  t.is((await expiries(a.hub.url, 'shared')).length, 1);
});
