import { createInterface } from 'node:readline';
import { Pool } from 'undici';

/** Sends the heartbeats of many instances, each at its own moment of the interval. A line on stdin is answered with counts. */
const [url = '', token = '', ...rest] = process.argv.slice(2);
const [instances = 0, connections = 0, intervalMs = 0] = rest.map(Number);
const pool = new Pool(url, { connections, pipelining: 1 });
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
const counts = { answered: 0, failed: 0 };

const beat = async (index: number): Promise<void> => {
  try {
    const body = JSON.stringify({ load: (index % 100) / 100 });
    const path = `/services/instance-${index}/heartbeat`;
    const answer = await pool.request({ method: 'POST', path, headers, body });
    await answer.body.dump();
    counts.answered++;
    if (answer.statusCode !== 200) counts.failed++;
  } catch {
    counts.failed++;
  }
};

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
