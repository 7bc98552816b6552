import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import autocannon from 'autocannon';
import { text } from './events.ts';
import { inTurns, type Load, latency, perSec, print, ratio } from './measure.ts';

type Target = { readonly url: string; close(): Promise<void> };

/** The rate limit is on, and wide enough for the benchmark. */
const hubSettings = {
  NEXUS_RATE_LIMIT_MAX: '1000000000',
  NEXUS_ZMQ_PUBLISH: 'none',
  NEXUS_ZMQ_COMMAND: 'none',
};

/** Starts a server process and takes its address from its first line. */
const startProcess = async (
  argv: readonly string[],
  cwd: string,
  addressOf: (line: string) => string,
): Promise<Target> => {
  const child: ChildProcess = spawn(process.execPath, argv, {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...hubSettings },
  });
  if (child.stdout === null) throw new Error('the process has no output');
  const [line]: unknown[] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(() => {
      throw new Error(`${argv[0]} ended before it was ready`);
    }),
  ]);
  return {
    url: addressOf(String(line)),
    close: async () => {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    },
  };
};

const measure = async (
  url: string,
  method: 'PUT' | 'POST',
  path: () => string,
  body: string,
  seconds: number,
): Promise<Load> => {
  const result = await autocannon({
    url,
    connections: 64,
    duration: seconds,
    requests: [
      {
        method,
        body,
        headers: { 'content-type': 'application/json' },
        setupRequest: (request) => ({ ...request, path: path() }),
      },
    ],
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} refused, ${result.errors} failed at ${url}`);
  return {
    perSec: result.requests.total / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  };
};

/** The whole gateway (rate limit on, no token) beside a bare Koa route with the same durable append. */
export const benchHttp = async ({
  folder,
  rounds,
  seconds,
}: {
  folder: string;
  rounds: number;
  seconds: number;
}): Promise<void> => {
  print(
    '\nGateway over HTTP, 64 connections; reference: Koa + @koa/router + JSON body, the same durable append',
  );
  const root = join(import.meta.dirname, '../..');
  const hub = await startProcess(
    [
      join(root, 'src/main.ts'),
      'start',
      '--api-host',
      '127.0.0.1',
      '--api-port',
      '0',
      '--log',
      `file:${join(folder, 'hub')}`,
      '--data-dir',
      join(folder, 'hub'),
      '--state-file',
      'none',
      '--log-level',
      'warn',
    ],
    folder,
    (line) => /http:\/\/\S+/.exec(line)?.[0] ?? '',
  );
  const bare = await startProcess(
    [join(root, 'bench/support/bare-koa.ts'), join(folder, 'bare')],
    folder,
    (line) => `http://127.0.0.1:${line}`,
  );
  const value = text(170);
  let key = 0;
  const calls = [
    ['PUT /state/k', 'PUT', () => `/state/k${key++ % 1_000}`, JSON.stringify({ value: { text: value } })],
    [
      'POST /events/t',
      'POST',
      () => `/events/t${key++ % 1_000}`,
      JSON.stringify({ payload: { text: value } }),
    ],
  ] as const;
  try {
    for (const [name, method, path, body] of calls) {
      const results = await inTurns(rounds, {
        ours: () => measure(hub.url, method, path, body, seconds),
        raw: () => measure(bare.url, method, path, body, seconds),
      });
      print(
        `  ${name}, ${seconds} s each: nexus ${perSec(results.ours)} (${latency(results.ours)}); ` +
          `reference ${perSec(results.raw)}; ratio ${ratio(results.ours, results.raw)}`,
      );
    }
  } finally {
    await hub.close();
    await bare.close();
  }
};
