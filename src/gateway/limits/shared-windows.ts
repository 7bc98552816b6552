import { BoundedMap } from '../../bounded-map.ts';
import { steadyNow } from '../../clock.ts';
import type { Counted, Counters } from '../../log/counters.ts';
import type { Logger } from '../../logger.ts';

/** What koa-ratelimit keeps of a client: `remaining` before the request is counted, `reset` in seconds since 1970. */
export type Window = { remaining: number; readonly reset: number; readonly total: number };

/** The shared counters are not to be had: count by other means. */
export class CountersAway extends Error {}

/** A node takes so many hundredths of a budget at once. */
const shares = 100;
const retryMs = 1_000;

/** A part of a window's budget that this node has taken and not yet spent. */
type Lease = { left: number; readonly unclaimed: number; readonly untilMs: number; readonly resetMs: number };

/**
 * Asks the counters while they answer. After a failure one request in each second tries them, and all others are told
 * at once that they are away.
 */
export const createReach = (counters: Counters, logger: Logger): Pick<Counters, 'add'> => {
  let away = false;
  let askAgainMs = 0;
  return {
    add: async (key, by, windowMs) => {
      if (away) {
        const now = steadyNow();
        if (now < askAgainMs) throw new CountersAway();
        askAgainMs = now + retryMs;
      }
      let counted: Counted;
      try {
        counted = await counters.add(key, by, windowMs);
      } catch (error) {
        askAgainMs = steadyNow() + retryMs;
        if (!away) {
          const reason = error instanceof Error ? error.message : String(error);
          logger.warn({ reason }, 'the shared budgets cannot be reached: this node counts by itself');
        }
        away = true;
        throw new CountersAway();
      }
      if (away) logger.info({}, 'the shared budgets are reached again');
      away = false;
      return counted;
    },
  };
};

/**
 * The `db` of koa-ratelimit's Redis driver. The driver calls `ratelimiter`, and defines it as a script of its own where
 * it is missing: a member of a sorted set for each request. This one has a counter per key and window. Of a budget of
 * 100 and more the node takes a hundredth at once and gives it out by itself.
 *
 * The map holds the newest window of each key, as the map of the memory driver does.
 */
export class SharedWindows extends BoundedMap<string, Window> {
  readonly #reach: Pick<Counters, 'add'>;
  readonly #leases: BoundedMap<string, Lease>;
  readonly #asking = new Map<string, Promise<void>>();

  constructor(max: number, reach: Pick<Counters, 'add'>) {
    super(max);
    this.#reach = reach;
    this.#leases = new BoundedMap(max);
  }

  /**
   * Takes one of the budget of `key`.
   *
   * @throws {CountersAway}
   */
  async ratelimiter(
    key: string,
    _now: number,
    durationMs: number,
    max: number,
  ): Promise<[remaining: number, reset: number, total: number]> {
    for (;;) {
      const lease = this.#leases.get(key);
      if (lease !== undefined && steadyNow() < lease.untilMs) {
        if (lease.left > 0) {
          lease.left--;
          return this.#tell(key, lease.unclaimed + lease.left + 1, lease.resetMs, max);
        }
        // Until the window ends nothing comes back.
        if (lease.unclaimed === 0) return this.#tell(key, 0, lease.resetMs, max);
      }
      await this.#ask(key, durationMs, max);
    }
  }

  /** Takes one of what this node has at hand and is not the last of it; undefined when it would have to ask. */
  takeNow(key: string, max: number): Window | undefined {
    const lease = this.#leases.get(key);
    if (lease === undefined || lease.left < 2 || steadyNow() >= lease.untilMs) return undefined;
    lease.left--;
    this.#tell(key, lease.unclaimed + lease.left + 1, lease.resetMs, max);
    return this.get(key);
  }

  /** Those who find the lease used up share the next one. */
  #ask(key: string, durationMs: number, max: number): Promise<void> {
    const asked = this.#asking.get(key);
    if (asked !== undefined) return asked;
    const asking = this.#take(key, durationMs, max).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  async #take(key: string, durationMs: number, max: number): Promise<void> {
    const part = Math.max(1, Math.floor(max / shares));
    const { count, leftMs } = await this.#reach.add(key, part, durationMs);
    const left = Math.min(part, Math.max(0, max - (count - part)));
    this.#leases.set(key, {
      left,
      unclaimed: Math.max(0, max - count),
      untilMs: steadyNow() + leftMs,
      resetMs: Date.now() + leftMs,
    });
  }

  #tell(key: string, remaining: number, resetMs: number, total: number): [number, number, number] {
    const reset = resetMs / 1_000;
    this.set(key, { remaining, reset, total });
    return [remaining, reset, total];
  }
}
