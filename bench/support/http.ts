import { join } from 'node:path';
import autocannon from 'autocannon';
import { text } from './events.ts';
import { startHub } from './hub.ts';
import { inTurns, type Load, latency, perSec, print, ratio } from './measure.ts';
import { startProcess } from './process.ts';

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
  const hub = await startHub({ folder: join(folder, 'hub') });
  const bare = await startProcess({
    argv: [join(import.meta.dirname, 'bare-koa.ts'), join(folder, 'bare')],
    cwd: folder,
  });
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
        raw: () => measure(`http://127.0.0.1:${bare.line}`, method, path, body, seconds),
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
