import type { ExpiringDocument } from '../../projections/documents.ts';
import { expiring } from '../../projections/expiring.ts';
import type { Ownership } from '../bus/ownership.ts';
import { retrying } from '../bus/subscription/retrying.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Runner } from '../projection/runner.ts';
import { createRounds } from '../rounds.ts';
import { createNearest } from './expiry/nearest.ts';

/** Deletes keys whose time has come (docs/adr/0032-expiry-and-locks.md). */
export type Expiry = {
  /** Keys that wait for their time in memory, and those that are due and not expired yet. */
  readonly held: number;
  readonly due: number;
  /** Nothing is expired any more; resolves when what is under way has settled. Idempotent. */
  close(): Promise<void>;
};

export type ExpiryOptions = {
  readonly runner: Pick<Runner, 'store' | 'ready' | 'onFolded' | 'onSwapped'>;
  readonly ownership: Ownership;
  /** The time of day, as `expiresAt` is. */
  readonly clock: Clock;
  readonly logger: Logger;
  /** Expires exactly this version of the key, or nothing. Rejects when it is to be tried again. */
  readonly expire: (key: string, version: number) => Promise<void>;
  readonly limits?: ExpiryLimits;
};

export type ExpiryLimits = {
  /** Keys whose time is known in memory. */
  readonly maxHeld: number;
  readonly maxInFlight: number;
  /** Due keys at which a look through all of them pauses. */
  readonly maxDue: number;
  /** Keys that a look goes through in one turn. */
  readonly pageKeys: number;
};

export const expiryLimits: ExpiryLimits = {
  maxHeld: 32_768,
  maxInFlight: 64,
  maxDue: 1_024,
  pageKeys: 1_000,
};

/** So long before the nearest keys run out, all are looked through again. */
const leadMs = 10_000;
const readyEveryMs = 250;
const retryLookMs = 5_000;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const openExpiry = (options: ExpiryOptions): Expiry => {
  const { runner, ownership, clock, logger, expire, limits = expiryLimits } = options;
  const closing = new AbortController();
  const { signal } = closing;
  /** Due and not begun, by key; in the order in which they came due. */
  const due = new Map<string, number>();
  const inFlight = new Set<Promise<void>>();
  let room = Promise.withResolvers<void>();
  let cancelLook = (): void => {};
  let lookAtMs = Number.POSITIVE_INFINITY;
  let troubled = false;

  const isOwn = (key: string): boolean =>
    ownership.self === null || (ownership.valid && ownership.self !== undefined && ownership.isChosen(key));

  const work = async (key: string, version: number): Promise<void> => {
    const once = async (): Promise<void> => {
      await expire(key, version);
      if (troubled) logger.info({}, 'keys expire again');
      troubled = false;
    };
    await retrying(once, signal, (error) => {
      if (!troubled) logger.warn({ error, key }, 'keys cannot expire now; trying again');
      troubled = true;
    });
  };

  const pump = (): void => {
    for (const [key, version] of due) {
      if (inFlight.size >= limits.maxInFlight || signal.aborted) break;
      due.delete(key);
      const done = work(key, version).finally(() => {
        inFlight.delete(done);
        pump();
      });
      inFlight.add(done);
    }
    if (due.size < limits.maxDue) {
      room.resolve();
      room = Promise.withResolvers();
    }
  };

  /** Another node's key stays its own: when that node goes, all are looked through. */
  const onDue = (key: string, version: number): void => {
    if (signal.aborted || !isOwn(key)) return;
    if (due.size >= limits.maxHeld) lookIn(retryLookMs);
    else {
      due.set(key, version);
      pump();
    }
  };

  const nearest = createNearest({ clock, maxHeld: limits.maxHeld, onDue, onCut: () => plan() });

  const take = (key: string, { version, expiresAt }: ExpiringDocument): void => {
    due.delete(key);
    const dueMs = Date.parse(expiresAt);
    if (dueMs > clock.now()) nearest.put(key, version, dueMs);
    else {
      nearest.remove(key);
      onDue(key, version);
    }
  };

  const page = (after: string | undefined): string | undefined => {
    let count = 0;
    for (const [key, document] of runner.store.range<ExpiringDocument>(
      expiring.name,
      after === undefined ? {} : { after },
    )) {
      take(key, document);
      if (++count === limits.pageKeys) return key;
    }
    return undefined;
  };

  const lookThrough = async (): Promise<void> => {
    cancelLook();
    lookAtMs = Number.POSITIVE_INFINITY;
    // What is folded on the way to the log's end may have been set again long since.
    if (!runner.ready) return lookIn(readyEveryMs, systemClock);
    try {
      nearest.widen();
      for (let after = page(undefined); after !== undefined && !signal.aborted; after = page(after)) {
        await nextTurn();
        while (due.size >= limits.maxDue && !signal.aborted) await room.promise;
      }
    } catch (error) {
      logger.warn({ error }, 'the keys that expire cannot all be read yet');
      return lookIn(retryLookMs);
    }
    plan();
  };
  const look = createRounds(lookThrough);

  /** Unless one comes earlier. */
  const lookIn = (delayMs: number, { now, after } = clock): void => {
    const atMs = now() + delayMs;
    if (signal.aborted || lookAtMs <= atMs) return;
    cancelLook();
    lookAtMs = atMs;
    cancelLook = after(delayMs, () => void look());
  };

  /** The next look comes before all keys that are held are due. */
  const plan = (): void => {
    const { horizonMs } = nearest;
    if (horizonMs === Number.POSITIVE_INFINITY) return;
    const leftMs = Math.max(horizonMs - clock.now(), 0);
    lookIn(leftMs > leadMs ? leftMs - leadMs : leftMs);
  };

  const unfollow = runner.onFolded((changes) => {
    if (!runner.ready) return;
    for (const { model, key, document } of changes) {
      if (model !== expiring.name) continue;
      if (document !== null) take(key, document as ExpiringDocument);
      else {
        due.delete(key);
        nearest.remove(key);
      }
    }
  });
  runner.onSwapped(() => void look());
  ownership.onChange(() => void look());
  void look();

  return {
    get held() {
      return nearest.size;
    },
    get due() {
      return due.size + inFlight.size;
    },
    async close() {
      closing.abort();
      cancelLook();
      unfollow();
      nearest.close();
      due.clear();
      room.resolve();
      await Promise.all(inFlight);
    },
  };
};
