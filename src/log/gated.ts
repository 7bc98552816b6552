import { asPosition } from '../../domain/event.ts';
import { type EventLog, LogError, type LogKind, type WatchOptions } from './event-log.ts';

/** Width of a position by back end: EventStoreDB's hold a commit and a prepare place. */
const zeros: Readonly<Record<LogKind, string>> = {
  embedded: '0'.repeat(16),
  redis: '0'.repeat(16),
  eventstoredb: '0'.repeat(32),
};

export type GatedLog = EventLog & {
  /** Resolves once the gate has opened; never, if it stays shut. */
  readonly opened: Promise<void>;
};

/**
 * A log that is still being looked for: every call is refused with `log_unavailable` until `find` resolves, then it is
 * that log. So a node whose log is away serves reads from its read models at once, and writes when it is back.
 *
 * @param find is called once; `signal` aborts when the gate closes, and then nothing may come of it any more. When it
 *   rejects, the gate stays shut and watches end.
 */
export const createGatedLog = (kind: LogKind, find: (signal: AbortSignal) => Promise<EventLog>): GatedLog => {
  const closing = new AbortController();
  let log: EventLog | undefined;
  const opened = Promise.withResolvers<void>();
  const found = find(closing.signal).then(
    (value) => {
      log = value;
      opened.resolve();
      return value;
    },
    () => undefined,
  );
  const behind = (): EventLog => {
    if (log !== undefined) return log;
    if (closing.signal.aborted) throw new LogError('log_closed', 'the log was closed');
    throw new LogError('log_unavailable', 'the event log of this node has not been reached yet', { kind });
  };
  const appendAll: EventLog['appendAll'] = async (parts) => {
    const reached = behind();
    if (reached.appendAll !== undefined) return reached.appendAll(parts);
    throw new LogError('invalid', 'the event log cannot append to several streams at once', { kind });
  };
  const watch = async function* (options: WatchOptions) {
    const { promise: aborted, resolve: abort } = Promise.withResolvers<undefined>();
    const onAbort = () => abort(undefined);
    options.signal.addEventListener('abort', onAbort, { once: true });
    let reached: EventLog | undefined;
    try {
      reached = options.signal.aborted ? undefined : await Promise.race([found, aborted]);
    } finally {
      options.signal.removeEventListener('abort', onAbort);
    }
    if (reached !== undefined) yield* reached.watch(options);
  };
  let closed: Promise<void> | undefined;
  return {
    opened: opened.promise,
    kind,
    get durability() {
      return log?.durability ?? { durable: true, note: 'not reached yet' };
    },
    start: asPosition(zeros[kind]),
    get reachable() {
      return log?.reachable ?? false;
    },
    append: async (stream, events, expected) => behind().append(stream, events, expected),
    // What a back end can do is known before it is reached.
    ...(kind === 'eventstoredb' ? {} : { appendAll }),
    readStream: async (stream, options) => behind().readStream(stream, options),
    readAll: async (options) => behind().readAll(options),
    watch,
    head: async (stream) => behind().head(stream),
    position: async () => behind().position(),
    truncate: async (stream, before) => behind().truncate(stream, before),
    scavenge: async (options) => behind().scavenge(options),
    close: () => {
      closing.abort();
      closed ??= found.then((late) => late?.close());
      return closed;
    },
  };
};
