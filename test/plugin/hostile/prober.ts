import { Agent, request } from 'node:http';

/**
 * A process of its own that asks a hub for its health each 10 ms, and one of its witnesses each 25 ms, whatever becomes of
 * the questions before. `node prober.ts URL`; each message from the parent is answered with all since the one before.
 */

/** Times are milliseconds of the epoch. */
export type Sample = { readonly atMs: number; readonly tookMs: number; readonly ok: boolean };
export type Samples = { readonly health: readonly Sample[]; readonly witness: readonly Sample[] };

const [url = ''] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const agent = new Agent({ keepAlive: true, maxSockets: 512 });
const now = (): number => performance.timeOrigin + performance.now();

const ask = (method: string, path: string, body: string | undefined, into: Sample[]): void => {
  const atMs = now();
  const done = (ok: boolean): void => {
    into.push({ atMs, tookMs: now() - atMs, ok });
  };
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const asked = request({ agent, hostname, port, method, path, headers }, (response) => {
    response.resume();
    response.on('end', () => done((response.statusCode ?? 500) < 300));
    response.on('error', () => done(false));
  });
  asked.on('error', () => done(false));
  asked.end(body);
};

let health: Sample[] = [];
let witness: Sample[] = [];
setInterval(() => ask('GET', '/health', undefined, health), 10);
setInterval(() => ask('POST', '/events/attack.witness', '{"payload":0}', witness), 25);
process.on('message', () => {
  process.send?.({ health, witness } satisfies Samples);
  health = [];
  witness = [];
});
process.on('disconnect', () => process.exit(0));
