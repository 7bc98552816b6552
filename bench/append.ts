import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { decodeEvent } from '../domain/catalog.ts';
import type { LogEvent } from '../domain/event.ts';
import type { AnyDocument } from '../projections/index.ts';
import { foldEvent } from '../projections/index.ts';
import { state } from '../projections/state.ts';
import { openEmbeddedLog } from '../src/log/embedded.ts';
import type { EventLog } from '../src/log/event-log.ts';
import { openRedisLog } from '../src/log/redis.ts';
import { openBareGroup, recordSettings } from './support/bare-group.ts';
import { stateEvent, streamOf } from './support/events.ts';
import { benchHttp } from './support/http.ts';
import { inTurns, type Load, latency, load, machine, perSec, print, ratio } from './support/measure.ts';
import { rawClient, startRedis } from './support/redis.ts';

/**
 * Durable appends and replay of each log at hand, beside the bare store that it stands on, in the same run.
 *
 * `npm run bench:append -- [--rounds N] [--scale S] [--only embedded|redis|replay|http]`
 */
const option = (name: string, fallback: string): string => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : (process.argv[at + 1] ?? fallback);
};
const rounds = Number(option('rounds', '5'));
const scale = Number(option('scale', '1'));
const only = option('only', 'all');
const wants = (part: string): boolean => only === 'all' || only === part;

const folder = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), 'nexus-bench-'));

/** Operations per measurement: enough for a second or more of each. */
const counts: readonly (readonly [inFlight: number, n: number])[] = [
  [1, Math.round(3_000 * scale)],
  [64, Math.round(60_000 * scale)],
  [1_000, Math.round(400_000 * scale)],
];

const appendTo =
  (log: EventLog) =>
  async (index: number): Promise<void> => {
    const result = await log.append(streamOf(index), [stateEvent(index)], 'any');
    if (!result.ok) throw new Error('a conflict with any');
  };

/** What one event takes in the embedded log: its id, stream, type, data and metadata as JSON, and their lengths. */
const bytesPerEvent = 430;

/** One lmdb record per commit of all that is in flight: no index, no checks, the next commit after the last. */
const rawLmdb = async (directory: string, n: number, inFlight: number): Promise<Load> => {
  const database = open<Buffer, number>(recordSettings(directory));
  let key = 0;
  const commits = Math.ceil(n / inFlight);
  const record = Buffer.alloc(bytesPerEvent * inFlight, 'nexus');
  const result = await load(commits, 1, () => database.put(++key, Buffer.from(record)));
  await database.close();
  return { ...result, perSec: result.perSec * inFlight };
};

const report = (name: string, inFlight: number, results: Record<'ours' | 'raw', Load>, n: number): void => {
  print(
    `  ${String(inFlight).padStart(5)} in flight, n ${n}: ${name} ${perSec(results.ours)} (${latency(results.ours)}); ` +
      `reference ${perSec(results.raw)}; ratio ${ratio(results.ours, results.raw)}`,
  );
};

const benchEmbedded = async (): Promise<void> => {
  print('\nEmbedded log, 200-byte data, 1,000 streams, fsync before the answer');
  print('  blob: one lmdb record per commit, of as many bytes as are in flight, made beforehand');
  print(
    '  bare: each append encoded, copied into the record of its commit, and answered; no checks, no index',
  );
  for (const [inFlight, n] of counts) {
    let run = 0;
    /** Runs `body` in a folder of its own that is gone afterwards. */
    const inFolder = async (body: (directory: string) => Promise<Load>): Promise<Load> => {
      const directory = join(folder, `log-${run++}`);
      const result = await body(directory);
      rmSync(directory, { recursive: true });
      return result;
    };
    const { nexus, bare, blob } = await inTurns(rounds, {
      nexus: () =>
        inFolder(async (directory) => {
          const log = await openEmbeddedLog({ directory });
          const result = await load(n, inFlight, appendTo(log));
          await log.close();
          return result;
        }),
      bare: () =>
        inFolder(async (directory) => {
          const log = openBareGroup(directory);
          const result = await load(n, inFlight, (index) => log.append(streamOf(index), stateEvent(index)));
          await log.close();
          return result;
        }),
      blob: () => inFolder((directory) => rawLmdb(directory, n, inFlight)),
    });
    print(
      `  ${String(inFlight).padStart(5)} in flight, n ${n}: nexus ${perSec(nexus)} (${latency(nexus)}); ` +
        `bare ${perSec(bare)}, ratio ${ratio(nexus, bare)}; blob ${perSec(blob)}, ratio ${ratio(nexus, blob)}`,
    );
  }
};

