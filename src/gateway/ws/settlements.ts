import type { Subject } from '../../../domain/access.ts';
import { type Problem, problem } from '../../errors.ts';
import { given } from '../../given.ts';
import { newId } from '../../ids.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Settlement } from '../../nexus-subscriptions.ts';
import type { Consumer } from './consumer.ts';
import type { FrameId, SettleFrame } from './frame.ts';
import { errorFrame } from './mutate.ts';
import type { Outbox } from './outbox.ts';

/**
 * What one client settles. Frames that come in one turn are handed to the hub together, one call for each consumer and
 * way of settling, and none is waited for: what stands in the same turn is over before anything else of it is told.
 */
export type Settlements = {
  /** A frame with an `id` is answered once it is settled; one without hears only of what was refused. */
  add(frame: SettleFrame, id: FrameId | undefined): void;
  /** Hands over what came so far, and resolves when it is settled; undefined when nothing is under way. */
  idle(): Promise<void> | undefined;
  /** Resolves when more may come; undefined while it may. */
  room(): Promise<void> | undefined;
};

export type SettlementsOptions = {
  readonly core: Pick<NexusCore, 'settle'>;
  readonly outbox: Pick<Outbox, 'send' | 'full' | 'drained'>;
  readonly tell: (error: unknown) => Problem;
  readonly subject: () => Subject;
  /** The consumer that holds a delivery, which is taken from it unless it is extended. */
  readonly take: (delivery: string, how: Settlement) => Consumer | undefined;
  /** Deliveries that may be under way at once. */
  readonly max: number;
};

/** A frame that wants an answer; its deliveries may have gone into several calls. */
type Ask = {
  readonly id: FrameId;
  /** Deliveries that are not settled yet. */
  open: number;
  readonly refused: string[];
  /** Why the last of those was. */
  why: Problem;
};

/** Deliveries that one call settles; those of a frame that wants an answer stand there with it. */
type Batch = Omit<SettleFrame, 'type' | 'deliveries'> & {
  readonly consumer: Consumer;
  readonly deliveries: string[];
  /** By delivery; a frame without an id has none. */
  readonly asks: Map<string, Ask>;
};

/** As many as one call takes: src/command/subscription-schemas.ts. */
const maxBatch = 1_000;

const stale = problem('stale_delivery', 'settled before, timed out, or never sent on this connection');

const about = (why: Problem, deliveries: readonly string[]): Problem => ({
  ...why,
  facts: { ...why.facts, deliveries },
});

export const createSettlements = (options: SettlementsOptions): Settlements => {
  const { core, outbox, tell, subject, take, max } = options;
  let batches: Batch[] = [];
  /** Deliveries that were handed over and are not settled. */
  let underWay = 0;
  /** Of them, those that wait for no checkpoint. */
  let unsettled = 0;
  let settled: PromiseWithResolvers<void> | undefined;
  let roomy: PromiseWithResolvers<void> | undefined;

  const batchFor = (consumer: Consumer, delivery: string, frame: SettleFrame): Batch => {
    const { how, delayMs, reason, durable } = frame;
    for (const batch of batches) {
      if (
        batch.consumer === consumer &&
        batch.how === how &&
        batch.delayMs === delayMs &&
        batch.reason === reason &&
        batch.durable === durable &&
        batch.deliveries.length < maxBatch &&
        !batch.asks.has(delivery)
      )
        return batch;
    }
    const made: Batch = { consumer, how, delayMs, reason, durable, deliveries: [], asks: new Map() };
    if (batches.length === 0) queueMicrotask(flush);
    batches.push(made);
    return made;
  };

  const answer = ({ id, refused, why }: Ask): void =>
    outbox.send(
      refused.length === 0 ? JSON.stringify({ type: 'done', id }) : errorFrame(about(why, refused), id),
    );

  const conclude = ({ asks }: Batch, refused: readonly string[], why: Problem = stale): void => {
    const unasked = asks.size === 0 ? refused : refused.filter((delivery) => !asks.has(delivery));
    if (unasked.length > 0) outbox.send(errorFrame(about(why, unasked)));
    for (const delivery of refused) {
      const ask = asks.get(delivery);
      if (ask === undefined) continue;
      ask.refused.push(delivery);
      ask.why = why;
    }
    for (const ask of asks.values()) if (--ask.open === 0) answer(ask);
  };

  const over = ({ deliveries, durable }: Batch): void => {
    underWay -= deliveries.length;
    if (!durable) unsettled -= deliveries.length;
    if (unsettled === 0) {
      settled?.resolve();
      settled = undefined;
    }
    if (underWay < max) {
      roomy?.resolve();
      roomy = undefined;
    }
  };

  const settle = async (batch: Batch): Promise<void> => {
    const { consumer, how, deliveries, delayMs, reason, durable } = batch;
    underWay += deliveries.length;
    if (!durable) unsettled += deliveries.length;
    const data = { deliveries, durable, ...given({ delayMs, reason }) };
    const context = { subject: subject(), correlationId: newId() };
    try {
      const result = await core.settle(how, consumer.group, data, context);
      if (result.ok) conclude(batch, result.value.refused);
      else failed(batch, result.problem);
    } catch (error) {
      failed(batch, tell(error));
    }
    over(batch);
  };

  /** Nothing was settled, so that it can be tried again. */
  const failed = (batch: Batch, why: Problem): void => {
    for (const delivery of batch.deliveries) batch.consumer.held.add(delivery);
    conclude(batch, batch.deliveries, why);
  };

  /** What is extended is so before what was settled behind it in the same turn; no delivery is settled twice in one. */
  const flush = (): void => {
    const ready = batches;
    batches = [];
    for (const batch of ready) if (batch.how === 'extend') void settle(batch);
    for (const batch of ready) if (batch.how !== 'extend') void settle(batch);
  };

  return {
    add: (frame, id) => {
      const { deliveries, how } = frame;
      const ask = id === undefined ? undefined : { id, open: deliveries.length, refused: [], why: stale };
      const lost: string[] = ask?.refused ?? [];
      for (const delivery of deliveries) {
        const consumer = take(delivery, how);
        if (consumer === undefined) {
          lost.push(delivery);
          continue;
        }
        const batch = batchFor(consumer, delivery, frame);
        batch.deliveries.push(delivery);
        if (ask !== undefined) batch.asks.set(delivery, ask);
      }
      if (lost.length === 0) return;
      if (ask === undefined) return outbox.send(errorFrame(about(stale, lost)));
      ask.open -= lost.length;
      if (ask.open === 0) answer(ask);
    },
    idle: () => {
      if (batches.length > 0) flush();
      if (unsettled === 0) return undefined;
      settled ??= Promise.withResolvers<void>();
      return settled.promise;
    },
    room: () => {
      if (underWay < max) return undefined;
      roomy ??= Promise.withResolvers<void>();
      return roomy.promise;
    },
  };
};
