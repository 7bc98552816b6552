import type { Delivery } from '../../nexus-subscriptions.ts';
import type { Entry, Holder } from './entry.ts';

/** One member of the group. */
export type Consumer = Holder & {
  /** Unsettled deliveries that it may hold. */
  readonly max: number;
  /** Takes all that is ready at once, and only once. */
  readonly once: boolean;
  asking: PromiseWithResolvers<readonly Delivery[] | undefined> | undefined;
};

/** Consumers in the order in which they came to ask for more. */
export type Consumers = {
  readonly size: number;
  /** Those that ask and have room. */
  readonly waiting: number;
  join(max: number, once: boolean): Consumer;
  /** @throws {TypeError} when it asks already. */
  ask(consumer: Consumer): Promise<readonly Delivery[] | undefined>;
  /** One that asks and has room; undefined when none does. */
  next(): Consumer | undefined;
  answer(consumer: Consumer, deliveries: readonly Delivery[]): void;
  /** Something that it held was settled. */
  freed(holder: Holder): void;
  /** It asks no more, and is told so. */
  leave(consumer: Consumer): void;
  /** All leave, and who joins from now on has left already. */
  closeAll(): readonly Consumer[];
};

export const createConsumers = (): Consumers => {
  const waiting = new Set<Consumer>();
  /** Holders are consumers of this set and of no other. */
  const members = new Map<Holder, Consumer>();
  let closed = false;

  const hasRoom = ({ held, max }: Consumer): boolean => held.size < max;

  const leave = (consumer: Consumer): void => {
    members.delete(consumer);
    waiting.delete(consumer);
    const asking = consumer.asking;
    consumer.asking = undefined;
    asking?.resolve(undefined);
  };

  return {
    get size() {
      return members.size;
    },
    get waiting() {
      return waiting.size;
    },
    join(max, once) {
      const consumer: Consumer = { held: new Set<Entry>(), max, once, asking: undefined };
      if (!closed) members.set(consumer, consumer);
      return consumer;
    },
    ask(consumer) {
      if (consumer.asking !== undefined) throw new TypeError('one next() of a consumer at a time');
      if (!members.has(consumer)) return Promise.resolve(undefined);
      consumer.asking = Promise.withResolvers();
      if (hasRoom(consumer)) waiting.add(consumer);
      return consumer.asking.promise;
    },
    next() {
      for (const consumer of waiting) return consumer;
      return undefined;
    },
    answer(consumer, deliveries) {
      const asking = consumer.asking;
      consumer.asking = undefined;
      waiting.delete(consumer);
      if (consumer.once) members.delete(consumer);
      asking?.resolve(deliveries);
    },
    freed(holder) {
      const consumer = members.get(holder);
      if (consumer?.asking !== undefined && hasRoom(consumer)) waiting.add(consumer);
    },
    leave,
    closeAll() {
      closed = true;
      const left = [...members.values()];
      for (const consumer of left) leave(consumer);
      return left;
    },
  };
};
