import { Redis } from 'ioredis';
import { decodeEvent } from '../../domain/catalog.ts';
import { type LogEvent, streamId } from '../../domain/event.ts';
import type { Owner } from '../../domain/subscription/subscription.ts';
import { decodeRaw } from '../../src/log/redis/decode.ts';
import { nowNs } from './bus-record.ts';

/** Every event that was ever appended to the log in that Redis, truncated ones too. */
export const wholeRedisLog = async (url: string): Promise<readonly LogEvent[]> => {
  const redis = new Redis(url);
  const events: LogEvent[] = [];
  try {
    for (let from = '-'; ; ) {
      const page = await redis.xrange('nexus:log', from, '+', 'COUNT', 1_000);
      events.push(...page.map(decodeRaw));
      const last = page.at(-1)?.[0];
      if (last === undefined) return events;
      from = `(${last}`;
    }
  } finally {
    redis.disconnect();
  }
};

/** How far the system's clock is ahead of the one that `nowNs` reads, in nanoseconds. */
const aheadNs = (): number => {
  let ahead = Number.NEGATIVE_INFINITY;
  for (let sample = 0; sample < 20_000; sample++) ahead = Math.max(ahead, Date.now() * 1e6 - nowNs());
  return ahead;
};

/** When leases were released, by `nowNs` and at most a millisecond too early: who served under one serves no more. */
export const releasesIn = (events: readonly LogEvent[]): readonly number[] => {
  const ahead = aheadNs();
  return events
    .filter(({ type }) => type === 'LeaseReleased')
    .map(({ metadata }) => Date.parse(metadata.recordedAt) * 1e6 - ahead);
};

/** When a node said that its connection to another one had ended: what its consumers held there comes again. */
export const linksEndedIn = (stderr: string): readonly number[] => {
  const ahead = aheadNs();
  return stderr.split('\n').flatMap((line) => {
    const time = /"time":"([^"]+)".*"the connection to another node has ended"/.exec(line)?.[1];
    return time === undefined ? [] : [Date.parse(time) * 1e6 - ahead];
  });
};

const told = (owner: Owner | null | undefined): string =>
  owner === null || owner === undefined ? 'nobody' : `${owner.node}/${owner.epoch}`;

/** When each owner of the subscription began to serve: its first checkpoint, by `nowNs`. */
export const takeoversIn = (events: readonly LogEvent[], name: string): readonly number[] => {
  const ahead = aheadNs();
  const begun = new Map<string, number>();
  for (const event of events) {
    if (event.stream !== streamId('checkpoint', name)) continue;
    const decoded = decodeEvent(event);
    if (!decoded.ok || !decoded.known || decoded.event.type !== 'SubscriptionCheckpointed') continue;
    const owner = told(decoded.event.data.owner);
    if (!begun.has(owner)) begun.set(owner, Date.parse(event.metadata.recordedAt) * 1e6 - ahead);
  }
  return [...begun.values()];
};

export type Fencing = {
  readonly faults: readonly string[];
  /** Who served it, one after another. */
  readonly owners: readonly string[];
  readonly checkpoints: number;
  readonly letters: number;
};

/**
 * That nobody but the owner has written of the subscription `name`: behind the first checkpoint of an owner there is none of
 * another one until that takes over, and every dead letter is of the node that the stream has as the owner there.
 */
export const fencingOf = (events: readonly LogEvent[], name: string): Fencing => {
  const faults: string[] = [];
  const owners: string[] = [];
  let owner: Owner | null = null;
  /** Whose checkpoint came last, since the owner's own first. */
  let fenced = false;
  let checkpoints = 0;
  let letters = 0;
  for (const event of events) {
    if (event.stream !== streamId('subscription', name) && event.stream !== streamId('checkpoint', name))
      continue;
    const decoded = decodeEvent(event);
    if (!decoded.ok || !decoded.known) {
      faults.push(`${event.type} at ${event.position} cannot be read`);
      continue;
    }
    const { type, data } = decoded.event;
    if (type === 'SubscriptionUpdated' && data.owner !== undefined) {
      owner = data.owner;
      owners.push(told(owner));
      fenced = false;
    } else if (type === 'SubscriptionCheckpointed') {
      checkpoints++;
      if (told(data.owner) === told(owner)) fenced = true;
      else if (fenced) faults.push(`a checkpoint of ${told(data.owner)} stands behind one of ${told(owner)}`);
    } else if (type === 'MessageDeadLettered') {
      letters++;
      const { node } = event.metadata;
      if (node !== owner?.node)
        faults.push(`a dead letter of ${node} stands where ${told(owner)} is the owner`);
    }
  }
  return { faults, owners, checkpoints, letters };
};
