import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Json } from '../../../domain/event.ts';
import type { Clock } from '../../clock.ts';
import { fault, invalid, ok, problem, type Result } from '../../errors.ts';
import { roughBytes } from '../../rough-bytes.ts';
import { createTurns, type Turns } from '../../watch/turns.ts';

/** Subscriptions and watches of one plugin, those that are ending counted. */
const maxFeeds = 64;
/** Messages and changes that one plugin is handling at a time; a large one counts as 16. */
const maxDeliveries = 256;
const largeWeight = 16;
/** As it takes in memory. What is looked at to find that out is no more than this. */
const largeBytes = 65_536;
const maxLargePerSec = 128;

/** What a guest is handed by a subscription or watch: its target, as the guest numbers it. */
export type FeedTarget = `message:${number}` | `change:${number}`;

/** One subscription or watch while it stands. */
export type Feed = {
  /** Aborts when nothing more is to be handed over. */
  readonly stopping: AbortSignal;
  /**
   * Waits for a free place, then begins `handle` and returns without waiting for its end. False when the feed was
   * stopped first: then it was not begun. `handle` never rejects.
   *
   * @param item what is handed over.
   */
  begin(item: Json, handle: () => Promise<void>): Promise<boolean>;
};

/** Runs until the feed is stopped, or what it follows has ended. Does not reject. */
export type Follow = () => Promise<void>;

/** `value`: what the guest is answered. `close` is called once nothing is being handled any more, and ends what is followed. */
export type Opened = Result<{ readonly value: Json; readonly follow: Follow; close(): void }>;

export type Feeds = {
  /**
   * Stands once `open` has resolved well; what it gives is run then.
   *
   * @param maxInFlight handled at a time.
   */
  add(target: FeedTarget, maxInFlight: number, open: (feed: Feed) => Promise<Opened>): Promise<Result<Json>>;
  /** Nothing more is handed over; what is being handled goes on. A feed that is not there has ended. */
  end(target: FeedTarget): void;
  /** Ends all; resolves once what was being handled has ended. */
  stop(): Promise<void>;
};

type Standing = { readonly stopping: AbortController; readonly running: Promise<void> };

export const createFeeds = (clock: Clock): Feeds => {
  const standing = new Map<FeedTarget, Standing>();
  const shared = createTurns(maxDeliveries);
  let stopped = false;
  let lastLarge: Promise<void> = Promise.resolve();
  let second = { sinceMs: clock.now(), spent: 0 };

  /** What is large costs the hub time, for each subscription that it comes to: each has a turn of the event loop. */
  const turnOfLarge = async (): Promise<void> => {
    await nextTurn();
    const passedMs = clock.now() - second.sinceMs;
    const isOver = passedMs < 0 || passedMs >= 1_000;
    if (!isOver && second.spent >= maxLargePerSec) {
      await new Promise<void>((resolve) => {
        clock.after(1_000 - passedMs, resolve);
      });
    }
    if (isOver || second.spent >= maxLargePerSec) second = { sinceMs: clock.now(), spent: 0 };
    second.spent++;
  };
  const turn = (): Promise<void> => {
    lastLarge = lastLarge.then(turnOfLarge);
    return lastLarge;
  };

  const feedOf = (stopping: AbortSignal, own: Turns, handling: Set<Promise<void>>): Feed => ({
    stopping,
    async begin(item, handle) {
      const begun = Promise.withResolvers<boolean>();
      const isLarge = roughBytes(item, largeBytes) >= largeBytes;
      const once = async (): Promise<void> => {
        if (isLarge) await turn();
        if (stopping.aborted) return;
        begun.resolve(true);
        await handle();
      };
      const running = own
        .run(() => shared.run(once, stopping, isLarge ? largeWeight : 1), stopping)
        .then(() => {
          handling.delete(running);
          begun.resolve(false);
        });
      handling.add(running);
      return begun.promise;
    },
  });

  return {
    async add(target, maxInFlight, open) {
      if (stopped) return fault(problem('shutting_down', 'the plugin is being stopped'));
      if (standing.has(target)) return invalid('/n', 'is in use');
      if (standing.size >= maxFeeds) {
        return fault(problem('overloaded', `a plugin has ${maxFeeds} subscriptions and watches at most`));
      }
      const stopping = new AbortController();
      const handling = new Set<Promise<void>>();
      const feed = feedOf(stopping.signal, createTurns(maxInFlight), handling);
      const opening = Promise.resolve().then(() => open(feed));
      const run = async (): Promise<void> => {
        const opened = await opening;
        if (!opened.ok) return;
        const { follow, close } = opened.value;
        const following = follow();
        await (stopping.signal.aborted ? undefined : Promise.race([following, abortOf(stopping.signal)]));
        stopping.abort();
        await Promise.all(handling);
        close();
        await following;
      };
      const running = run()
        .catch(() => undefined)
        .finally(() => standing.delete(target));
      standing.set(target, { stopping, running });
      const opened = await opening;
      return opened.ok ? ok(opened.value.value) : opened;
    },
    end(target) {
      standing.get(target)?.stopping.abort();
    },
    async stop() {
      stopped = true;
      const all = [...standing.values()];
      for (const { stopping } of all) stopping.abort();
      await Promise.all(all.map(({ running }) => running));
    },
  };
};

const abortOf = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
