import { join } from 'node:path';
import { openDealerPublisher, openSocketPublisher } from '../support/clients.ts';
import { text } from '../support/events.ts';
import { startHub } from '../support/hub.ts';
import { inTurns, type Load, latency, load, perSec, print, ratio } from '../support/measure.ts';
import { openBenchStream, startNats } from '../support/nats.ts';
import { type Cpu, freePort } from '../support/process.ts';
import { rawClient, startRedis } from '../support/redis.ts';
import type { PartOptions } from './part.ts';

const topics = Array.from({ length: 100 }, (_, index) => `bench.t${index}`);
const filler = text(165);

const topicOf = (index: number): string => topics[index % topics.length] ?? 'bench';
/** 200 bytes as JSON. */
const payloadOf = (index: number) => ({ n: String(index).padStart(10, '0'), text: filler });

type Way = {
  readonly name: string;
  /** Resolves once the message is durable. */
  publish(index: number): Promise<unknown>;
  /** Processor time of the server so far. */
  cpu(): Cpu;
  close(): Promise<void>;
};

const openSocketWay = async ({ folder, profile }: PartOptions): Promise<Way> => {
  const hub = await startHub({ folder: join(folder, 'publish'), authenticated: true, profile });
  const socket = await openSocketPublisher(hub.url, hub.token('events:publish:bench.>'));
  return {
    name: 'WebSocket',
    publish: (index) => socket.publish(topicOf(index), payloadOf(index)),
    cpu: hub.cpu,
    close: async () => {
      await socket.close();
      await hub.close();
    },
  };
};

const openZeroMqWay = async ({ folder, profile }: PartOptions): Promise<Way> => {
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const env = { NEXUS_ZMQ_COMMAND: endpoint };
  const hub = await startHub({ folder: join(folder, 'publish-zmq'), env, profile });
  const dealer = openDealerPublisher(endpoint);
  return {
    name: 'ZeroMQ',
    publish: (index) => dealer.publish(topicOf(index), payloadOf(index)),
    cpu: hub.cpu,
    close: async () => {
      await dealer.close();
      await hub.close();
    },
  };
};

const openRedisWay = async (): Promise<Way | undefined> => {
  const redis = await startRedis('always');
  if (redis === undefined) return undefined;
  const client = await rawClient(redis.url);
  return {
    name: 'Redis XADD',
    publish: (index) => client.xadd(topicOf(index), '*', 'e', JSON.stringify(payloadOf(index))),
    cpu: redis.cpu,
    close: async () => {
      client.disconnect();
      await redis.close();
    },
  };
};

const openJetStreamWay = async (): Promise<Way | undefined> => {
  const nats = await startNats();
  if (nats === undefined) return undefined;
  const { connection } = await openBenchStream(nats);
  const stream = connection.jetstream();
  return {
    name: `JetStream ${nats.version}`,
    publish: (index) => stream.publish(topicOf(index), JSON.stringify(payloadOf(index))),
    cpu: nats.cpu,
    close: async () => {
      await connection.close();
      await nats.close();
    },
  };
};

const openers: Readonly<Record<string, (options: PartOptions) => Promise<Way | undefined>>> = {
  socket: openSocketWay,
  zeromq: openZeroMqWay,
  redis: openRedisWay,
  jetstream: openJetStreamWay,
};

/**
 * Durable publishes over one connection: a WebSocket (with a token: authorised, validated, routed) and a ZeroMQ DEALER,
 * beside XADD through ioredis (auto-pipelined) to a Redis that syncs each write, and a JetStream stream of files.
 */
export const benchPublish = async (options: PartOptions): Promise<void> => {
  const { rounds, scale } = options;
  print('\nDurable publish over one connection, payloads of 200 bytes, 100 topics');
  const ways = new Map<string, Way>();
  for (const [name, open] of Object.entries(openers)) {
    if (options.ways?.includes(name) === false) continue;
    const way = await open(options);
    if (way === undefined) print(`  SKIPPED ${name}: its server is not on this machine`);
    else ways.set(name, way);
  }
  const counts: readonly (readonly [inFlight: number, n: number])[] = [
    [1, Math.round(2_000 * scale)],
    [64, Math.round(30_000 * scale)],
    [1_000, Math.round(100_000 * scale)],
  ];
  try {
    for (const way of ways.values()) await load(Math.round(20_000 * scale), 1_000, way.publish);
    for (const [inFlight, n] of counts) await report(ways, rounds, inFlight, n);
  } finally {
    for (const way of ways.values()) await way.close();
  }
};

const report = async (ways: Map<string, Way>, rounds: number, inFlight: number, n: number): Promise<void> => {
  const measurements: Record<string, () => Promise<Load>> = {};
  const used = new Map<string, Cpu>();
  for (const [key, way] of ways) {
    measurements[key] = async () => {
      const before = way.cpu();
      const result = await load(n, inFlight, way.publish);
      const after = way.cpu();
      const { first, all } = used.get(key) ?? { first: 0, all: 0 };
      used.set(key, { first: first + after.first - before.first, all: all + after.all - before.all });
      return result;
    };
  }
  const results = await inTurns(rounds, measurements);
  print(`  ${inFlight} in flight, n ${n}`);
  for (const [key, { name }] of ways) {
    const own = results[key];
    if (own === undefined) continue;
    const share = (other: string): string => {
      const reference = results[other];
      const isOurs = key === 'socket' || key === 'zeromq';
      return isOurs && reference !== undefined ? `; ${ratio(own, reference)} of ${other}` : '';
    };
    const each = (micros = 0): string => (micros / (n * rounds)).toFixed(1);
    const cpu = `processor ${each(used.get(key)?.all)} µs, ${each(used.get(key)?.first)} of the first thread`;
    print(`    ${name}: ${perSec(own)} (${latency(own)}; ${cpu})${share('redis')}${share('jetstream')}`);
  }
};
