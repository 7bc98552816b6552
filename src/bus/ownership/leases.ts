import { setTimeout as delay } from 'node:timers/promises';
import { decodeEvent } from '../../../domain/catalog.ts';
import { asRevision, type LogEvent, type Position, streamId, streamKey } from '../../../domain/event.ts';
import type { Owner } from '../../../domain/subscription/subscription.ts';
import { type Clock, steadyNow, systemClock } from '../../clock.ts';
import { digestOf, newId } from '../../ids.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Logger } from '../../logger.ts';
import type { Hub, WatchIterator } from '../../watch/hub.ts';
import type { Ownership } from '../ownership.ts';
import { createOwnLease } from './own-lease.ts';

export type LeaseOptions = {
  readonly log: EventLog;
  readonly hub: Pick<Hub, 'watch'>;
  readonly node: string;
  readonly logger: Logger;
  /** Steady; the system's unless given. */
  readonly clock?: Clock;
  readonly times?: LeaseTimes;
};

export type LeaseTimes = {
  /** A node that was not heard of for so long is taken to be gone. */
  readonly ttlMs: number;
  readonly renewEveryMs: number;
  /** So much earlier than others a node gives up its own lease. */
  readonly marginMs: number;
  readonly lookEveryMs: number;
};

export const leaseTimes: LeaseTimes = {
  ttlMs: 3_000,
  renewEveryMs: 1_000,
  marginMs: 250,
  lookEveryMs: 250,
};

/** Another node's lease, as this one has seen it. */
type Seen = {
  readonly epoch: string;
  readonly ttlMs: number;
  readonly url: string | null;
  /** Newest revision of the node's stream that was seen. */
  revision: number;
  /** Of the steady clock: when it was last heard of. */
  heardMs: number;
  released: boolean;
  /** A look for whether it still lives is under way. */
  releasing: boolean;
};

export type Leases = Ownership & {
  /** Other nodes reach this one at `url` from now on. */
  reachableAt(url: string): void;
};

const steadyClock: Clock = { ...systemClock, now: steadyNow };
const isHttpUrl = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);

/**
 * Takes part in a shared log as one of its nodes: renews this node's lease, and releases those of nodes that are gone
 * (docs/adr/0015-ownership.md). Nodes are learnt from their streams alone; clocks are never compared.
 */
