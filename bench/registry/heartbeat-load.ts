import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Pool } from 'undici';
import { WebSocket } from 'ws';

/**
 * Sends the heartbeats of many instances, each at its own moment of the interval, by `rest` or over WebSockets, on which each
 * is answered too. A line on stdin is answered with counts.
 */
const [way = '', url = '', token = '', ...rest] = process.argv.slice(2);
const [instances = 0, connections = 0, intervalMs = 0] = rest.map(Number);
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
const counts = { answered: 0, failed: 0 };
const loadOf = (index: number): number => (index % 100) / 100;

const pool = new Pool(url, { connections, pipelining: 1 });
const byRest = async (index: number): Promise<void> => {
  try {
    const body = JSON.stringify({ load: loadOf(index) });
    const path = `/services/instance-${index}/heartbeat`;
    const answer = await pool.request({ method: 'POST', path, headers, body });
    await answer.body.dump();
    counts.answered++;
    if (answer.statusCode !== 200) counts.failed++;
  } catch {
    counts.failed++;
  }
};

const openSocket = async (): Promise<WebSocket> => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, 'nexus.v1', { headers });
  socket.on('message', (frame) => {
    counts.answered++;
    if (!String(frame).includes('"result"')) counts.failed++;
  });
  await once(socket, 'open');
  return socket;
};
const sockets = await Promise.all(Array.from({ length: way === 'socket' ? connections : 0 }, openSocket));
const bySocket = (index: number): void => {
  const frame = { type: 'heartbeat', id: '1', service: `instance-${index}`, load: loadOf(index) };
  sockets[index % connections]?.send(JSON.stringify(frame));
};
const beat = way === 'socket' ? bySocket : byRest;

const startedMs = performance.now();
let sent = 0;
setInterval(() => {
  const due = ((performance.now() - startedMs) * instances) / intervalMs;
  while (sent < due) void beat(sent++ % instances);
}, 5);

createInterface({ input: process.stdin }).on('line', () => {
  process.stdout.write(`${JSON.stringify({ ...counts, sent })}\n`);
});
process.stdout.write('beating\n');
