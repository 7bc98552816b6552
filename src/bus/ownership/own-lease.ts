import { decodeEvent } from '../../../domain/catalog.ts';
import { asRevision, type LogEvent, streamId } from '../../../domain/event.ts';
import type { Owner } from '../../../domain/subscription/subscription.ts';
import type { Clock } from '../../clock.ts';
import { newId } from '../../ids.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Logger } from '../../logger.ts';
import type { LeaseTimes } from './leases.ts';

export type OwnLease = {
  /** As whom this node acts; undefined before its first lease, and after another node has released it. */
  readonly self: Owner | undefined;
  /** True while no other node can have released it. */
  readonly valid: boolean;
  readonly url: string | null;
  begin(): void;
  /** An event of this node's own stream. */
  saw(event: LogEvent): void;
  reachableAt(url: string): void;
  /** Releases it, so that others need not wait. */
  close(): Promise<void>;
};

export type OwnLeaseOptions = {
  readonly log: EventLog;
  readonly node: string;
  readonly logger: Logger;
  /** Steady. */
  readonly clock: Clock;
  readonly times: LeaseTimes;
  /** `self` or `valid` has changed. */
  readonly changed: () => void;
};

const keptEvents = 100;
const truncateEvery = 50;
const closeMs = 1_000;

/** Takes and renews the lease of this node. */
export const createOwnLease = (options: OwnLeaseOptions): OwnLease => {
  const { log, node, logger, clock, times, changed } = options;
  const stream = streamId('node', node);
  /** Newest revision of the stream that is known: -1 for none. */
  let revision = -1;
  let epoch: string | undefined;
  let validUntilMs = Number.NEGATIVE_INFINITY;
  let wasValid = false;
  let url: string | null = null;
  let closed = false;
  let running: Promise<void> | undefined;
  let cancelRenewal: (() => void) | undefined;
  let cancelExpiry: (() => void) | undefined;
  let told = '';

  const isValid = (): boolean => epoch !== undefined && clock.now() < validUntilMs;

  /** Tells of a change of validity once. */
  const check = (): void => {
    const valid = isValid();
    if (valid === wasValid) return;
    wasValid = valid;
    changed();
  };

  const eventOf = (type: 'LeaseTaken' | 'LeaseReleased', data: object) => ({
    id: newId(),
    type,
    data,
    metadata: { actor: 'system', correlationId: newId(), causationId: null, node, schema: 1 },
  });

  const lost = (by: string): void => {
    logger.warn({ by, epoch }, 'this node was taken to be gone: it begins anew');
    epoch = undefined;
    validUntilMs = Number.NEGATIVE_INFINITY;
    wasValid = false;
    changed();
  };

  const saw = (event: LogEvent): void => {
    if (Number(event.revision) > revision) revision = Number(event.revision);
    const decoded = decodeEvent(event);
    if (!decoded.ok || !decoded.known || decoded.event.type !== 'LeaseReleased') return;
    if (epoch !== undefined && decoded.event.data.epoch === epoch && !closed) lost(decoded.event.data.by);
  };

  /** What the stream has behind what is known: somebody else has written there. */
  const catchUp = async (): Promise<void> => {
    for (;;) {
      const events = await log.readStream(stream, { from: asRevision(revision + 1), limit: keptEvents });
      for (const event of events) saw(event);
      if (events.length < keptEvents) return;
    }
  };

  const renew = async (): Promise<void> => {
    if (revision < 0) await catchUp();
    for (;;) {
      const own = epoch ?? newId();
      const beganMs = clock.now();
      const event = eventOf('LeaseTaken', { epoch: own, ttlMs: times.ttlMs, url });
      const appended = await log.append(stream, [event], revision < 0 ? 'none' : asRevision(revision));
      if (appended.ok) {
        const at = Number(appended.events[0]?.revision ?? revision);
        if (at > revision) revision = at;
        const isNew = epoch === undefined;
        epoch = own;
        validUntilMs = beganMs + times.ttlMs - times.marginMs;
        if (isNew) {
          wasValid = isValid();
          changed();
        }
        if (at % truncateEvery === 0 && at > keptEvents) {
          await log.truncate(stream, asRevision(at - keptEvents));
        }
        return;
      }
      // Either another node has released it, or this one has recorded something else of itself.
      await catchUp();
    }
  };

  const renewOnce = async (): Promise<number> => {
    try {
      await renew();
      told = '';
      return times.renewEveryMs;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== told) logger.warn({ reason }, 'the lease of this node cannot be renewed');
      told = reason;
      return times.lookEveryMs;
    }
  };

  const tick = (): void => {
    if (closed || running !== undefined) return;
    cancelRenewal?.();
    running = renewOnce().then((waitMs) => {
      running = undefined;
      if (closed) return;
      check();
      cancelExpiry?.();
      cancelExpiry = clock.after(Math.max(1, validUntilMs - clock.now()), check);
      cancelRenewal = clock.after(waitMs, tick);
    });
  };

  return {
    get self() {
      return epoch === undefined ? undefined : { node, epoch };
    },
    get valid() {
      return isValid();
    },
    get url() {
      return url;
    },
    begin: tick,
    saw,
    reachableAt(at) {
      url = at;
      if (epoch !== undefined) tick();
    },
    async close() {
      closed = true;
      cancelRenewal?.();
      cancelExpiry?.();
      await running;
      if (epoch === undefined || !log.reachable) return;
      const event = eventOf('LeaseReleased', { epoch, by: node, reason: 'stopped' });
      epoch = undefined;
      const limit = Promise.withResolvers<void>();
      const cancel = clock.after(closeMs, limit.resolve);
      const released = log
        .append(stream, [event], 'any')
        .then(() => undefined)
        .catch((error: unknown) => logger.debug({ error }, 'the lease was not released'));
      await Promise.race([released, limit.promise]);
      cancel();
    },
  };
};
