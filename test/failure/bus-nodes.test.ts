import test, { type ExecutionContext } from 'ava';
import { redisForTest } from '../support/redis-server.ts';
import { until } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import { fencingOf, linksEndedIn, releasesIn, takeoversIn, wholeRedisLog } from './bus-fence.ts';
import { deliveriesIn, findingsOf, nowNs } from './bus-record.ts';
import {
  createGroup,
  drawn,
  figuresOf,
  type Node,
  nodeIdOf,
  ownerOf,
  progressOf,
  publishAll,
  settledAll,
  startNode,
  startWorker,
  viewOf,
} from './bus-rounds.ts';
import { random } from './hub-rounds.ts';

/** 3,000 messages in the suite and the owner killed once; NEXUS_LONG=1 makes it 100,000 and 6 times. */
const count = isLong ? 100_000 : 3_000;
const ownerKills = isLong ? 6 : 1;
const workerKills = isLong ? 60 : 4;
const keys = 200;
const seed = Number(process.env.NEXUS_TEST_SEED ?? 11);
const group = 'orders';
const topic = 'orders.eu';
const settings = { topic, order: 'key', ackWaitMs: 600_000, maxDeliver: 100, maxInFlight: 1_000 };

const killsOwners = async (t: ExecutionContext): Promise<void> => {
  t.timeout(30 * 60_000);
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const draw = random(seed);
  const nodes: readonly Node[] = await Promise.all(['a', 'b'].map((name) => startNode(t, name, redis.url)));
  const [first, second] = nodes;
  if (first === undefined || second === undefined) return t.fail();
  await createGroup(first.hub.url, group, settings);
  const there = [first.file, second.file];
  const back = [second.file, first.file];
  const common = { group, max: 64, workMs: 4, durableEvery: 40 };
  const workers = await Promise.all([there, back, there].map((hubs) => startWorker(t, { ...common, hubs })));
  const startedMs = performance.now();
  const half = { topic, count: count / 2, keys, window: 128 };
  const publishing = [
    publishAll(there, { ...half, from: 0 }),
    publishAll(back, { ...half, from: count / 2 }),
  ];
  const reached = progressOf(workers, count);
  const killedAt: number[] = [];

  const killWorkers = async (): Promise<void> => {
    for (const share of drawn(workerKills, () => draw() * 0.9)) {
      await reached(share);
      const worker = workers[Math.floor(draw() * workers.length)];
      await worker?.kill();
      worker?.start();
    }
  };

  let alive = first;
  /** The node that was killed comes back only when the next one is to go: nothing is restarted for the takeover. */
  const killOwners = async (): Promise<void> => {
    let gone: Node | undefined;
    for (const share of drawn(ownerKills, () => 0.2 + draw() * 0.6)) {
      await reached(share);
      await gone?.start();
      const { served, other } = await ownerOf(gone === undefined ? nodes : [alive, gone], group);
      const otherId = await nodeIdOf(other.hub.url);
      killedAt.push(nowNs());
      await served.hub.kill('SIGKILL');
      await until(
        () => viewOf(other.hub.url, group),
        (view) => view.owner === otherId && view.lagEvents !== null,
      );
      gone = served;
      alive = other;
    }
  };
  await Promise.all([killWorkers(), killOwners()]);
  const ends = await Promise.all(publishing.map(({ done }) => done));
  const view = await settledAll(alive.hub.url, group, ends.sort().at(-1));
  const seconds = (performance.now() - startedMs) / 1_000;
  for (const worker of workers) await worker.kill();

  const lives = (await Promise.all(workers.map((worker) => worker.lives()))).flat();
  const published = publishing.flatMap((one) => one.published);
  const events = await wholeRedisLog(redis.url);
  const releases = releasesIn(events);
  const takeovers = takeoversIn(events, group);
  const takeoverMs = killedAt.map((ns) => Math.round(((takeovers.find((at) => at > ns) ?? 0) - ns) / 1e6));
  const linksEnded = nodes.flatMap((node) => linksEndedIn(node.stderr()));
  const records = { lives, handovers: [...killedAt, ...releases, ...linksEnded], published };
  const found = findingsOf(records);
  const fencing = fencingOf(events, group);
  const pauses = deliveriesIn(records).map(({ ns }, index, all) => (ns - (all[index - 1]?.ns ?? ns)) / 1e6);
  t.log(figuresOf(found, { seed, count, keys, workers: workers.length, seconds }));
  t.log(
    `killed ${workerKills} workers and ${ownerKills} owners; the other served after ${takeoverMs.join(', ')} ms;`,
    `the longest pause between deliveries was ${Math.round(Math.max(...pauses))} ms; ${fencing.checkpoints} checkpoints, ${releases.length} leases released, ${linksEnded.length} links ended`,
  );
  t.deepEqual(found.faults.slice(0, 5), []);
  t.deepEqual(fencing.faults.slice(0, 5), []);
  t.true(fencing.owners.length > ownerKills, fencing.owners.join(' '));
  t.is(new Set(published).size, count);
  t.is(view.deadLetters, 0);
  for (const node of nodes) t.notRegex(node.stderr(), /"level":"(error|fatal)"/);
};

test(
  'kill -9 of the node that serves › another goes on by itself: nothing is lost, in order of its key, and again only where the answer was lost',
  killsOwners,
);
