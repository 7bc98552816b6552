import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { LogEvent, Position } from '../../domain/event.ts';
import type { DeadLetter, Owner } from '../../domain/subscription/subscription.ts';
import type { SubscriptionDocument } from '../../projections/documents.ts';
import { type Clock, steadyNow, systemClock } from '../clock.ts';
import { ok, type Result } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Logger } from '../logger.ts';
import type { Message } from '../nexus-core.ts';
import type { Delivery } from '../nexus-subscriptions.ts';
import { ReadModelDamaged } from '../projection/read-store.ts';
import type { Runner } from '../projection/runner.ts';
import type { Hub } from '../watch/hub.ts';
import type { Ownership } from './ownership.ts';
import { createRanges } from './replay/range.ts';
import type { SavedState } from './subscription/checkpoint.ts';
import { type Local, openLocal } from './subscription/local.ts';
import { retrying } from './subscription/retrying.ts';
import { type Member, notServed, type SubscriptionServer, serverOf } from './subscription/server.ts';

export type SubscriptionsOptions = {
  readonly log: EventLog;
  readonly hub: Pick<Hub, 'watch' | 'position' | 'gapBehind'>;
  readonly runner: Runner;
  readonly node: string;
  readonly logger: Logger;
  readonly ownership: Ownership;
  /** Steady; the system's unless given. */
  readonly clock?: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly messageFrom: (event: LogEvent) => Message | undefined;
  /** So many events of the log were hidden, whose space can be freed. */
  readonly truncated: (events: number) => void;
  /** Records dead letters as their owner. `lost`: somebody else is. @throws {LogError} to be tried again. */
  readonly bury: (
    document: SubscriptionDocument,
    owner: Owner | null,
    letters: readonly DeadLetter[],
  ) => Promise<'done' | 'lost'>;
  /** Makes this node the owner instead of one that is gone; what comes of it is folded. */
  readonly take: (name: string, owner: Owner | null, instead: Owner | null) => Promise<void>;
  /** What serves at another node. */
  readonly peer: (url: string, name: string) => SubscriptionServer;
};

/** The durable subscriptions: serves those that are this node's, and leads to those that are not. */
export type Subscriptions = {
  /** What serves it now; waits up to 5 s for somebody to. The subscription must exist. */
  server(name: string): Promise<Result<SubscriptionServer>>;
  /** The same for another node, which asks the one that it takes to be the owner: never leads on to a third. */
  own(name: string): Promise<Result<SubscriptionServer>>;
  /** The deliveries of a new consumer, across every change of who serves, until `signal` aborts or it is deleted. */
  consume(name: string, max: number, signal: AbortSignal): Promise<Result<Consuming>>;
  /** Those that this node serves now, by name. */
  serving(): ReadonlyMap<string, Pick<Local, 'live' | 'dispatcher'>>;
  /** Consumers that leave from now on do so because the hub goes away. */
  quiesce(): void;
  /** Saves what is settled, and serves nothing any more. */
  close(): Promise<void>;
};

export type Consuming = {
  readonly position: Position | undefined;
  readonly deliveries: AsyncIterable<readonly Delivery[]>;
};

/** A consumer of this node that another one serves. */
type Away = { readonly name: string; readonly owner: Owner | null; readonly member: Member };

type Serving = {
  readonly name: string;
  local: Local | undefined;
  /** What the one before has handed over, while the next one cannot be opened yet. */
  left: { readonly created: number; readonly state: SavedState } | undefined;
  /** The document or the ownership changed since it was last looked at. */
  stale: boolean;
  running: Promise<void> | undefined;
};

const model = 'subscriptions';
const waitForOwnerMs = 5_000;
const lookMs = 25;
const steadyClock: Clock = { ...systemClock, now: steadyNow };

/** Reason of the signal of a consumer that leaves of its own accord: what it holds has not failed. */
export const released = 'released';

const sameOwner = (left: Owner | null, right: Owner | null): boolean =>
  left === null || right === null ? left === right : left.node === right.node && left.epoch === right.epoch;

const isLive = (document: SubscriptionDocument | undefined): document is SubscriptionDocument =>
  document !== undefined && document.status !== 'deleted';

/** What cannot be changed while it is served. */
const isOther = (before: SubscriptionDocument, now: SubscriptionDocument): boolean =>
  before.created !== now.created ||
  before.resets !== now.resets ||
  before.topic !== now.topic ||
  before.order !== now.order;

