import { reject } from '../../domain/decider.ts';
import { asRevision, type Position } from '../../domain/event.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from '../../domain/state/state.ts';
import type { StateQuota } from '../../domain/state-policy/lookup.ts';
import { nothing, type QuotaRejection, type StateSize } from '../../domain/state-policy/quota.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Handled } from '../command/stream-states.ts';
import type { Logger } from '../logger.ts';
import type { Runner } from '../projection/runner.ts';
import { createRounds } from '../rounds.ts';
import type { StatePolicies } from './policies.ts';
import { type Claim, difference, type InFlight, inFlightOn, mostAdded, total } from './quota/in-flight.ts';
import { sizeOf, sizeOfValue } from './quota/size.ts';
import { createUsage, type PageLimits, type Usage } from './quota/usage.ts';

type Decides<Rejection> = Handled<StateState, StateCommand, StateEvent, Rejection>;
export type WithinQuotas = Decides<StateRejection | QuotaRejection>;

/** What is decided to happen to a key. */
export type Change = {
  readonly key: string;
  readonly before: StateState;
  readonly events: readonly StateEvent[];
};

/** A change, with what the key takes up before and behind it, and what else is under way on it. */
type Sized = {
  readonly key: string;
  readonly on: InFlight;
  readonly before: StateSize;
  readonly claim: Claim;
};

/** What the writes of one command take of the quotas while they are under way. */
export type Reservation = {
  /**
   * Reserves what `changes`, which come in one commit, add to what their keys take up, or says why not. The append must
   * begin in the same turn. What was reserved before is given back: it belonged to a try that failed.
   */
  take(changes: readonly Change[]): QuotaRejection | undefined;
  /** The decider of `key` that takes what it accepts, and refuses what finds no room. */
  within(key: string): WithinQuotas;
  /** Ends it: at once when nothing was written, else once `position` is folded and so counted. The first call holds. */
  settle(position: Position | undefined): void;
};

/** Keeps state keys within the quotas of their patterns (docs/adr/0031-state-policies.md). */
export type Quotas = {
  /** Undefined while there is no quota at all. */
  reserve(): Reservation | undefined;
  /** True once the usage of the pattern is known, or need not be any more; false after `withinMs`. */
  counted(pattern: string, withinMs: number): Promise<boolean>;
  /** What the keys of the pattern take up; null while that is being counted, and for a pattern without a quota. */
  usageOf(pattern: string): StateSize | null;
  close(): void;
};

export type QuotasOptions = {
  readonly runner: Pick<Runner, 'store' | 'ready' | 'position' | 'reached' | 'onFolded' | 'onSwapped'>;
  readonly statePolicies: Pick<StatePolicies, 'all' | 'rulesOf' | 'onChanged'>;
  /** The decider of a key without a quota. */
  readonly decides: Decides<StateRejection>;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly page?: PageLimits;
};

const readyEveryMs = 250;
const retryMs = 5_000;
const foldedWithinMs = 60_000;
/** Keys with appends under way; more wait where the read models lag far behind. */
const maxInFlightKeys = 65_536;
const defaultPage: PageLimits = { pageKeys: 1_000, pageBytes: 4 * 1_048_576 };
const kinds = ['keys', 'bytes'] as const;

