/*
 * A process that is one consumer of a durable subscription until it is killed. It records what it sees in a file before
 * it answers (bus-record.ts), connects again when its connection ends, to the next of its hubs, and acknowledges again
 * what nobody could take. It ends with its starter.
 */

import { openSync, readFileSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Frame, openWs, type WsClient } from '../support/ws-client.ts';
import { type Entry, lineOf, nowNs } from './bus-record.ts';

export type WorkerOptions = {
  readonly group: string;
  /** Deliveries that it may hold. */
  readonly max: number;
  /** Files that hold a hub's address each: `http://HOST:PORT`. */
  readonly hubs: readonly string[];
  readonly record: string;
  /** The longest that a message is worked on. */
  readonly workMs: number;
  /** One of so many acknowledgements asks to be durable; 0: none does. */
  readonly durableEvery: number;
};

const retryMs = 50;
const retried = new Set(['not_owner', 'log_unavailable', 'overloaded', 'shutting_down']);

const consume = async (options: WorkerOptions): Promise<void> => {
  const { group, max, hubs, workMs, durableEvery } = options;
  const file = openSync(options.record, 'a');
  const record = (entry: Entry): void => {
    writeSync(file, lineOf(entry));
  };
  let handled = 0;

  const acknowledge = (client: WsClient, delivery: string): void => {
    if (client.socket.readyState !== client.socket.OPEN) return;
    record({ what: 'acking', ns: nowNs(), delivery });
    const durable = durableEvery > 0 && handled++ % durableEvery === 0;
    client.send({ type: 'ack', delivery, durable, id: `${durable ? 'd' : 'a'}:${delivery}` });
  };

  const take = (client: WsClient, frame: Frame): void => {
    if (frame.type === 'message') {
      const { delivery, attempt, messageId, key, position } = frame;
      record({
        what: 'received',
        ns: nowNs(),
        delivery: String(delivery),
        attempt: Number(attempt),
        messageId: String(messageId),
        key: String(key),
        position: String(position),
      });
      setTimeout(() => acknowledge(client, String(delivery)), Math.random() * workMs);
      return;
    }
    if (typeof frame.id !== 'string') {
      if (frame.type !== 'error') return;
      record({ what: 'cut', ns: nowNs() });
      client.socket.terminate();
      return;
    }
    const delivery = frame.id.slice(2);
    if (frame.type === 'done') {
      record({ what: frame.id.startsWith('d:') ? 'durable' : 'acked', ns: nowNs(), delivery });
      return;
    }
    const code = String(frame.code);
    record({ what: 'refused', ns: nowNs(), delivery, code });
    if (retried.has(code)) setTimeout(() => acknowledge(client, delivery), retryMs);
  };

  for (let turn = 0; ; turn++) {
    try {
      const client = await openWs(readFileSync(hubs[turn % hubs.length] ?? '', 'utf8'));
      client.onFrame((frame) => take(client, frame));
      client.send({ type: 'subscribe', group, max });
      await client.closed;
      record({ what: 'cut', ns: nowNs() });
    } catch {
      // Nobody listens there yet, or any more.
    }
    await delay(retryMs);
  }
};

process.stdin.resume().on('end', () => process.exit(0));
await consume(JSON.parse(process.argv[2] ?? '') as WorkerOptions);
