/** What an append asks for: one event as the wire carries it. */
export type ProposedEvent = {
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
};

export type StoredEvent = ProposedEvent & {
  readonly stream: string;
  readonly revision: bigint;
  /** Ticks of 100 ns since 1970. */
  readonly created: bigint;
  readonly commit: bigint;
  readonly prepare: bigint;
};

export type ExpectedRevision = bigint | 'any' | 'no_stream' | 'stream_exists';

export type Written =
  | { readonly type: 'written'; readonly last: bigint; readonly position: bigint }
  | { readonly type: 'wrong_version'; readonly current: bigint | 'no_stream' }
  | { readonly type: 'deleted' };

/** Newest ids that an append with `any` recognises; a real server's cache holds 8 MiB. */
const rememberedIds = 10_000;

/**
 * The log of the test server, in memory: one order with gaps between positions, streams with metadata, and the checks
 * of an append as the server's index writer makes them (idempotent by id, also across a partly known batch).
 */
export const createEsdbStore = (now: () => number = Date.now) => {
  const log: StoredEvent[] = [];
  const streams = new Map<string, StoredEvent[]>();
  const known = new Map<string, StoredEvent>();
  const tombstones = new Set<string>();
  const listeners = new Set<() => void>();
  let position = 1_000n;

  const lastRevision = (stream: string): bigint => BigInt((streams.get(stream)?.length ?? 0) - 1);

  const write = (stream: string, events: readonly ProposedEvent[]): StoredEvent | undefined => {
    const own = streams.get(stream) ?? [];
    streams.set(stream, own);
    let last: StoredEvent | undefined;
    for (const event of events) {
      // Positions are offsets of bytes: never dense, and a record of the server's own may stand between.
      position += BigInt(event.data.length + event.metadata.length + 57);
      last = {
        ...event,
        stream,
        revision: BigInt(own.length),
        created: BigInt(Math.trunc(now())) * 10_000n,
        commit: position,
        prepare: position,
      };
      own.push(last);
      log.push(last);
      known.delete(event.id);
      known.set(event.id, last);
    }
    for (const id of known.keys()) {
      if (known.size <= rememberedIds) break;
      known.delete(id);
    }
    for (const listener of listeners) listener();
    return last;
  };

  const done = (last: StoredEvent | undefined): Written => ({
    type: 'written',
    last: last?.revision ?? -1n,
    position: last?.commit ?? 0n,
  });

  /** Undefined when nothing of it is known; `partly` when the first id is and another is not. */
  const findKnown = (
    stream: string,
    events: readonly ProposedEvent[],
    expected: ExpectedRevision,
  ): StoredEvent | 'partly' | undefined => {
    let last: StoredEvent | undefined;
    const from = typeof expected === 'bigint' ? expected : -1n;
    for (const [index, event] of events.entries()) {
      const found =
        expected === 'any' || expected === 'stream_exists'
          ? known.get(event.id)
          : streams.get(stream)?.[Number(from) + 1 + index];
      const same = found !== undefined && found.id === event.id && found.stream === stream;
      if (!same) return index === 0 ? undefined : 'partly';
      last = found;
    }
    return last;
  };

  const append = (stream: string, events: readonly ProposedEvent[], expected: ExpectedRevision): Written => {
    if (tombstones.has(stream)) return { type: 'deleted' };
    const current = lastRevision(stream);
    const wrong: Written = { type: 'wrong_version', current: current < 0n ? 'no_stream' : current };
    if (expected === 'stream_exists' && current < 0n && lastRevision(`$$${stream}`) < 0n) return wrong;
    const wanted = expected === 'no_stream' ? -1n : expected;
    if (typeof wanted !== 'bigint' || wanted < current) {
      const found = findKnown(stream, events, expected);
      if (found === 'partly') return wrong;
      if (found !== undefined) return done(found);
    }
    if (typeof wanted === 'bigint' && wanted !== current) return wrong;
    return done(write(stream, events));
  };

  const truncatedBefore = (stream: string): bigint => {
    const metadata = streams.get(`$$${stream}`)?.at(-1);
    if (metadata === undefined) return 0n;
    const parsed: unknown = JSON.parse(Buffer.from(metadata.data).toString('utf8'));
    const mark = parsed !== null && typeof parsed === 'object' && '$tb' in parsed ? parsed.$tb : 0;
    return BigInt(typeof mark === 'number' ? mark : 0);
  };

  return {
    /** The whole log in order, truncated events included; grows by `append`. */
    log: log as readonly StoredEvent[],
    append,
    /** Visible events of a stream, or undefined for one that has none. */
    stream: (name: string): readonly StoredEvent[] | undefined => {
      const own = streams.get(name);
      if (own === undefined || own.length === 0) return undefined;
      return own.slice(Number(truncatedBefore(name)));
    },
    /** Index in `log` of the first event at or behind `commit`. */
    indexAt: (commit: bigint): number => {
      let low = 0;
      let high = log.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((log[middle]?.commit ?? 0n) < commit) low = middle + 1;
        else high = middle;
      }
      return low;
    },
    tombstone: (name: string): void => {
      tombstones.add(name);
    },
    isDeleted: (name: string): boolean => tombstones.has(name),
    /** What a restart or a new leader does: ids appended with `any` are no longer recognised. */
    forgetIds: (): void => known.clear(),
    /** Calls `listener` after each write until the returned function is called. */
    onWrite: (listener: () => void): (() => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};

export type EsdbStore = ReturnType<typeof createEsdbStore>;
