import { once } from 'node:events';
import { join } from 'node:path';
import { consumerOpts, StorageType } from 'nats';
import { openSocket } from '../support/clients.ts';
import { text } from '../support/events.ts';
import { startHub } from '../support/hub.ts';
import { inTurns, type Load, latency, loadOf, perSec, print } from '../support/measure.ts';
import { startNats } from '../support/nats.ts';
import type { PartOptions } from './part.ts';

const perSecond = 1_000;
const topic = 'bench.latency';
const filler = text(165);
const textOf = (index: number): string => JSON.stringify({ n: index, text: filler });

/** One way from a publisher to a subscriber. */
type Way = {
  readonly name: string;
  send(index: number): void;
  /** Called by the subscriber's end with the index of each message. */
  onDelivered(listener: (index: number) => void): void;
  close(): Promise<void>;
};

/**
 * Sends at a fixed rate whatever comes back, and takes for each message the time from when it was due until it was
 * delivered: a sender that is late, or a stall, counts.
 */
const openLoop = (way: Way, n: number): Promise<Load> =>
  new Promise((resolve) => {
    const latencies = new Float64Array(n);
    let sent = 0;
    let delivered = 0;
    const started = performance.now();
    const due = (index: number): number => started + (index * 1_000) / perSecond;
    way.onDelivered((index) => {
      latencies[index] = performance.now() - due(index);
      if (++delivered === n) resolve(loadOf(latencies, (performance.now() - started) / 1_000));
    });
    const send = (): void => {
      while (sent < n && due(sent) <= performance.now()) way.send(sent++);
      if (sent < n) setTimeout(send, 0);
    };
    send();
  });

const openNexus = async ({ folder, profile }: PartOptions): Promise<Way> => {
  const hub = await startHub({ folder: join(folder, 'latency'), authenticated: true, profile });
  const publisher = await openSocket(hub.url, hub.token('events:publish:bench.>'));
  const subscriber = await openSocket(hub.url, hub.token('events:read:bench.>'));
  subscriber.send(JSON.stringify({ type: 'subscribe', topic }));
  await once(subscriber.socket, 'message');
  let listener = (_index: number): void => {};
  subscriber.socket.on('message', (data: Buffer) => {
    const frame: { readonly payload: { readonly n: number } } = JSON.parse(data.toString());
    listener(frame.payload.n);
  });
  return {
    name: 'NEXUS, WebSocket to WebSocket, durable',
    send: (index) => publisher.send(`{"type":"publish","topic":"${topic}","payload":${textOf(index)}}`),
    onDelivered: (next) => {
      listener = next;
    },
    close: async () => {
      publisher.socket.terminate();
      subscriber.socket.terminate();
      await hub.close();
    },
  };
};

const openNats = async (): Promise<Record<string, Way>> => {
  const nats = await startNats();
  if (nats === undefined) {
    print('  SKIPPED NATS: there is no nats-server on this machine');
    return {};
  }
  const publisher = await nats.connect();
  const subscriber = await nats.connect();
  const manager = await publisher.jetstreamManager();
  await manager.streams.add({ name: 'bench', subjects: ['stored.>'], storage: StorageType.File });
  const listeners = { core: (_index: number): void => {}, stream: (_index: number): void => {} };
  const indexOf = (data: Uint8Array): number => {
    const payload: { readonly n: number } = JSON.parse(Buffer.from(data).toString());
    return payload.n;
  };
  subscriber.subscribe(topic, { callback: (_error, message) => listeners.core(indexOf(message.data)) });
  const consumer = consumerOpts().deliverTo('inbox.bench').ackNone().deliverNew();
  consumer.callback((_error, message) => {
    if (message !== null) listeners.stream(indexOf(message.data));
  });
  await subscriber.jetstream().subscribe(`stored.${topic}`, consumer);
  await subscriber.flush();
  return {
    stream: {
      name: `JetStream push consumer (nats-server ${nats.version}, file)`,
      send: (index) => publisher.publish(`stored.${topic}`, textOf(index)),
      onDelivered: (next) => {
        listeners.stream = next;
      },
      close: async () => {
        await subscriber.close();
        await publisher.close();
        await nats.close();
      },
    },
    core: {
      name: 'NATS core, nothing stored',
      send: (index) => publisher.publish(topic, textOf(index)),
      onDelivered: (next) => {
        listeners.core = next;
      },
      close: async () => {},
    },
  };
};

/** From publish to delivery at 1,000 messages per second, sent whether or not the ones before have arrived. */
export const benchLatency = async (options: PartOptions): Promise<void> => {
  const n = Math.round(5_000 * options.scale);
  print(
    `\nPublish to delivery at ${perSecond} messages per second, n ${n}, payloads of 200 bytes; a message is due on time`,
  );
  const ways: Record<string, Way> = { nexus: await openNexus(options), ...(await openNats()) };
  try {
    for (const way of Object.values(ways)) await openLoop(way, 2_000);
    const measurements: Record<string, () => Promise<Load>> = {};
    for (const [key, way] of Object.entries(ways)) measurements[key] = () => openLoop(way, n);
    const results = await inTurns(options.rounds, measurements);
    const ours = results.nexus;
    for (const [key, { name }] of Object.entries(ways)) {
      const own = results[key];
      if (own === undefined || ours === undefined) continue;
      const than =
        key === 'nexus'
          ? ''
          : `; NEXUS takes ${(ours.p50Ms / own.p50Ms).toFixed(2)} and ${(ours.p99Ms / own.p99Ms).toFixed(2)} of it`;
      print(`  ${name}: ${latency(own)} (${perSec(own)})${than}`);
    }
  } finally {
    for (const way of Object.values(ways)) await way.close();
  }
};
