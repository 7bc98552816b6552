import { randomBytes } from 'node:crypto';
import type { DeadLetter, SubscriptionSettings } from '../../../domain/subscription/subscription.ts';
import type { Clock } from '../../clock.ts';
import type { Delivery, Settlement } from '../../nexus-subscriptions.ts';
import { createCheckpointer } from './checkpointer.ts';
import { type Consumer, createConsumers } from './consumers.ts';
import { createDue } from './due.ts';
import { type Entry, withFailure } from './entry.ts';
import { createGraveyard } from './graveyard.ts';
import { createLanes } from './lanes.ts';
import type { Sink } from './source.ts';

export type DispatcherOptions = {
  readonly settings: SubscriptionSettings;
  readonly paused: boolean;
  /** Steady: for what falls due. */
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** 0 … 1. */
  readonly random?: () => number;
  /** False while another node may serve the subscription: nothing is delivered or settled then. */
  readonly isOwner: () => boolean;
  readonly bury: (letters: readonly DeadLetter[]) => Promise<'done' | 'lost'>;
  readonly save: () => Promise<'done' | 'lost'>;
  /** Another node serves the subscription now: this one must be closed. */
  readonly lost: () => void;
  readonly troubled: (error: unknown) => void;
};

export type SettleOptions = { readonly delayMs?: number | undefined; readonly reason?: string | undefined };