const benchRedis = async (appendfsync: 'always' | 'everysec'): Promise<void> => {
  const probe = await startRedis(appendfsync);
  if (probe === undefined) {
    print(`\nSKIPPED Redis (appendfsync ${appendfsync}): there is no redis-server on this machine`);
    return;
  }
  print(`\nRedis Streams, appendfsync ${appendfsync}; reference: raw XADD of the same bytes, auto-pipelined`);
  const client = await rawClient(probe.url);
  const payload = 'x'.repeat(bytesPerEvent);
  const log = await openRedisLog({ url: probe.url });
  for (const [inFlight, n] of counts) {
    const results = await inTurns(rounds, {
      ours: () => load(Math.ceil(n / 4), inFlight, appendTo(log)),
      raw: () => load(Math.ceil(n / 4), inFlight, () => client.xadd('raw', '*', 'e', payload)),
    });
    report('nexus', inFlight, results, Math.ceil(n / 4));
  }
  await log.close();
  client.disconnect();
  await probe.close();
};

const replayEvents = Math.round(300_000 * scale);

/** Every event of the log, decoded and folded by one projection, beside a scan of as many records with JSON decode. */
const benchReplay = async (): Promise<void> => {
  print(
    '\nReplay through decode and one projection; reference: lmdb range scan with JSON decode of the same events',
  );
  const log = await openEmbeddedLog({ directory: join(folder, 'replay') });
  await load(replayEvents, 1_000, appendTo(log));
  const raw = open<Buffer, number>({ path: join(folder, 'replay-raw'), encoding: 'binary', noSync: true });
  let key = 0;
  for (let after = log.start; ; ) {
    const page = await log.readAll({ after, limit: 1_000 });
    for (const event of page.events) void raw.put(++key, Buffer.from(JSON.stringify(event)));
    await raw.flushed;
    if (!page.more) break;
    after = page.position;
  }
  const results = await inTurns(rounds, {
    ours: async () => {
      const documents = new Map<string, AnyDocument>();
      const started = performance.now();
      let events = 0;
      for (let after = log.start; ; ) {
        const page = await log.readAll({ after, limit: 1_000 });
        for (const event of page.events) fold(documents, event);
        events += page.events.length;
        if (!page.more) break;
        after = page.position;
      }
      return { perSec: (events / (performance.now() - started)) * 1_000, p50Ms: 0, p99Ms: 0 };
    },
    raw: async () => {
      const started = performance.now();
      let bytes = 0;
      for (const { value } of raw.getRange()) bytes += JSON.parse(value.toString()).stream.length;
      if (bytes === 0) throw new Error('nothing was read');
      return { perSec: (key / (performance.now() - started)) * 1_000, p50Ms: 0, p99Ms: 0 };
    },
  });
  print(
    `  n ${replayEvents}: nexus ${perSec(results.ours)}; reference ${perSec(results.raw)}; ratio ${ratio(results.ours, results.raw)}`,
  );
  await raw.close();
  await log.close();
};

const fold = (documents: Map<string, AnyDocument>, event: LogEvent): void => {
  const decoded = decodeEvent(event);
  if (!decoded.ok || !decoded.known || decoded.event.type !== 'StateSet') return;
  const folded = foldEvent(state, documents.get(event.stream), decoded.event, event.stream);
  if (folded.ok && folded.document) documents.set(event.stream, folded.document);
};

print(`${machine()}; medians of ${rounds} rounds in turns`);
try {
  if (wants('embedded')) await benchEmbedded();
  if (wants('redis')) for (const setting of ['always', 'everysec'] as const) await benchRedis(setting);
  if (wants('replay')) await benchReplay();
  if (wants('http')) await benchHttp({ folder, rounds, seconds: Math.max(2, 5 * scale) });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
