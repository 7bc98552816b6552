import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openHub } from '../support/hub.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { redisForTest } from '../support/redis-server.ts';
import { isLong } from '../support/skip.ts';
import { type History, type HistoryOptions, recordHistory } from '../support/state-history.ts';
import { stateFaults } from '../support/state-model.ts';
import { openFaultProxy } from '../support/tcp-proxy.ts';
import { random } from './hub-rounds.ts';

/** 1,200 calls in the suite, of each back end; NEXUS_LONG=1 makes it as many as there are in 60 s of a hub that runs. */
const count = 1_200;
const longMs = 60_000;
const restarts = 3;
const clients = 16;
const keys = ['a', 'b', 'nested/c', 'd', 'e'];
const seed = Number(process.env.NEXUS_TEST_SEED ?? 33);

const folderFor = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-linear-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

/** How much of the work is done, from 0 to 1, and whether some is left: by calls, or by time in the long form. */
const createProgress = () => {
  const startedMs = performance.now();
  let begun = 0;
  let downMs = 0;
  const share = (): number => (isLong ? (performance.now() - startedMs - downMs) / longMs : begun / count);
  return {
    share,
    /** Time that does not count. */
    down: (ms: number): void => {
      downMs += ms;
    },
    goesOn: (number: number): boolean => {
      begun = number;
      return share() < 1;
    },
  };
};

const judge = (t: ExecutionContext, history: History, what: string): void => {
  const startedMs = performance.now();
  const faults = stateFaults(history.calls);
  const tookMs = Math.round(performance.now() - startedMs);
  const unknown = history.calls.filter(({ returnedAt }) => returnedAt === Number.POSITIVE_INFINITY).length;
  const unclear = [...history.unclear].map(([answer, times]) => `${answer} ${times} times`).join(', ');
  t.log(
    `${what}: ${history.calls.length} calls, ${unknown} of unknown outcome, ${history.refused} not made, checked in ${tookMs} ms${unclear && `; ${unclear}`}`,
  );
  t.deepEqual(faults, []);
};

/** A hub that is killed `restarts` times, evenly over the work. */
const underKills = async (t: ExecutionContext, args: readonly string[]): Promise<History> => {
  const folder = await folderFor(t);
  let hub: HubProcess = await startHubProcess(folder, args);
  t.teardown(() => hub.kill('SIGKILL'));
  let url: Promise<string> | string = hub.url;
  let killed = 0;
  const { share, down, goesOn } = createProgress();

  const restart = async (): Promise<string> => {
    const killedMs = performance.now();
    await hub.kill('SIGKILL');
    hub = await startHubProcess(folder, args);
    down(performance.now() - killedMs);
    return hub.url;
  };
  const history = await recordHistory({
    clients,
    keys,
    random: random(seed),
    hubOf: () => url,
    goesOn: (begun) => {
      if (killed < restarts && share() >= (killed + 1) / (restarts + 1)) {
        killed++;
        // The calls of the other clients are under way at this moment.
        url = restart();
      }
      return goesOn(begun);
    },
  });
  t.is(killed, restarts);
  return history;
};

test.serial('state under kill -9 › is linearisable on the embedded log', async (t) => {
  t.timeout(5 * 60_000);
  judge(t, await underKills(t, []), 'embedded');
});

test.serial('state under kill -9 › is linearisable on Redis', async (t) => {
  t.timeout(5 * 60_000);
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  judge(t, await underKills(t, ['--log', redis.url]), 'Redis');
});

test.serial(
  'state on a Redis whose connections are cut and whose answers are lost › is linearisable',
  async (t) => {
    t.timeout(5 * 60_000);
    const redis = await redisForTest(t);
    if (redis === undefined) return;
    const proxy = await openFaultProxy({ target: redis, seed });
    t.teardown(() => proxy.close());
    const hub = await openHub({ log: [`redis://127.0.0.1:${proxy.port}`] });
    t.teardown(() => hub.close());
    let faults = 0;
    const history = await recordHistory({
      clients,
      keys,
      random: random(seed),
      hubOf: () => hub.url,
      goesOn: (begun) => {
        if (begun >= (faults + 1) * 300 && faults < 3) {
          faults++;
          if (faults === 2) proxy.cut();
          else proxy.dropNextReply('cut');
        }
        return begun < 1_200;
      },
    });
    judge(t, history, 'cut Redis');
    t.is(faults, 3);
  },
);

/** Two nodes of one log, one of which is told of everything `lateMs` later. */
const onTwoNodes = async (
  t: ExecutionContext,
  lateMs: number,
  options: Pick<HistoryOptions, 'headers' | 'readsOnly'>,
): Promise<History | undefined> => {
  const redis = await redisForTest(t);
  if (redis === undefined) return undefined;
  const proxy = await openFaultProxy({ target: redis, seed });
  t.teardown(() => proxy.close());
  const near = await openHub({ log: [redis.url] });
  t.teardown(() => near.close());
  const far = await openHub({ log: [`redis://127.0.0.1:${proxy.port}`] });
  t.teardown(() => far.close());
  proxy.delayReplies(lateMs);
  return recordHistory({
    clients,
    keys,
    random: random(seed),
    hubOf: (client) => (client % 2 === 0 ? near.url : far.url),
    goesOn: (begun) => begun < 600,
    ...options,
  });
};

test.serial('strong reads of two nodes of one Redis › are linearisable', async (t) => {
  t.timeout(5 * 60_000);
  const history = await onTwoNodes(t, 20, { headers: { 'x-nexus-consistency': 'strong' } });
  if (history !== undefined) judge(t, history, 'two nodes');
});

test.serial('control › other reads of two nodes are found to be not linearisable', async (t) => {
  t.timeout(5 * 60_000);
  // The writes of a node that is told late lose to those of the other, again and again: it would hardly read at all.
  const history = await onTwoNodes(t, 200, { readsOnly: (client) => client % 2 === 1 });
  if (history !== undefined) t.true(stateFaults(history.calls).length > 0);
});

test.serial(
  'control › a hub that makes a blind put of a conflict is found to be not linearisable',
  async (t) => {
    const hub = await openHub({
      wrap: (core) => ({
        ...core,
        execute: async (command, context) => {
          const result = await core.execute(command, context);
          if (result.ok || result.problem.code !== 'version_conflict' || command.type !== 'SetState')
            return result;
          const { expectedVersion: _, ...blind } = command.data as Record<string, unknown>;
          return core.execute({ ...command, data: blind }, context);
        },
      }),
    });
    t.teardown(() => hub.close());
    const history = await recordHistory({
      clients,
      keys,
      random: random(seed),
      hubOf: () => hub.url,
      goesOn: (begun) => begun < 400,
    });
    t.true(stateFaults(history.calls).length > 0);
  },
);
