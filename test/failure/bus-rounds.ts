import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { type Answer, request } from '../support/rest.ts';
import { type Frame, openWs, type WsClient } from '../support/ws-client.ts';
import { entriesIn, type Findings, type Life, nowNs } from './bus-record.ts';
import type { WorkerOptions } from './bus-worker.ts';
import { random } from './hub-rounds.ts';

export const folderFor = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-bus-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

/** A hub's process that is started again and again on one folder; its address stands in `file`. */
export type Node = {
  readonly file: string;
  readonly hub: HubProcess;
  start(): Promise<void>;
  /** What each of its processes wrote on stderr. */
  stderr(): string;
};

/** Killed with the test. `log` is the option of that name. */
export const startNode = async (
  t: ExecutionContext,
  name: string,
  log: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Node> => {
  const folder = await folderFor(t);
  const file = join(folder, `${name}.url`);
  const hubs: HubProcess[] = [];
  let hub: HubProcess;
  const start = async (): Promise<void> => {
    hub = await startHubProcess(folder, ['--log', log], { NEXUS_WS_FRAMES_PER_SEC: '0', ...env });
    hubs.push(hub);
    await writeFile(`${file}.new`, hub.url);
    await rename(`${file}.new`, file);
  };
  await start();
  t.teardown(() => hub.kill('SIGKILL'));
  return {
    file,
    get hub() {
      return hub;
    },
    start,
    stderr: () => hubs.map((one) => one.stderr()).join(''),
  };
};

/** A consumer in a process of its own, which is killed and started again. */
export type Worker = {
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  start(): void;
  /** What each of its lives has recorded. */
  lives(): Promise<readonly Life[]>;
  /** How many bytes they have recorded. */
  recorded(): Promise<number>;
};

export const startWorker = async (
  t: ExecutionContext,
  options: Omit<WorkerOptions, 'record'>,
): Promise<Worker> => {
  const folder = await folderFor(t);
  const ended: (number | undefined)[] = [];
  let child: ChildProcess | undefined;
  const fileOf = (life: number): string => join(folder, `life-${life}`);

  const start = (): void => {
    const record = fileOf(ended.push(undefined) - 1);
    const program = join(import.meta.dirname, 'bus-worker.ts');
    child = spawn(process.execPath, [program, JSON.stringify({ ...options, record })], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
  };
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    ended[ended.length - 1] = nowNs();
    child.kill('SIGKILL');
    await gone;
  };
  start();
  t.teardown(kill);
  return {
    kill,
    start,
    lives: () =>
      Promise.all(
        ended.map(async (endedNs, life) => {
          const text = await readFile(fileOf(life), 'utf8').catch(() => '');
          return { entries: entriesIn(text), ...(endedNs === undefined ? {} : { endedNs }) };
        }),
      ),
    async recorded() {
      const sizes = ended.map(
        async (_, life) => (await stat(fileOf(life)).catch(() => undefined))?.size ?? 0,
      );
      return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    },
  };
};

/** Bytes that one message leaves in the records at least, roughly: progress is told by them, not by a clock. */
const bytesOfMessage = 250;

/** Waits until the workers have seen a share of `count` messages. */
export const progressOf =
  (workers: readonly Worker[], count: number) =>
  async (share: number): Promise<void> => {
    for (;;) {
      const sizes = await Promise.all(workers.map((worker) => worker.recorded()));
      if (sizes.reduce((sum, size) => sum + size, 0) >= share * count * bytesOfMessage) return;
      await delay(5);
    }
  };

/** Places in the work at which something is killed, in order: shares of all messages. */
export const drawn = (kills: number, draw: () => number): readonly number[] =>
  Array.from({ length: kills }, draw).sort((left, right) => left - right);

export type Work = {
  readonly seed: number;
  readonly count: number;
  readonly keys: number;
  readonly workers: number;
  readonly seconds: number;
};

export const figuresOf = (found: Findings, { seed, count, keys, workers, seconds }: Work): string =>
  [
    `seed ${seed}: ${count} messages, ${keys} keys, ${workers} workers`,
    `${found.deliveries} deliveries, ${found.again} again (${((100 * found.again) / found.deliveries).toFixed(2)} %)`,
    `${found.forgotten} of them acknowledged, not durably, before their hub was killed`,
    `${found.durable} durably acknowledged`,
    `${seconds.toFixed(1)} s, ${Math.round(count / seconds)} messages/s`,
  ].join('; ');

export type Publishing = {
  /** Ids of what is durable. */
  readonly published: string[];
  /** Resolves when all are, with the position of the last. */
  readonly done: Promise<string>;
};

export type PublishOptions = {
  readonly topic: string;
  readonly from: number;
  readonly count: number;
  readonly keys: number;
  /** Messages that are under way at once. */
  readonly window: number;
};

/**
 * Publishes messages `m-N`, N counting up from `from`, through one connection after another: what was not answered when one
 * ends is sent again through the next, to the next of the hubs whose addresses stand in `files`.
 */
export const publishAll = (files: readonly string[], options: PublishOptions): Publishing => {
  const { topic, from, count, keys, window } = options;
  const published: string[] = [];
  const open = new Map<string, Frame>();
  const draw = random(from);
  let sent = 0;
  let last = '';

  /** Half of the messages have one of ten keys, so that many of a key are under way at once. */
  const keyOf = (): number => Math.floor(draw() * (draw() < 0.5 ? Math.min(10, keys) : keys));

  const frameOf = (number: number): Frame => ({
    ...{ type: 'publish', topic, messageId: `m-${number}`, id: `m-${number}` },
    ...{ key: `k-${keyOf()}`, payload: { number } },
  });

  const through = async (client: WsClient): Promise<void> => {
    const room = { wake: Promise.withResolvers<void>() };
    client.onFrame(({ type, id, code, position }) => {
      if (type === 'published' && typeof id === 'string' && open.delete(id)) {
        published.push(id);
        if (String(position) > last) last = String(position);
      }
      if (type === 'error') {
        if (code !== 'log_unavailable') throw new Error(`not published: ${String(code)}`);
        client.socket.terminate();
      }
      room.wake.resolve();
    });
    void client.closed.then(() => room.wake.resolve());
    for (const frame of open.values()) client.send(frame);
    while (client.socket.readyState === client.socket.OPEN && (sent < count || open.size > 0)) {
      while (sent < count && open.size < window) {
        const frame = frameOf(from + sent++);
        open.set(String(frame.id), frame);
        client.send(frame);
      }
      await room.wake.promise;
      room.wake = Promise.withResolvers<void>();
    }
    client.socket.terminate();
  };

  const run = async (): Promise<string> => {
    for (let turn = 0; published.length < count; turn++) {
      const file = files[turn % files.length] ?? '';
      const client = await openWs(await readFile(file, 'utf8')).catch(() => undefined);
      if (client === undefined) await delay(50);
      else await through(client);
    }
    return last;
  };
  return { published, done: run() };
};

export const createGroup = async (url: string, name: string, settings: object): Promise<void> => {
  const { status, body } = await request(url, 'PUT', `/subscriptions/${name}`, { body: settings });
  if (status !== 201) throw new Error(JSON.stringify(body));
};

export const nodeIdOf = async (url: string): Promise<string> =>
  String((await request(url, 'GET', '/health')).body.node);

export const viewOf = async (url: string, name: string): Promise<Answer['body']> =>
  (await request(url, 'GET', `/subscriptions/${name}`)).body;

/** Which of the nodes serves the group now, and another one; waits until one does. The first of them must live. */
export const ownerOf = async (
  nodes: readonly Node[],
  name: string,
): Promise<{ readonly served: Node; readonly other: Node }> => {
  const ids = await Promise.all(nodes.map(({ hub }) => nodeIdOf(hub.url)));
  for (;;) {
    const { owner } = await viewOf(nodes[0]?.hub.url ?? '', name);
    const served = nodes[ids.indexOf(String(owner))];
    const other = nodes.find((node) => node !== served);
    if (served !== undefined && other !== undefined) return { served, other };
    await delay(20);
  }
};

/** Resolves once nothing at or before `position` is left to deliver: a hub that is behind the log knows of less. */
export const settledAll = async (url: string, name: string, position = ''): Promise<Answer['body']> => {
  const headers: Readonly<Record<string, string>> =
    position === '' ? {} : { 'x-nexus-min-position': position };
  for (;;) {
    const { body: view } = await request(url, 'GET', `/subscriptions/${name}`, { headers });
    if (view.lagEvents === 0 && view.inFlight === 0) return view;
    await delay(50);
  }
};

/** A consumer in this process, on a connection of its own. */
export const consumerOf = async (
  t: ExecutionContext,
  url: string,
  group: string,
  max: number,
): Promise<WsClient> => {
  const client = await openWs(url);
  t.teardown(() => client.socket.terminate());
  client.send({ type: 'subscribe', group, max });
  await client.waitForType('subscribed');
  return client;
};

export const deliveriesOf = async (client: WsClient, count: number): Promise<readonly Frame[]> => {
  const frames: Frame[] = [];
  while (frames.length < count) frames.push(await client.waitForType('message'));
  return frames;
};

/** Publishes messages without a key, one after another, and answers their ids. */
export const publishedOf = async (url: string, topic: string, count: number): Promise<readonly string[]> => {
  const ids: string[] = [];
  for (let number = 0; number < count; number++) {
    const { status, body } = await request(url, 'POST', `/events/${topic}`, { body: { payload: number } });
    if (status !== 201) throw new Error(JSON.stringify(body));
    ids.push(String(body.messageId));
  }
  return ids;
};
