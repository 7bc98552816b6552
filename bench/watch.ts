import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import WebSocket from 'ws';
import { text } from './support/events.ts';
import { load, machine, print } from './support/measure.ts';

/**
 * A subscriber that takes one message per millisecond while 20,000 are published as fast as they go: does it get all, in
 * order, and how much memory does the hub need for it?
 */
const messages = Number(process.argv[2] ?? 20_000);
const folder = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), 'nexus-watch-'));
const main = join(import.meta.dirname, '../bin/nexus.js');

/** Anonymous resident memory in MiB: mapped files do not count (proc(5), RssAnon). */
const rssMiB = (pid: number): number =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024;

const hub = spawn(
  process.execPath,
  [main, 'start', '--api-host', '127.0.0.1', '--api-port', '0', '--log-level', 'warn'],
  {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NEXUS_ZMQ_PUBLISH: 'none',
      NEXUS_ZMQ_COMMAND: 'none',
      NEXUS_RATE_LIMIT_MAX: '100000000',
      NEXUS_WS_FRAMES_PER_SEC: '0',
    },
  },
);
const [line]: unknown[] = await once(createInterface({ input: hub.stdout }), 'line');
const url = /http:\/\/\S+/.exec(String(line))?.[0] ?? '';
const pid = hub.pid ?? 0;

const connect = async (): Promise<WebSocket> => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, 'nexus.v1');
  await once(socket, 'open');
  return socket;
};

/** Reads frames one by one, `perMs` apart, by pausing the socket: the hub is pushed back by TCP alone. */
const slowReader = async (
  socket: WebSocket,
): Promise<{ readonly inOrder: boolean; readonly received: number }> => {
  const queue: string[] = [];
  const { promise, resolve } = Promise.withResolvers<{ inOrder: boolean; received: number }>();
  let received = 0;
  let inOrder = true;
  socket.on('message', (data: Buffer) => {
    queue.push(data.toString());
    if (queue.length > 100) socket.pause();
  });
  const drain = async () => {
    while (received < messages) {
      await delay(1);
      const frame = queue.shift();
      if (queue.length < 50) socket.resume();
      if (frame === undefined) continue;
      const parsed: { type: string; payload?: { index: number } } = JSON.parse(frame);
      if (parsed.type !== 'message') continue;
      if (parsed.payload?.index !== received) inOrder = false;
      received++;
    }
    resolve({ inOrder, received });
  };
  void drain();
  return promise;
};

try {
  print(`${machine()}; ${messages} messages of 1 KiB, a reader of one per millisecond`);
  const reader = await connect();
  reader.send(JSON.stringify({ type: 'subscribe', topic: 'load.slow', after: 'start' }));
  const reading = slowReader(reader);
  const before = rssMiB(pid);
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, rssMiB(pid));
  }, 50);

  const writer = await connect();
  const waiting = new Map<number, () => void>();
  writer.on('message', (data: Buffer) => {
    const { id }: { id: number } = JSON.parse(data.toString());
    waiting.get(id)?.();
    waiting.delete(id);
  });
  const filler = text(1_000);
  const published = await load(messages, 500, (index) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.set(index, resolve);
    writer.send(
      JSON.stringify({ type: 'publish', id: index, topic: 'load.slow', payload: { index, filler } }),
    );
    return promise;
  });
  print(`  published at ${Math.round(published.perSec)}/s`);
  const { inOrder, received } = await reading;
  clearInterval(sampler);
  print(`  received ${received} of ${messages}, ${inOrder ? 'in order' : 'NOT IN ORDER'}`);
  print(`  hub's own memory (RssAnon): ${before.toFixed(0)} MiB before, ${peak.toFixed(0)} MiB at most`);
  reader.terminate();
  writer.terminate();
} finally {
  const exit = once(hub, 'exit');
  hub.kill('SIGTERM');
  await exit;
  rmSync(folder, { recursive: true, force: true });
}
