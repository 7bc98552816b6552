import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Json } from '../../domain/event.ts';
import { createHubClient, type HubClient, HubError } from '../hub-client.ts';

/** What a method makes out of what: the agent plans with these (plan.ts). */
export type Action = {
  readonly method: string;
  readonly takes: readonly string[];
  readonly gives: string;
};

export type Call = {
  /** The hub, with the caller's correlation on every request. */
  readonly hub: HubClient;
};

export type ServiceDefinition = {
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly actions?: readonly Action[];
  /** By name: the hub calls `POST /{name}`. */
  readonly methods: Readonly<Record<string, (data: unknown, call: Call) => Promise<Json>>>;
  /** Answers GET requests but /health; undefined is 404. */
  readonly page?: (path: string) => Promise<string | undefined>;
  /** Told once, before the service registers: where it listens. */
  readonly onListening?: (origin: string) => void;
  readonly close?: () => Promise<void>;
};

const ttlSec = 10;
const heartbeatMs = 1_000;
const maxBodyBytes = 1_048_576;

const readBody = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return bytes === 0 ? null : JSON.parse(Buffer.concat(chunks).toString('utf8'));
};

const sendJson = (response: ServerResponse, status: number, body: Json): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

/**
 * Runs a service as a process of its own: `node service.ts HUB_URL`. It listens on a free port of the loopback
 * address, registers, sends heartbeats, registers again when the hub does not know it, waits when the hub is away, and
 * deregisters on SIGTERM or when its parent is gone.
 */
export const runService = (definition: ServiceDefinition): void => {
  const { name, capabilities, actions = [], methods } = definition;
  const id = `demo-${name}`;
  const hub = createHubClient(process.argv[2] ?? 'http://127.0.0.1:8080');
  let timer: NodeJS.Timeout | undefined;
  let stopping = false;
  let port = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? '/';
    if (request.method === 'GET') {
      const page = path === '/health' ? 'fine' : await definition.page?.(path);
      response.writeHead(page === undefined ? 404 : 200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(page ?? 'there is no such page');
      return;
    }
    const method = Object.hasOwn(methods, path.slice(1)) ? methods[path.slice(1)] : undefined;
    if (method === undefined)
      return sendJson(response, 404, { error: `${name} has no method ${path.slice(1)}` });
    const correlation = request.headers['x-correlation-id'];
    const scoped = typeof correlation === 'string' ? hub.within(correlation) : hub;
    sendJson(response, 200, await method(await readBody(request), { hub: scoped }));
  };

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      sendJson(response, 422, { error: error instanceof Error ? error.message : 'failed' });
    });
  });

  const register = (): Promise<unknown> =>
    hub.request('POST', '/services', {
      body: {
        id,
        name,
        version: '1.0.0',
        host: '127.0.0.1',
        port,
        capabilities,
        ttlSec,
        healthCheckUrl: `http://127.0.0.1:${port}/health`,
        metadata: { actions },
      },
    });

  let busy = performance.eventLoopUtilization();
  const beat = async (): Promise<void> => {
    const now = performance.eventLoopUtilization();
    const load = Math.round(100 * performance.eventLoopUtilization(now, busy).utilization) / 100;
    busy = now;
    try {
      await hub.request('POST', `/services/${id}/heartbeat`, { body: { load }, timeoutMs: 2_000 });
    } catch (error) {
      if (error instanceof HubError && error.status === 404 && !stopping) await register();
      // Anything else passes: the hub is away for a moment, and the next heartbeat finds it.
    }
  };
  const keepBeating = (): void => {
    if (!stopping)
      timer = setTimeout(
        () =>
          beat()
            .catch(() => undefined)
            .then(keepBeating),
        heartbeatMs,
      );
  };

  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    clearTimeout(timer);
    await hub.request('DELETE', `/services/${id}`, { timeoutMs: 2_000 }).catch(() => undefined);
    await definition.close?.();
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  // The parent holds the other end: when it dies in whatever way, this ends too.
  process.stdin.once('end', stop).resume();

  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address !== null && typeof address === 'object') port = address.port;
    definition.onListening?.(`http://127.0.0.1:${port}`);
    register()
      .then(beat)
      .then(keepBeating, (error: unknown) => {
        process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exit(1);
      });
  });
};
