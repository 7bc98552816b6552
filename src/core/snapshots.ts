import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isStatePrefix } from '../../domain/names.ts';
import { fault, invalid, ok, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import { newId } from '../ids.ts';
import { encodedBytes } from '../log/encode.ts';
import { maxAppendBytes } from '../log/event-log.ts';
import type { CommandDone, CommandInput, Context } from '../nexus-core.ts';
import type { Loaded, LoadOptions, SnapshotApi } from '../nexus-snapshots.ts';
import { roughBytes } from '../rough-bytes.ts';
import { type ImportEntry, readImport } from '../state/import.ts';
import { isExpired, load, partly, setCommandOf } from '../state/load.ts';
import { snapshotText } from '../state/snapshot-format.ts';
import { stateAt } from '../state/state-at.ts';
import { defaultUploadLimits, receive, type UploadLimits } from '../state/upload.ts';
import { ownReadModelsMs } from './command-call.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';
import type { Reads } from './reads.ts';

export type SnapshotsOptions = {
  readonly parts: Pick<Parts, 'config' | 'node' | 'log' | 'logId' | 'runner' | 'clock'>;
  readonly reads: Reads;
  readonly execute: (input: CommandInput, context: Context) => Promise<Result<CommandDone>>;
  /** What `execute` would refuse whatever state it met. */
  readonly check: (input: CommandInput, context: Context) => Promise<Result<unknown>>;
  readonly limits?: UploadLimits;
};

export type Snapshots = SnapshotApi & {
  /** No load begins any more, and the one that runs ends between two keys. */
  stopLoads(): void;
};

const prefixRule = 'must be what a key can begin with: 512 bytes at most, without control characters';
const badSnapshot = (reason: string) =>
  fault(problem('bad_snapshot', `Nothing was loaded: ${reason}`, { reason }));
/** A value of fewer cannot make an event too large, however it is escaped. */
const smallBytes = 100_000;
const shuttingDown = problem('shutting_down', 'The hub is shutting down');

/** The snapshots that clients save and load. An upload that a crash has left is thrown away. */
export const createSnapshots = (options: SnapshotsOptions): Snapshots => {
  const { parts, reads, execute, check, limits = defaultUploadLimits } = options;
  const { log, logId, runner, clock } = parts;
  const directory = join(parts.config.dataDir, 'uploads');
  rmSync(directory, { recursive: true, force: true });
  let loading = false;
  let stopping = false;

  /** A page that cannot be had as of the snapshot's position must not be taken for an empty one. */
  const mustServe = (position: string): void => {
    if (!runner.ready || runner.position < position) throw new Error('the read models are being rebuilt');
  };

  /** Of the event that sets the entry, as the log counts it. */
  const eventBytes = ({ key: _, ...data }: ImportEntry, context: Context): number => {
    const metadata = {
      actor: context.subject.id,
      correlationId: context.correlationId,
      causationId: context.causationId ?? null,
      ...given({ traceparent: context.traceparent }),
      node: parts.node,
      schema: 1,
    };
    const text = { data: JSON.stringify(data), metadata: JSON.stringify(metadata) };
    return encodedBytes({ id: newId(), type: 'StateSet', ...text });
  };

  /** Why an entry of a file could not be set, by the rules of any other write. */
  const refusalOf = async (
    entry: ImportEntry,
    prefix: string,
    context: Context,
  ): Promise<string | undefined> => {
    if (!entry.key.startsWith(prefix)) return `does not begin with ${prefix}`;
    if (roughBytes(entry.value, smallBytes) >= smallBytes) {
      const bytes = eventBytes(entry, context);
      if (bytes > maxAppendBytes)
        return `makes an event of ${bytes} bytes, and ${maxAppendBytes} are allowed`;
    }
    const now = clock();
    const { expiresAt, ...stays } = entry;
    const checked = await check(setCommandOf(isExpired(entry, now) ? stays : entry, now), context);
    return checked.ok ? undefined : checked.problem.detail;
  };

  const loadFile = async (path: string, options: LoadOptions, context: Context): Promise<Result<Loaded>> => {
    const read = await readImport(path);
    if (!read.ok) return badSnapshot(read.reason);
    const { source } = read;
    try {
      const prefix = options.prefix ?? source.prefix;
      if (!prefix.startsWith(source.prefix)) {
        return badSnapshot(`it holds the keys that begin with ${source.prefix}, not those with ${prefix}`);
      }
      for await (const page of source.entries()) {
        for (const entry of page) {
          const refused = await refusalOf(entry, prefix, context);
          if (refused !== undefined) return badSnapshot(`the key ${entry.key.slice(0, 128)}: ${refused}`);
        }
      }
      const at = await caughtUp(context);
      if (!at.ok) return at;
      if (stopping) return fault(shuttingDown);
      const { onProgress = () => {} } = options;
      const done = await load({
        source,
        store: runner.store,
        position: at.value,
        execute: (input) => execute(input, context),
        nowMs: clock,
        replaceWithin: options.mode === 'replace' ? prefix : undefined,
        dryRun: options.dryRun === true,
        onProgress: (counts) => onProgress({ ...counts }, source.count),
        stopped: () => (stopping ? shuttingDown : undefined),
        check: () => mustServe(at.value),
      });
      const { fault: ended, ...counts } = done;
      if (ended !== undefined) return fault(partly(ended, counts));
      return ok({ ...counts, entries: source.count });
    } finally {
      await source.close();
    }
  };

  /** What the log has now must be seen: a load that is repeated after a crash finds what it wrote. */
  const caughtUp = async (context: Context) => {
    const ready = await reads.ready(context);
    if (!ready.ok) return ready;
    const position = await log.position();
    if (await runner.reached(position, ownReadModelsMs)) return ok(runner.position);
    return fault(problem('not_caught_up', 'the read models of this node are behind the log', { position }));
  };

  return {
    snapshot: async ({ prefix = '', asOf }, context) => {
      if (!isStatePrefix(prefix)) return invalid('/prefix', prefixRule);
      const at = await reads.begin(context, { scope: 'state:read', prefix }, asOf);
      if (!at.ok) return at;
      const position = at.value.asOf ?? at.value.position;
      const head = { logId, position, takenAt: new Date(clock()).toISOString(), prefix };
      const check = (): void => mustServe(position);
      return ok({
        position,
        text: snapshotText(head, stateAt({ store: runner.store, position, prefix, check })),
      });
    },

    loadSnapshot: async (body, options, context) => {
      const denied = demand(context, { scope: 'admin' });
      if (denied !== undefined) return denied;
      const { prefix } = options;
      if (prefix !== undefined && !isStatePrefix(prefix)) return invalid('/prefix', prefixRule);
      if (stopping) return fault(shuttingDown);
      if (loading) return fault(problem('busy', 'Another snapshot is being loaded'));
      loading = true;
      let received: Result<string> | undefined;
      try {
        received = await receive(body, directory, limits);
        return received.ok ? await loadFile(received.value, options, context) : received;
      } finally {
        if (received?.ok === true) await rm(received.value, { force: true });
        loading = false;
      }
    },

    stopLoads: () => {
      stopping = true;
    },
  };
};