const limitOf = (quota: StateQuota, kind: 'keys' | 'bytes'): number | null =>
  kind === 'keys' ? quota.maxKeys : quota.maxBytes;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const openQuotas = (options: QuotasOptions): Quotas => {
  const { runner, statePolicies, decides, logger, clock = systemClock, page = defaultPage } = options;
  let usages = new Map<string, Usage>();
  const inFlight = new Map<string, InFlight>();
  /** Up to here all changes were told to the usages. */
  let seen = runner.position;
  let closed = false;
  let cancel = (): void => {};

  const usagesOf = (key: string): readonly Usage[] =>
    statePolicies.rulesOf(key).quotas.flatMap(({ pattern }) => usages.get(pattern) ?? []);

  /** What of the key is counted: a change can be read a moment before it is told. */
  const countedSize = (key: string): StateSize => {
    const document = runner.store.read<StateDocument>('state', key);
    if (document === undefined || document.position <= seen) return sizeOf(key, document);
    return sizeOf(key, runner.store.at<StateDocument>('state', key, seen)?.document);
  };

  const refresh = (key: string, on: InFlight): void => {
    const reserved = on.claims.size === 0 ? nothing : mostAdded(on);
    const more = difference(reserved, on.reserved);
    on.reserved = reserved;
    if (more.keys !== 0 || more.bytes !== 0) for (const usage of usagesOf(key)) usage.reserve(more);
    if (on.claims.size === 0) inFlight.delete(key);
  };

  /** Of keys that change in one commit, so what one of them gives up another one may take. */
  const refusalOf = (changes: readonly Sized[]): QuotaRejection | undefined => {
    const sums = new Map<string, { readonly quota: StateQuota; growth: StateSize; more: StateSize }>();
    for (const { key, on, before, claim } of changes) {
      const growth = difference(claim.after, before);
      const more = difference(difference(claim.after, on.folded), on.reserved);
      for (const quota of statePolicies.rulesOf(key).quotas) {
        const sum = sums.get(quota.pattern) ?? { quota, growth: nothing, more: nothing };
        sum.growth = total(sum.growth, growth);
        sum.more = total(sum.more, more);
        sums.set(quota.pattern, sum);
      }
    }
    for (const { quota, growth, more } of sums.values()) {
      const { pattern } = quota;
      for (const kind of kinds) {
        const limit = limitOf(quota, kind);
        if (limit === null || growth[kind] <= 0) continue;
        const usage = usages.get(pattern);
        if (usage?.isCounted !== true) return { code: 'usage_unknown', pattern };
        if (inFlight.size >= maxInFlightKeys) return { code: 'quota_busy', pattern };
        const then = usage[kind] + usage.reserved[kind] + more[kind];
        const needed = growth[kind];
        if (then > limit)
          return { code: 'quota_exceeded', pattern, of: kind, limit, used: then - needed, needed };
      }
    }
    return undefined;
  };

  const release = (key: string, claim: Claim): void => {
    const on = inFlight.get(key);
    if (on?.claims.delete(claim)) refresh(key, on);
  };

  const stateAfter = ({ before, events }: Change): StateState => {
    let state = before;
    for (const event of events)
      state = decides.decider.evolve(state, event, { revision: asRevision(state.version), actor: '' });
    return state;
  };

  const sizeIn = (key: string, { exists, value }: StateState): StateSize =>
    exists ? sizeOfValue(key, value) : nothing;

  const createReservation = (): Reservation => {
    const claims = new Map<string, Claim>();
    let settled = false;
    const giveBack = (): void => {
      for (const [key, claim] of claims) release(key, claim);
      claims.clear();
    };

    const take = (changes: readonly Change[]): QuotaRejection | undefined => {
      giveBack();
      const sized: Sized[] = [];
      for (const change of changes) {
        const { key } = change;
        if (statePolicies.rulesOf(key).quotas.length === 0) continue;
        const after = stateAfter(change);
        const claim = { version: after.version, after: sizeIn(key, after) };
        const on = inFlight.get(key) ?? inFlightOn(countedSize(key));
        sized.push({ key, on, claim, before: sizeIn(key, change.before) });
      }
      const refusal = refusalOf(sized);
      if (refusal !== undefined) return refusal;
      for (const { key, on, before, claim } of sized) {
        const { keys, bytes } = claim.after;
        if (keys <= before.keys && bytes <= before.bytes) continue;
        on.claims.add(claim);
        inFlight.set(key, on);
        claims.set(key, claim);
        refresh(key, on);
      }
      return undefined;
    };

    const decideOn =
      (key: string): WithinQuotas['decider']['decide'] =>
      (command, before) => {
        const decision = decides.decider.decide(command, before);
        const refusal = take(decision.ok ? [{ key, before, events: decision.events }] : []);
        return refusal === undefined ? decision : reject(refusal);
      };

    return {
      take,
      within: (key) => ({ ...decides, decider: { ...decides.decider, decide: decideOn(key) } }),
      settle(position) {
        if (settled) return;
        settled = true;
        if (position === undefined || runner.position >= position) return giveBack();
        const wait = async (): Promise<void> => {
          while (!closed && !(await runner.reached(position, foldedWithinMs))) await nextTurn();
          giveBack();
        };
        void wait();
      },
    };
  };

  const later = (delayMs: number): void => {
    cancel();
    cancel = clock.after(delayMs, () => void count());
  };

  const countAll = async (): Promise<void> => {
    for (const usage of usages.values()) {
      while (!usage.isCounted && !closed && usages.get(usage.pattern) === usage) {
        // A page is read in a turn of its own, in which all that can be read was told.
        await nextTurn();
        if (!runner.ready) return later(readyEveryMs);
        if (usages.get(usage.pattern) !== usage) break;
        try {
          if (usage.countPage(runner.store, page)) break;
        } catch (error) {
          logger.warn({ error, pattern: usage.pattern }, 'the usage of a quota cannot be counted yet');
          return later(retryMs);
        }
      }
    }
  };
  const count = createRounds(countAll);

  /** Counts what has a quota now, and of the usages that are known keeps those that may be kept. */
  const takePolicies = (keep: boolean): void => {
    const before = usages;
    usages = new Map();
    for (const { pattern, maxKeys, maxBytes } of statePolicies.all()) {
      if (maxKeys === null && maxBytes === null) continue;
      const known = keep ? before.get(pattern) : undefined;
      usages.set(pattern, known ?? createUsage(pattern));
    }
    for (const usage of before.values()) if (usages.get(usage.pattern) !== usage) usage.stop();
    for (const usage of usages.values()) usage.forgetReserved();
    for (const [key, { reserved }] of inFlight) for (const usage of usagesOf(key)) usage.reserve(reserved);
    if (usages.size > 0) void count();
  };

  /** What is folded of a key is `folded` now: claims up to `version` have been counted, or are void. */
  const foldedTo = (key: string, folded: StateSize, version: number): void => {
    const on = inFlight.get(key);
    if (on === undefined) return;
    on.folded = folded;
    for (const claim of on.claims) if (claim.version <= version) on.claims.delete(claim);
    refresh(key, on);
  };

  const unfollow = runner.onFolded((changes, position) => {
    if (usages.size > 0 || inFlight.size > 0) {
      for (const { model, key, document, before } of changes) {
        if (model !== 'state') continue;
        const own = usagesOf(key);
        if (own.length === 0 && !inFlight.has(key)) continue;
        // The read store holds for each model what that model's projection made.
        const made = document as StateDocument;
        const after = sizeOf(key, made);
        const was = sizeOf(key, before as StateDocument | undefined);
        for (const usage of own) usage.changed(key, was, after);
        foldedTo(key, after, made.version);
      }
    }
    seen = position;
  });

  runner.onSwapped(() => {
    seen = runner.position;
    takePolicies(false);
    for (const key of [...inFlight.keys()]) {
      try {
        const document = runner.store.read<StateDocument>('state', key);
        foldedTo(key, sizeOf(key, document), document?.version ?? 0);
      } catch {
        // Damaged: they are replaced once more, and told of then.
      }
    }
  });
  const unlisten = statePolicies.onChanged(() => takePolicies(true));
  takePolicies(false);

  return {
    reserve: () => (usages.size === 0 ? undefined : createReservation()),
    counted: async (pattern, withinMs) => {
      const usage = usages.get(pattern);
      if (usage === undefined || usage.isCounted) return true;
      const late = Promise.withResolvers<boolean>();
      const stop = clock.after(withinMs, () => late.resolve(false));
      const known = await Promise.race([usage.settled.then(() => true), late.promise]);
      stop();
      return known;
    },
    usageOf: (pattern) => {
      const usage = usages.get(pattern);
      return usage?.isCounted === true ? { keys: usage.keys, bytes: usage.bytes } : null;
    },
    close() {
      closed = true;
      cancel();
      unfollow();
      unlisten();
      for (const usage of usages.values()) usage.stop();
    },
  };
};
