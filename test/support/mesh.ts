import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { openZeroMq, type ZeroMq, type ZeroMqOptions } from '../../src/bus/zeromq.ts';
import { parseConfig } from '../../src/config.ts';
import { type Core, openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import type { Message } from '../../src/nexus-core.ts';
import { type FaultProxy, openFaultProxy } from './tcp-proxy.ts';

export const local = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };
const silent = createLogger('silent');

export type Node = {
  readonly core: Core;
  readonly zeroMq: ZeroMq;
  /** Messages in the order in which they were handed out, from now on. */
  read(topic: string): Promise<AsyncIterator<Message>>;
  publish(topic: string, payload: unknown): Promise<void>;
  close(): Promise<void>;
};

export type NodeOptions = {
  readonly log: string;
  /** Of its publish socket; a free one unless given. */
  readonly port?: number;
  readonly zeroMq?: Partial<ZeroMqOptions['config']>;
};

async function* messages(batches: AsyncIterable<{ type: string; items?: readonly Message[] }>) {
  for await (const { items } of batches) yield* items ?? [];
}

/** Below those that the system hands out by itself, so that nobody else is given it meanwhile. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
};

/** A node without a gateway, closed with the test. */
export const openNode = async (t: ExecutionContext, options: NodeOptions): Promise<Node> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'nexus-node-'));
  const parsed = parseConfig([], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, dataDir, log: [options.log], stateFile: 'none' };
  const core = await openCore(config, { watchdogMs: 60_000, logger: silent });
  const zeroMq = await openZeroMq({
    core,
    config: {
      zmqPublish: `tcp://127.0.0.1:${options.port ?? '*'}`,
      zmqCommand: 'none',
      jwtSecret: null,
      ...options.zeroMq,
    },
    logger: silent,
    mesh: core.parts,
    silenceMs: 1_500,
  });
  const controller = new AbortController();
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    controller.abort();
    await zeroMq.close();
    await core.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  const node: Node = {
    core,
    zeroMq,
    read: async (topic) => {
      const watch = await core.watchMessages(topic, { signal: controller.signal }, local);
      if (!watch.ok) throw new Error(watch.problem.detail);
      const iterator = messages(watch.value.items);
      return iterator;
    },
    publish: async (topic, payload) => {
      const done = await core.execute({ type: 'PublishMessage', data: { topic, payload } }, local);
      if (!done.ok) throw new Error(done.problem.detail);
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
  t.teardown(node.close);
  return node;
};

export type Pair = {
  readonly near: Node;
  readonly far: Node;
  /** Between the far node and the publish socket of the near one. */
  readonly peerLink: FaultProxy;
  /** Between the far node and the log. */
  readonly logLink: FaultProxy;
};

/** Two nodes on one Redis, each the other's peer. */
export const openPair = async (
  t: ExecutionContext,
  redis: { readonly host: string; readonly port: number; readonly url: string },
): Promise<Pair> => {
  const [nearPort, farPort] = [await freePort(), await freePort()];
  const peerLink = await openFaultProxy({ target: { host: '127.0.0.1', port: nearPort }, seed: 1 });
  const logLink = await openFaultProxy({ target: redis, seed: 2 });
  t.teardown(async () => {
    await peerLink.close();
    await logLink.close();
  });
  const near = await openNode(t, {
    log: redis.url,
    port: nearPort,
    zeroMq: { peers: [`tcp://127.0.0.1:${farPort}`] },
  });
  const far = await openNode(t, {
    log: `redis://127.0.0.1:${logLink.port}`,
    port: farPort,
    zeroMq: { peers: [`tcp://127.0.0.1:${peerLink.port}`] },
  });
  return { near, far, peerLink, logLink };
};
