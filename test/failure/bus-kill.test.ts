import test, { type ExecutionContext } from 'ava';
import { isLong } from '../support/skip.ts';
import { findingsOf, nowNs } from './bus-record.ts';
import {
  createGroup,
  drawn,
  figuresOf,
  type Node,
  progressOf,
  publishAll,
  settledAll,
  startNode,
  startWorker,
  type Worker,
} from './bus-rounds.ts';
import { random } from './hub-rounds.ts';

/** 2,000 messages in the suite; NEXUS_LONG=1 makes it 100,000. */
const count = isLong ? 100_000 : 2_000;
const keys = 200;
const workers = 3;
const seed = Number(process.env.NEXUS_TEST_SEED ?? 7);
const group = 'orders';
const topic = 'orders.eu';
const settings = { topic, order: 'key', ackWaitMs: 600_000, maxDeliver: 100, maxInFlight: 1_000 };

type Kills = { readonly workers: number; readonly hub: number };

const survives = async (t: ExecutionContext, kills: Kills): Promise<void> => {
  t.timeout(30 * 60_000);
  const draw = random(seed);
  const node: Node = await startNode(t, 'hub', 'file:data');
  await createGroup(node.hub.url, group, settings);
  const options = { group, max: 64, hubs: [node.file], workMs: 4, durableEvery: kills.hub === 0 ? 0 : 40 };
  const all: readonly Worker[] = await Promise.all(
    Array.from({ length: workers }, () => startWorker(t, options)),
  );
  const startedMs = performance.now();
  const handovers: number[] = [];
  const publishing = publishAll([node.file], { topic, from: 0, count, keys, window: 256 });

  const reached = progressOf(all, count);
  const killWorkers = async (): Promise<void> => {
    for (const share of drawn(kills.workers, () => draw() * 0.9)) {
      await reached(share);
      const worker = all[Math.floor(draw() * workers)];
      await worker?.kill();
      worker?.start();
    }
  };
  const killHub = async (): Promise<void> => {
    for (const share of drawn(kills.hub, () => 0.1 + draw() * 0.7)) {
      await reached(share);
      handovers.push(nowNs());
      await node.hub.kill('SIGKILL');
      await node.start();
    }
  };
  await Promise.all([killWorkers(), killHub()]);
  const view = await settledAll(node.hub.url, group, await publishing.done);
  const seconds = (performance.now() - startedMs) / 1_000;
  for (const worker of all) await worker.kill();

  const lives = (await Promise.all(all.map((worker) => worker.lives()))).flat();
  const found = findingsOf({ lives, handovers, published: publishing.published });
  t.log(
    figuresOf(found, { seed, count, keys, workers, seconds }),
    `killed ${kills.workers} workers and ${kills.hub} hubs`,
  );
  t.deepEqual(found.faults.slice(0, 5), []);
  t.is(publishing.published.length, count);
  t.is(view.deadLetters, 0);
  t.notRegex(node.hub.stderr(), /"level":"(error|fatal)"/);
};

test.serial(
  'kill -9 of consumers › each message is acknowledged, in order of its key, and again only where the answer was lost',
  (t) => survives(t, { workers: isLong ? 100 : 8, hub: 0 }),
);

test.serial(
  'kill -9 of consumers and the hub › each message is acknowledged, in order of its key, and what was durably so never again',
  (t) => survives(t, { workers: isLong ? 50 : 4, hub: isLong ? 10 : 2 }),
);
