import { createServer, type RequestListener, type Server } from 'node:http';
import { asPosition, asRevision } from '../../domain/event.ts';
import { defaultPolicy } from '../../domain/service/policy.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import type { Clock } from '../../src/clock.ts';
import type { Logger } from '../../src/logger.ts';

export const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A clock that stands until it is moved; what falls due on the way runs in order. */
export const createTestClock = (startMs = Date.UTC(2030, 0, 1)): Clock & { advance(ms: number): void } => {
  let nowMs = startMs;
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  return {
    now: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      const untilMs = nowMs + ms;
      for (;;) {
        const [first] = [...timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
        if (first === undefined) break;
        timers.delete(first);
        nowMs = Math.max(nowMs, first.atMs);
        first.run();
      }
      nowMs = untilMs;
    },
  };
};

export const serviceDocument = (changes: Partial<ServiceDocument> = {}): ServiceDocument => ({
  id: 'one',
  owner: 'local',
  name: 'svc',
  version: '1.0.0',
  host: '127.0.0.1',
  port: 9,
  protocol: 'http',
  capabilities: [],
  healthCheckUrl: null,
  ttlSec: null,
  weight: 1,
  tags: [],
  metadata: {},
  ...defaultPolicy,
  status: 'healthy',
  statusReason: '',
  statusCause: 'registration',
  falls: [],
  circuit: null,
  servedBy: null,
  statusSince: '2030-01-01T00:00:00.000Z',
  registeredAt: '2030-01-01T00:00:00.000Z',
  updatedAt: '2030-01-01T00:00:00.000Z',
  deregistered: false,
  fieldsAt: asPosition('0000000000000001'),
  revision: asRevision(0),
  position: asPosition('0000000000000001'),
  ...changes,
});

export type Listening = {
  readonly port: number;
  readonly server: Server;
  close(): Promise<void>;
};

export const listen = async (listener: RequestListener): Promise<Listening> => {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

/** A port on which nothing listens. */
export const freePort = async (): Promise<number> => {
  const { port, close } = await listen(() => {});
  await close();
  return port;
};
