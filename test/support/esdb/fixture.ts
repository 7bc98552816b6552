import { randomUUID } from 'node:crypto';
import { asStreamId, type LogEvent, type NewEvent, type StreamId } from '../../../domain/event.ts';
import type { EventLog } from '../../../src/log/event-log.ts';
import { type EventStoreDbLogOptions, openEventStoreDbLog } from '../../../src/log/eventstoredb.ts';
import { type EsdbServer, startEsdbServer } from '../esdb-server.ts';

/** Limits that no busy machine reaches; a test that has to see one pass says so. */
const patient = {
  tryMs: 20_000,
  callMs: 60_000,
  silenceMs: 20_000,
  closeMs: 30_000,
  retryMs: 5,
  maxRetryMs: 50,
};

/** For a test whose server does not answer, and whose claims hold also when a busy machine lets a try pass in vain. */
export const impatient = { tryMs: 250 } as const;

export type Pair = {
  readonly server: EsdbServer;
  readonly log: EventLog;
  readonly warnings: readonly string[];
};

/** Runs `body` with a server and a log over it, and releases both. `now` is the server's clock. */
export const withEsdb = async (
  body: (pair: Pair) => Promise<void>,
  options: Partial<EventStoreDbLogOptions> = {},
  now: () => number = Date.now,
): Promise<void> => {
  const server = await startEsdbServer(now);
  const warnings: string[] = [];
  const logger = { warn: (_facts: object, message: string) => void warnings.push(message) };
  const log = await openEventStoreDbLog({ url: server.url, logger, ...patient, ...options });
  try {
    await body({ server, log, warnings });
  } finally {
    await log.close();
    server.stop();
  }
};

export const someStream = (): StreamId => asStreamId(`thing-${randomUUID()}`);

export const someEvent = (n = 0, id: string = randomUUID()): NewEvent => ({
  id,
  type: 'ThingHappened',
  data: { n },
  metadata: { actor: 'local', correlationId: id, causationId: null, node: 'node-1', schema: 1 },
});

/** Writes events with `{ n }` straight into the server's log, as another hub would; `pad` characters more in each. */
export const writeElsewhere = (
  server: EsdbServer,
  stream: string,
  from: number,
  to: number,
  pad = 0,
): void => {
  for (let n = from; n < to; n++) {
    const event = someEvent(n);
    const data = Buffer.from(JSON.stringify({ n, pad: 'x'.repeat(pad) }));
    const metadata = Buffer.from(JSON.stringify(event.metadata));
    const { id, type } = event;
    server.store.append(stream, [{ id, type, contentType: 'application/json', data, metadata }], 'any');
  }
};

export const numberOf = ({ data }: LogEvent): unknown =>
  data !== null && typeof data === 'object' && 'n' in data ? data.n : null;

/** How often the event stands in the server's log. */
export const timesWritten = (server: EsdbServer, id: string): number =>
  server.store.log.filter((event) => event.id === id).length;