export const openLeases = (options: LeaseOptions): Leases => {
  const { log, hub, node, logger, clock = steadyClock, times = leaseTimes } = options;
  const closing = new AbortController();
  const nodes = new Map<string, Seen>();
  const listeners: (() => void)[] = [];
  const reached = Promise.withResolvers<void>();
  let iterator: WatchIterator | undefined;
  let pulling = false;
  let followed: Position = log.start;

  const changed = (): void => {
    if (closing.signal.aborted) return;
    for (const listener of listeners) listener();
  };

  const own = createOwnLease({ log, node, logger, clock, times, changed });

  const take = (event: LogEvent): boolean => {
    const name = streamKey(event.stream);
    if (name === node) {
      own.saw(event);
      return false;
    }
    const before = nodes.get(name);
    if (before !== undefined) before.revision = Number(event.revision);
    const decoded = decodeEvent(event);
    if (!decoded.ok || !decoded.known) return false;
    if (decoded.event.type === 'LeaseTaken') {
      const { epoch, ttlMs, url } = decoded.event.data;
      const isNew = before?.epoch !== epoch || before.released || before.url !== url;
      nodes.set(name, {
        epoch,
        ttlMs,
        url: url !== null && isHttpUrl(url) ? url : null,
        revision: Number(event.revision),
        heardMs: clock.now(),
        released: false,
        releasing: false,
      });
      return isNew;
    }
    if (decoded.event.type !== 'LeaseReleased' || before?.epoch !== decoded.event.data.epoch) return false;
    before.released = true;
    return true;
  };

  const followOnce = async (): Promise<void> => {
    const { signal } = closing;
    iterator = hub.watch({ filter: { category: 'node' }, after: followed, signal })[Symbol.asyncIterator]();
    for (;;) {
      pulling = true;
      const step = await iterator.next().finally(() => {
        pulling = false;
      });
      if (step.done === true) return;
      if (step.value.type === 'items') {
        const news = step.value.items.map(take);
        followed = step.value.position;
        if (news.some((isNew) => isNew)) changed();
      } else if (step.value.type === 'caughtUp') {
        followed = step.value.position;
        // Who was heard of in the past gets a whole period to be heard of again.
        for (const seen of nodes.values()) seen.heardMs = clock.now();
        reached.resolve();
      }
    }
  };

  /** A node whose stream went on meanwhile lives: then the append is a conflict. */
  const release = async (name: string, seen: Seen): Promise<void> => {
    seen.releasing = true;
    try {
      const event = {
        id: newId(),
        type: 'LeaseReleased',
        data: { epoch: seen.epoch, by: node, reason: `not heard of for ${seen.ttlMs} ms` },
        metadata: { actor: 'system', correlationId: newId(), causationId: null, node, schema: 1 },
      };
      const appended = await log.append(streamId('node', name), [event], asRevision(seen.revision));
      if (appended.ok)
        logger.warn({ silent: name, epoch: seen.epoch }, 'a node is gone: its lease is released');
    } catch (error) {
      logger.debug({ error, silent: name }, 'the lease of a silent node could not be released yet');
    } finally {
      seen.releasing = false;
    }
  };

  const look = (): void => {
    // Whoever cannot renew its own lease cannot tell whether others are silent or itself is deaf.
    if (!own.valid) return;
    const now = clock.now();
    for (const [name, seen] of nodes) {
      if (seen.released || seen.releasing || now - seen.heardMs <= seen.ttlMs) continue;
      void release(name, seen);
    }
  };

  const run = async (task: () => Promise<void>): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        await task();
        return;
      } catch (error) {
        logger.warn({ error }, 'the nodes of the log cannot be followed; trying again');
      }
      await delay(times.renewEveryMs, undefined, { signal: closing.signal, ref: false }).catch(
        () => undefined,
      );
    }
  };

  const following = run(followOnce);
  const looking = setInterval(look, times.lookEveryMs).unref();
  const begun = reached.promise.then(() => {
    if (!closing.signal.aborted) own.begin();
  });

  const living = (): readonly { readonly node: string; readonly url: string | null }[] => {
    const others = [...nodes].flatMap(([name, { released, url }]) => (released ? [] : [{ node: name, url }]));
    return own.self === undefined ? others : [...others, { node, url: own.url }];
  };

  return {
    get self() {
      return own.self;
    },
    get valid() {
      return own.valid;
    },
    knows(position) {
      const seen = pulling && iterator !== undefined ? iterator.position : followed;
      return seen >= position;
    },
    isLiving(owner: Owner) {
      if (owner.node === node) return owner.epoch === own.self?.epoch;
      const seen = nodes.get(owner.node);
      return seen !== undefined && !seen.released && seen.epoch === owner.epoch;
    },
    isChosen(subscription) {
      const all = living();
      // One that serves no protocol cannot serve the consumers of others.
      const reachable = all.filter(({ url }) => url !== null);
      const candidates = reachable.length > 0 ? reachable : all;
      const [first] = candidates
        .map((candidate) => ({ node: candidate.node, rank: digestOf(`${candidate.node}/${subscription}`) }))
        .sort((left, right) => (left.rank < right.rank ? 1 : -1));
      return first?.node === node;
    },
    get others() {
      return new Map(
        [...nodes].flatMap(([name, { released, url }]) => (released ? [] : [[name, url] as const])),
      );
    },
    urlOf: (owner) => nodes.get(owner.node)?.url ?? undefined,
    onChange: (listener) => void listeners.push(listener),
    reachableAt(url) {
      own.reachableAt(url);
      // It may be chosen from now on, and its own lease tells it nothing new.
      changed();
    },
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      clearInterval(looking);
      reached.resolve();
      await begun;
      await own.close();
      await following;
    },
  };
};