/** Hands the messages of one subscription to its consumers, and remembers which are settled (docs/adr/0014-durable-subscriptions.md). */
export type Dispatcher = {
  /** Where its sources hand over what they read. */
  readonly sink: Sink;
  /** Deliveries that are unsettled, those that wait for their next attempt included. */
  readonly inFlight: number;
  /** Handed over by the sources and not settled. */
  readonly unsettled: number;
  join(max: number): Consumer;
  /** The next deliveries of a consumer; undefined once it has left or the dispatcher is closed. */
  next(consumer: Consumer): Promise<readonly Delivery[] | undefined>;
  /** It is gone: what it holds is delivered again at once, and each is a failed attempt unless the hub is to blame. */
  leave(consumer: Consumer, blameless: boolean): void;
  /** What is ready, up to `max`, or the first that is within `waitMs`. */
  pull(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery[]>;
  /** Settles what is still under way; answers with the others. */
  settle(how: Settlement, deliveries: readonly string[], options: SettleOptions): readonly string[];
  /** Takes back what could not be handed over: no failed attempt. */
  giveBack(deliveries: readonly string[]): void;
  /** Resolves once what was settled before the call can no longer be delivered again; false when it may be. */
  flushed(): Promise<boolean>;
  update(settings: SubscriptionSettings, paused: boolean): void;
  /** Looks again at what can be delivered: `isOwner` may have changed. */
  wake(): void;
  /** Drops what is unsettled, and forgets it: nothing is saved. */
  close(): void;
  /** Ends the consumers, saves what is settled, closes. */
  drain(): Promise<void>;
};

const maxBatch = 256;
/** Of messages whose deliveries are unsettled. */
const maxInFlightBytes = 64 * 1_048_576;
const jitter = 0.2;

export const createDispatcher = (options: DispatcherOptions): Dispatcher => {
  const { clock, wallMs, isOwner, random = Math.random } = options;
  const epoch = randomBytes(9).toString('base64url');
  const lanes = createLanes(options.settings.order);
  const consumers = createConsumers();
  /** Under way, by token: in the order of their deadlines, as all wait equally long. */
  const underWay = new Map<string, Entry>();
  const resting = createDue<Entry>();
  let { settings, paused } = options;
  let serial = 0;
  let unsettled = 0;
  let inFlightBytes = 0;
  let closed = false;
  let alarm: { readonly atMs: number; readonly cancel: () => void } | undefined;

  const close = (): void => {
    if (closed) return;
    closed = true;
    alarm?.cancel();
    graveyard.stop();
    checkpointer.stop();
    consumers.closeAll();
    underWay.clear();
  };
  const lost = (): void => {
    if (closed) return;
    close();
    options.lost();
  };

  const graveyard = createGraveyard({
    bury: options.bury,
    buried: (entries) => {
      for (const entry of entries) finish(entry);
      pump();
    },
    lost,
    troubled: options.troubled,
  });
  const checkpointer = createCheckpointer({
    clock,
    save: options.save,
    lost,
    troubled: options.troubled,
  });

  const inFlight = (): number => underWay.size + resting.size + graveyard.waiting;

  const finish = (entry: Entry): void => {
    unsettled--;
    inFlightBytes -= entry.inFlight ? entry.bytes : 0;
    entry.inFlight = false;
    lanes.release(entry);
    entry.origin.settled(entry);
    checkpointer.settled();
  };

  /** The attempt under way is over, whatever became of it. */
  const end = (entry: Entry): void => {
    if (entry.token !== undefined) underWay.delete(entry.token);
    entry.token = undefined;
    const { holder } = entry;
    entry.holder = undefined;
    if (holder === undefined) return;
    holder.held.delete(entry);
    consumers.freed(holder);
  };

  const deliverAgain = (entry: Entry): void => {
    entry.dueAtMs = 0;
    entry.readySinceMs = clock.now();
    entry.inFlight = false;
    inFlightBytes -= entry.bytes;
    lanes.again(entry);
  };

  const giveBack = (deliveries: readonly string[]): void => {
    for (const delivery of deliveries) {
      const entry = underWay.get(delivery);
      if (entry !== undefined) takeBack(entry);
    }
    pump();
  };

  const takeBack = (entry: Entry): void => {
    end(entry);
    deliverAgain(entry);
  };

  const backoffOf = (attempts: number): number => {
    const { backoffMs } = settings;
    const waitMs = backoffMs[Math.min(attempts, backoffMs.length) - 1] ?? 0;
    return waitMs * (1 + jitter * random());
  };

  /** @param waitMs until the next attempt; undefined for the backoff. */
  const fail = (entry: Entry, reason: string, waitMs: number | undefined, forGood = false): void => {
    end(entry);
    entry.attempts++;
    entry.failures = withFailure(entry.failures, new Date(wallMs()).toISOString(), reason);
    checkpointer.settled();
    if (forGood || entry.attempts >= settings.maxDeliver) {
      graveyard.add(entry);
      return;
    }
    const wait = waitMs ?? backoffOf(entry.attempts);
    if (wait <= 0) {
      deliverAgain(entry);
      return;
    }
    entry.dueAtMs = Math.ceil(wallMs() + wait);
    resting.add(entry, clock.now() + wait);
  };

  const rearm = (): void => {
    let atMs = resting.nextMs ?? Number.POSITIVE_INFINITY;
    // What is delivered later has a later deadline: an alarm that is set is early enough for it.
    if (alarm !== undefined && alarm.atMs <= atMs) return;
    for (const { deadlineMs } of underWay.values()) {
      atMs = Math.min(atMs, deadlineMs);
      break;
    }
    if (closed || atMs === Number.POSITIVE_INFINITY) return;
    alarm?.cancel();
    alarm = { atMs, cancel: clock.after(Math.max(1, Math.ceil(atMs - clock.now())), ring) };
  };

  const ring = (): void => {
    alarm = undefined;
    if (closed) return;
    const now = clock.now();
    for (const entry of underWay.values()) {
      if (entry.deadlineMs > now) break;
      fail(entry, `not acknowledged within ${settings.ackWaitMs} ms`, undefined);
    }
    for (let entry = resting.take(now); entry !== undefined; entry = resting.take(now)) deliverAgain(entry);
    pump();
  };

  /** A shorter wait holds for what is under way too, so that deadlines stay in order. */
  const hurry = (ackWaitMs: number): void => {
    const latestMs = clock.now() + ackWaitMs;
    for (const entry of underWay.values()) entry.deadlineMs = Math.min(entry.deadlineMs, latestMs);
    alarm?.cancel();
    alarm = undefined;
  };

  const deliver = (entry: Entry, consumer: Consumer, nowMs: number): Delivery => {
    const token = `${epoch}.${(serial++).toString(36)}`;
    entry.token = token;
    entry.deadlineMs = nowMs + settings.ackWaitMs;
    entry.holder = consumer;
    entry.inFlight = true;
    inFlightBytes += entry.bytes;
    consumer.held.add(entry);
    underWay.set(token, entry);
    entry.origin.delivered(entry);
    return { delivery: token, attempt: entry.attempts + 1, message: entry.message };
  };

  /** The next that is not out of date. */
  const takeReady = (nowMs: number): Entry | undefined => {
    for (let entry = lanes.take(nowMs); entry !== undefined; entry = lanes.take(nowMs)) {
      if (entry.expiresAtMs === undefined || entry.expiresAtMs > wallMs()) return entry;
      finish(entry);
    }
    return undefined;
  };

  const room = (): number =>
    inFlightBytes >= maxInFlightBytes ? 0 : Math.max(0, settings.maxInFlight - inFlight());

  const serve = (consumer: Consumer): boolean => {
    const ready = Math.min(lanes.ready, room());
    const share = consumer.once ? ready : Math.ceil(ready / Math.max(1, consumers.waiting));
    const limit = Math.min(consumer.max - consumer.held.size, share, consumer.once ? ready : maxBatch);
    const batch: Delivery[] = [];
    const nowMs = clock.now();
    while (batch.length < limit && inFlightBytes < maxInFlightBytes) {
      const entry = takeReady(nowMs);
      if (entry === undefined) break;
      batch.push(deliver(entry, consumer, nowMs));
    }
    if (batch.length === 0) return false;
    consumers.answer(consumer, batch);
    return true;
  };

  const pump = (): void => {
    if (!closed && !paused && isOwner()) {
      while (lanes.ready > 0 && room() > 0) {
        const consumer = consumers.next();
        if (consumer === undefined || !serve(consumer)) break;
      }
    }
    rearm();
  };

  const settleOne = (how: Settlement, entry: Entry, { delayMs, reason }: SettleOptions): void => {
    switch (how) {
      case 'ack':
        end(entry);
        finish(entry);
        return;
      case 'nak':
        fail(entry, reason ?? 'refused by the consumer', delayMs);
        return;
      case 'term':
        fail(entry, reason ?? 'terminated by the consumer', undefined, true);
        return;
      case 'extend': {
        const { token } = entry;
        if (token === undefined) return;
        entry.deadlineMs = clock.now() + settings.ackWaitMs;
        underWay.delete(token);
        underWay.set(token, entry);
      }
    }
  };

  return {
    sink: {
      accept(entries) {
        for (const entry of entries) lanes.offer(entry);
        unsettled += entries.length;
        pump();
      },
      restored(entries) {
        for (const entry of entries) {
          unsettled++;
          const waitMs = entry.dueAtMs - wallMs();
          const isDead = entry.attempts >= settings.maxDeliver;
          if (waitMs <= 0 && !isDead) {
            lanes.offer(entry);
            continue;
          }
          if (!lanes.rest(entry)) continue;
          entry.inFlight = true;
          inFlightBytes += entry.bytes;
          if (isDead) graveyard.add(entry);
          else resting.add(entry, clock.now() + waitMs);
        }
        pump();
      },
      nowMs: () => clock.now(),
      moved: checkpointer.settled,
      troubled: options.troubled,
    },
    get inFlight() {
      return inFlight();
    },
    get unsettled() {
      return unsettled;
    },
    join: (max) => consumers.join(max, false),
    next(consumer) {
      const asked = consumers.ask(consumer);
      pump();
      return asked;
    },
    leave(consumer, blameless) {
      consumers.leave(consumer);
      if (closed) return;
      for (const entry of [...consumer.held]) {
        if (blameless) takeBack(entry);
        else fail(entry, 'the consumer went away', 0);
      }
      pump();
    },
    async pull(max, waitMs, signal) {
      if (closed || signal.aborted) return [];
      const consumer = consumers.join(max, true);
      const asked = consumers.ask(consumer);
      const giveUp = (): void => consumers.leave(consumer);
      pump();
      const cancel = consumer.asking === undefined ? () => {} : clock.after(waitMs, giveUp);
      signal.addEventListener('abort', giveUp, { once: true });
      try {
        const deliveries = (await asked) ?? [];
        if (!signal.aborted) return deliveries;
        // It went between the answer and this turn.
        giveBack(deliveries.map(({ delivery }) => delivery));
        return [];
      } finally {
        cancel();
        signal.removeEventListener('abort', giveUp);
      }
    },
    settle(how, deliveries, settleOptions) {
      const refused: string[] = [];
      for (const delivery of deliveries) {
        const entry = underWay.get(delivery);
        if (entry === undefined) refused.push(delivery);
        else settleOne(how, entry, settleOptions);
      }
      pump();
      return refused;
    },
    giveBack,
    flushed: async () => (await graveyard.recorded()) && checkpointer.flushed(),
    update(next, isPaused) {
      if (next.ackWaitMs < settings.ackWaitMs) hurry(next.ackWaitMs);
      settings = next;
      paused = isPaused;
      pump();
    },
    wake: pump,
    close,
    async drain() {
      paused = true;
      for (const consumer of consumers.closeAll()) {
        for (const entry of [...consumer.held]) end(entry);
      }
      await checkpointer.close();
      close();
    },
  };
};
