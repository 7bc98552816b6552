import { once } from 'node:events';
import { join } from 'node:path';
import { AckPolicy } from 'nats';
import { openSocket, openSocketPublisher } from '../support/clients.ts';
import { text } from '../support/events.ts';
import { type BenchHub, startHub } from '../support/hub.ts';
import { inTurns, type Load, load, perSec, print, ratio } from '../support/measure.ts';
import { openBenchStream, startNats } from '../support/nats.ts';
import type { Cpu } from '../support/process.ts';
import type { PartOptions } from './part.ts';

const consumers = 3;
const held = 500;
const keys = 500;
const filler = text(165);
const payloadOf = (index: number) => ({ n: String(index).padStart(10, '0'), text: filler });

type Way = {
  readonly name: string;
  /** Publishes `n` messages for a group of its own; consumes and acknowledges them all. */
  run(n: number): Promise<Load>;
  /** Microseconds of the server's processor for each message that was taken. */
  micros(): number;
  close(): Promise<void>;
};

/** The server's processor time while backlogs are taken. */
const createCost = (cpu: () => Cpu) => {
  let messages = 0;
  let micros = 0;
  return {
    begin: (): ((n: number) => void) => {
      const before = cpu().all;
      return (n) => {
        micros += cpu().all - before;
        messages += n;
      };
    },
    micros: (): number => micros / messages,
  };
};

const loadOf = (n: number, startedMs: number): Load => ({
  perSec: (n * 1_000) / (performance.now() - startedMs),
  p50Ms: Number.NaN,
  p99Ms: Number.NaN,
});

const callHub = async (hub: BenchHub, path: string, body: object): Promise<void> => {
  const token = hub.token('admin');
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const answer = await fetch(`${hub.url}${path}`, { method: 'PUT', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
};

/** One consumer that acknowledges each delivery by a frame of its own; `took` tells whether there is more to come. */
const consume = async (hub: BenchHub, group: string, took: () => void): Promise<() => Promise<void>> => {
  const { socket, send } = await openSocket(hub.url, hub.token('admin'));
  socket.on('message', (data: Buffer) => {
    const frame: { readonly type: string; readonly delivery?: string } = JSON.parse(data.toString());
    if (frame.type !== 'message') return;
    send(`{"type":"ack","delivery":"${frame.delivery}"}`);
    took();
  });
  send(JSON.stringify({ type: 'subscribe', group, max: held }));
  return async () => {
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  };
};

const openHubWay = async ({ folder, profile }: PartOptions, order: 'none' | 'key'): Promise<Way> => {
  const hub = await startHub({ folder: join(folder, `groups-${order}`), authenticated: true, profile });
  const publisher = await openSocketPublisher(hub.url, hub.token('admin'));
  const cost = createCost(hub.cpu);
  let groups = 0;
  return {
    micros: cost.micros,
    name: `group, order ${order}`,
    run: async (n) => {
      const group = `g${++groups}`;
      const topic = `bench.${order}.${group}`;
      await callHub(hub, `/subscriptions/${group}`, { topic, order, maxInFlight: 5_000 });
      await load(n, 1_000, (index) => publisher.publish(topic, payloadOf(index), `k${index % keys}`));
      const done = Promise.withResolvers<void>();
      let taken = 0;
      const took = (): void => {
        if (++taken === n) done.resolve();
      };
      const end = cost.begin();
      const startedMs = performance.now();
      const open = await Promise.all(Array.from({ length: consumers }, () => consume(hub, group, took)));
      await done.promise;
      const result = loadOf(n, startedMs);
      end(n);
      for (const close of open) await close();
      return result;
    },
    close: async () => {
      await publisher.close();
      await hub.close();
    },
  };
};

const openJetStreamWay = async (): Promise<Way | undefined> => {
  const nats = await startNats();
  if (nats === undefined) return undefined;
  const { connection, manager } = await openBenchStream(nats);
  const cost = createCost(nats.cpu);
  let groups = 0;
  return {
    micros: cost.micros,
    name: `JetStream ${nats.version}, pull consumer`,
    run: async (n) => {
      const group = `g${++groups}`;
      const subject = `bench.${group}`;
      const stream = connection.jetstream();
      await load(n, 1_000, (index) => stream.publish(subject, JSON.stringify(payloadOf(index))));
      await manager.consumers.add('bench', {
        durable_name: group,
        filter_subject: subject,
        ack_policy: AckPolicy.Explicit,
        max_ack_pending: 5_000,
      });
      const clients = await Promise.all(Array.from({ length: consumers }, () => nats.connect()));
      const done = Promise.withResolvers<void>();
      let taken = 0;
      const end = cost.begin();
      const startedMs = performance.now();
      for (const client of clients) {
        const consumer = await client.jetstream().consumers.get('bench', group);
        await consumer.consume({
          max_messages: held,
          callback: (message) => {
            message.json();
            message.ack();
            if (++taken === n) done.resolve();
          },
        });
      }
      await done.promise;
      const result = loadOf(n, startedMs);
      end(n);
      for (const client of clients) await client.close();
      await manager.consumers.delete('bench', group);
      return result;
    },
    close: async () => {
      await connection.close();
      await nats.close();
    },
  };
};

/**
 * A backlog that three consumers of one group take and acknowledge, each on a connection of its own, one acknowledgement a
 * message: without order and with order by 500 keys, beside three clients of a durable JetStream pull consumer.
 */
export const benchGroups = async (options: PartOptions): Promise<void> => {
  const n = Math.round(50_000 * options.scale);
  print(`\nA group of ${consumers} takes and acknowledges a backlog of ${n} messages of 200 bytes`);
  const ways: Record<string, Way | undefined> = {
    none: await openHubWay(options, 'none'),
    key: await openHubWay(options, 'key'),
    jetstream: await openJetStreamWay(),
  };
  try {
    const runs: Record<string, () => Promise<Load>> = {};
    for (const [key, way] of Object.entries(ways)) {
      if (way === undefined) print(`  SKIPPED ${key}: its server is not on this machine`);
      else runs[key] = () => way.run(n);
    }
    const results = await inTurns(options.rounds, runs);
    for (const [key, way] of Object.entries(ways)) {
      const [own, reference] = [results[key], results.jetstream];
      if (way === undefined || own === undefined) continue;
      const share =
        reference === undefined || key === 'jetstream' ? '' : `; ${ratio(own, reference)} of jetstream`;
      print(`  ${way.name}: ${perSec(own)} (processor ${way.micros().toFixed(1)} µs a message)${share}`);
    }
  } finally {
    for (const way of Object.values(ways)) await way?.close();
  }
};
