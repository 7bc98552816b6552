import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { createHttpClient } from '../support/http-client.ts';

/**
 * A client that asks at a given rate whether answers come or not, as a crowd does, or (`perSec` 0) again as soon as it was
 * answered, on each of its connections. Latencies count from when a request was due. Reads jobs from stdin and writes
 * what came of each.
 */
export type LoadJob = {
  readonly perSec: number;
  readonly seconds: number;
  /** At most; without one that is free, what is due is `unsent`. */
  readonly connections: number;
};

/** Sorted latencies in ms are too many to tell: quantiles are. */
export type Class = { readonly count: number; readonly p50Ms: number; readonly p99Ms: number };

export type LoadResult = {
  readonly perSec: number;
  readonly byStatus: Readonly<Record<string, Class>>;
  /** Of each 100 ms: served, refused or broken, and the slowest that was served. */
  readonly slices: readonly { readonly served: number; readonly others: number; readonly worstMs: number }[];
};

const { url, token }: { readonly url: string; readonly token: string } = JSON.parse(process.argv[2] ?? '{}');
const { hostname, port, host } = new URL(url);
const sliceMs = 100;

const requestOf = (method: string, path: string, body?: string): string =>
  `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n${
    body === undefined
      ? '\r\n'
      : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  }`;

/** Four reads, three events, two writes of state and a query: of ten calls. */
const text = 'x'.repeat(150);
const requests = Array.from({ length: 1_000 }, (_, index) => {
  switch (index % 10) {
    case 0:
    case 3:
    case 6:
      return requestOf('POST', `/events/t${index}`, JSON.stringify({ payload: { text } }));
    case 1:
    case 5:
      return requestOf('PUT', `/state/k${Math.floor(index / 10)}`, JSON.stringify({ value: { text } }));
    case 8:
      return requestOf(
        'POST',
        '/graphql',
        JSON.stringify({ query: `{ state(key: "k${Math.floor(index / 10)}") { value version } }` }),
      );
    default:
      return requestOf('GET', `/state/k${Math.floor(index / 10)}`);
  }
});

type Connection = { readonly socket: Socket; dueMs: number; busy: boolean };

const run = async ({ perSec, seconds, connections }: LoadJob): Promise<LoadResult> => {
  const latencies = new Map<string, number[]>();
  const slices = Array.from({ length: Math.ceil((seconds * 1_000) / sliceMs) }, () => ({
    served: 0,
    others: 0,
    worstMs: 0,
  }));
  const all = new Set<Connection>();
  const free: Connection[] = [];
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1_000;
  let sent = 0;

  const note = (status: string, dueMs: number): void => {
    const tookMs = performance.now() - dueMs;
    const known = latencies.get(status);
    if (known === undefined) latencies.set(status, [tookMs]);
    else known.push(tookMs);
    const slice = slices[Math.floor((dueMs - startedMs) / sliceMs)];
    if (slice === undefined) return;
    if (status.startsWith('2')) {
      slice.served++;
      slice.worstMs = Math.max(slice.worstMs, tookMs);
    } else slice.others++;
  };

  const ask = (connection: Connection, dueMs: number): void => {
    connection.dueMs = dueMs;
    connection.busy = true;
    connection.socket.write(requests[sent++ % requests.length] ?? '');
  };

  const open = (): Connection => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const connection: Connection = { socket, dueMs: 0, busy: false };
    all.add(connection);
    let rest: Buffer | undefined;
    socket.on('data', (chunk: Buffer) => {
      const received = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      const end = received.indexOf('\r\n\r\n');
      const head = end < 0 ? '' : received.toString('latin1', 0, end);
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (end < 0 || received.length < end + 4 + length) {
        rest = received;
        return;
      }
      rest = undefined;
      connection.busy = false;
      note(head.slice(9, 12), connection.dueMs);
      const now = performance.now();
      if (perSec > 0) free.push(connection);
      else if (now < endMs) ask(connection, now);
    });
    const broken = (): void => {
      if (all.delete(connection) && connection.busy) note('broken', connection.dueMs);
      const at = free.indexOf(connection);
      if (at >= 0) free.splice(at, 1);
    };
    socket.on('error', broken).on('close', broken);
    return connection;
  };

  if (perSec === 0) {
    for (let index = 0; index < connections; index++) ask(open(), performance.now());
    await delay(seconds * 1_000);
  } else {
    for (let due = 0; ; ) {
      const now = Math.min(performance.now(), endMs);
      for (; startedMs + (due * 1_000) / perSec < now; due++) {
        const dueMs = startedMs + (due * 1_000) / perSec;
        const connection = free.pop() ?? (all.size < connections ? open() : undefined);
        if (connection === undefined) note('unsent', dueMs);
        else ask(connection, dueMs);
      }
      if (now >= endMs) break;
      await delay(1);
    }
  }
  const patienceMs = performance.now() + 10_000;
  while ([...all].some(({ busy }) => busy) && performance.now() < patienceMs) await delay(10);
  for (const { busy, dueMs, socket } of all) {
    if (busy) note('unanswered', dueMs);
    socket.destroy();
  }
  const byStatus = Object.fromEntries(
    [...latencies].map(([status, list]) => {
      const sorted = Float64Array.from(list).sort();
      const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
      return [status, { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) }];
    }),
  );
  const served = Object.entries(byStatus).filter(([status]) => status.startsWith('2'));
  return { perSec: served.reduce((sum, [, { count }]) => sum + count, 0) / seconds, byStatus, slices };
};

const filling = createHttpClient(url, 16, `Authorization: Bearer ${token}\r\n`);
await Promise.all(
  Array.from({ length: 100 }, (_, key) =>
    filling.request('PUT', `/state/k${key}`, JSON.stringify({ value: { text } })),
  ),
);
filling.close();
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