export const openSubscriptions = (options: SubscriptionsOptions): Subscriptions => {
  const { log, hub, runner, node, logger, ownership, wallMs, clock = steadyClock } = options;
  const servings = new Map<string, Serving>();
  const ranges = createRanges(log, hub);
  const closing = new AbortController();
  const away = new Set<Away>();
  let told = '';
  let quiescing = false;

  const documentOf = (name: string): SubscriptionDocument | undefined =>
    runner.store.read<SubscriptionDocument>(model, name);

  const troubled = (name: string, error: unknown): void => {
    const reason = `${name}: ${error instanceof Error ? error.message : String(error)}`;
    if (reason !== told) logger.warn({ error, subscription: name }, 'a subscription waits');
    told = reason;
  };

  const isSelf = (owner: Owner | null): boolean => {
    const { self } = ownership;
    if (self === undefined) return false;
    return sameOwner(self, owner);
  };

  const open = (document: SubscriptionDocument, state: SavedState | undefined): Promise<Local> => {
    const { name, owner } = document;
    return openLocal({
      document,
      owner,
      isOwner: () => ownership.valid && isSelf(owner),
      node,
      log,
      hub,
      ranges,
      runner,
      messageFrom: options.messageFrom,
      bury: (current, letters) => options.bury(current, owner, letters),
      clock,
      wallMs,
      lost: () => {
        const serving = servings.get(name);
        if (serving === undefined) return;
        logger.warn({ subscription: name }, 'another node serves the subscription now');
        serving.local = undefined;
        reconcile(name);
      },
      troubled: (error) => troubled(name, error),
      truncated: options.truncated,
      onGap: (gapFrom, to) =>
        logger.warn(
          { subscription: name, from: gapFrom, to },
          'messages were removed before they were delivered',
        ),
      ...(state === undefined ? {} : { state }),
    });
  };

  /** One look at what is to be done for a subscription. What needs no waiting is done before this returns. */
  const step = async (serving: Serving): Promise<void> => {
    const { name, local } = serving;
    const document = closing.signal.aborted ? undefined : documentOf(name);
    if (!isLive(document) || !isSelf(document.owner)) {
      serving.local = undefined;
      serving.left = undefined;
      const closed = local?.close();
      if (isLive(document)) await takeOver(document);
      await closed;
      return;
    }
    if (local !== undefined && !isOther(local.document, document)) {
      local.update(document);
      return;
    }
    // The document may be behind: another node has taken it over then. A renewal, or its failure, comes back to this.
    if (!ownership.valid) return;
    serving.local = undefined;
    if (local !== undefined) {
      const { created } = local.document;
      serving.left = { created, state: await local.handOver() };
    }
    const { left } = serving;
    const opened = await open(document, left?.created === document.created ? left.state : undefined);
    serving.left = undefined;
    if (closing.signal.aborted) {
      await opened.drain();
      return;
    }
    serving.local = opened;
    serving.stale = true;
  };

  const takeOver = async ({ name, owner, position }: SubscriptionDocument): Promise<void> => {
    for (await nextTurn(); !ownership.knows(position); await nextTurn()) {
      if (closing.signal.aborted) return;
      await delay(lookMs, undefined, { ref: false });
    }
    const { self } = ownership;
    if (self === undefined || (owner !== null && ownership.isLiving(owner)) || !ownership.isChosen(name))
      return;
    await options.take(name, self, owner);
  };

  const run = async (serving: Serving): Promise<void> => {
    while (serving.stale && !closing.signal.aborted) {
      serving.stale = false;
      await retrying(
        () => step(serving),
        closing.signal,
        (error) => troubled(serving.name, error),
      );
    }
  };

  /** Whoever is served by a node that serves no more is led to the one that does, however silent the former is. */
  const callBack = (name: string): void => {
    for (const one of away) {
      if (one.name !== name) continue;
      const owner = documentOf(name)?.owner ?? null;
      if (one.owner !== null && sameOwner(owner, one.owner) && ownership.isLiving(one.owner)) continue;
      away.delete(one);
      one.member.leave(true);
    }
  };

  const reconcile = (name: string): void => {
    if (closing.signal.aborted) return;
    callBack(name);
    const serving = servings.get(name) ?? {
      name,
      local: undefined,
      left: undefined,
      stale: true,
      running: undefined,
    };
    servings.set(name, serving);
    serving.stale = true;
    if (serving.running !== undefined) return;
    serving.running = run(serving).finally(() => {
      serving.running = undefined;
      if (serving.local === undefined && !serving.stale) servings.delete(name);
    });
  };

  const reconcileAll = (): void => {
    try {
      for (const [name, document] of runner.store.range<SubscriptionDocument>(model)) {
        if (isLive(document) || servings.has(name)) reconcile(name);
      }
    } catch (error) {
      // They are being rebuilt already, and are looked at again when that is done.
      if (!(error instanceof ReadModelDamaged)) throw error;
      logger.error({ error }, 'the subscriptions cannot all be read yet');
    }
  };

  const unfollow = runner.onFolded((changes) => {
    let scheduled = false;
    for (const { model: changed, key } of changes) {
      if (changed === model) reconcile(key);
      else if (changed === 'scheduled') scheduled = true;
    }
    if (scheduled) for (const { local } of servings.values()) local?.poke();
  });
  runner.onSwapped(reconcileAll);
  ownership.onChange(() => {
    reconcileAll();
    for (const { local } of servings.values()) local?.dispatcher.wake();
  });
  reconcileAll();

  const ownNow = (name: string): SubscriptionServer | undefined => {
    const local = servings.get(name)?.local;
    return local === undefined ? undefined : serverOf(local, () => ownership.valid);
  };

  const serverNow = (name: string): SubscriptionServer | undefined => {
    const own = ownNow(name);
    if (own !== undefined) return own;
    const owner = documentOf(name)?.owner ?? null;
    if (owner === null || isSelf(owner) || !ownership.isLiving(owner)) return undefined;
    const url = ownership.urlOf(owner);
    return url === undefined ? undefined : options.peer(url, name);
  };

  const waitFor = async (
    name: string,
    now: (name: string) => SubscriptionServer | undefined,
  ): Promise<Result<SubscriptionServer>> => {
    const untilMs = steadyNow() + waitForOwnerMs;
    for (;;) {
      const found = now(name);
      if (found !== undefined) return ok(found);
      if (closing.signal.aborted || !isLive(documentOf(name)) || steadyNow() >= untilMs)
        return notServed(name);
      const { running } = servings.get(name) ?? {};
      const look = delay(lookMs, undefined, { ref: false });
      await (running === undefined ? look : Promise.race([running, look]));
    }
  };

  const server = (name: string) => waitFor(name, serverNow);

  async function* follow(
    name: string,
    max: number,
    first: SubscriptionServer,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Delivery[], void, undefined> {
    const { created } = documentOf(name) ?? {};
    const exists = (): boolean => {
      const document = documentOf(name);
      return isLive(document) && document.created === created;
    };
    let serving: SubscriptionServer | undefined = first;
    while (!signal.aborted && !closing.signal.aborted && exists()) {
      const owner = documentOf(name)?.owner ?? null;
      const joined = await serving?.join(max);
      if (joined?.ok === true) {
        const member = joined.value;
        const leave = (): void => member.leave(quiescing || signal.reason === released);
        const one = { name, owner, member };
        if (servings.get(name)?.local === undefined) away.add(one);
        signal.addEventListener('abort', leave, { once: true });
        // It may have gone while it was let in.
        if (signal.aborted) leave();
        try {
          for (let batch = await member.next(); batch !== undefined; batch = await member.next()) yield batch;
        } finally {
          signal.removeEventListener('abort', leave);
          away.delete(one);
          leave();
        }
      }
      if (signal.aborted) return;
      // Somebody else serves it, or it was begun anew: what is unsettled is delivered from there.
      await delay(lookMs, undefined, { ref: false });
      const next = await server(name);
      serving = next.ok ? next.value : undefined;
    }
  }

  return {
    server,
    own: (name) => waitFor(name, ownNow),
    async consume(name, max, signal) {
      const found = await server(name);
      if (!found.ok) return found;
      const position = await found.value.position();
      return ok({ position, deliveries: follow(name, max, found.value, signal) });
    },
    serving: () =>
      new Map([...servings].flatMap(([name, { local }]) => (local === undefined ? [] : [[name, local]]))),
    quiesce() {
      quiescing = true;
    },
    async close() {
      if (closing.signal.aborted) return;
      quiescing = true;
      unfollow();
      const locals = [...servings.values()].flatMap(({ local }) => (local === undefined ? [] : [local]));
      closing.abort();
      await Promise.all(locals.map((local) => local.drain().catch((error: unknown) => troubled('', error))));
      await Promise.all([...servings.values()].map(({ running }) => running));
      await ownership.close();
    },
  };
};
