import type { Json, StreamId } from '../../../domain/event.ts';
import { createFifo, type Fifo } from '../../bus/subscription/fifo.ts';
import type { Logger } from '../../logger.ts';
import type { Call } from './calls.ts';
import type { HookCounts } from './counts.ts';
import type { HookEntry, Told } from './hooks.ts';

/** Where what a plugin is to be told of stands. */
export type Waiting = {
  readonly hook: Told['hook'];
  readonly stream: StreamId;
  readonly revision: number;
  readonly hops: number;
};

/** What is told of an event, as the log has it; undefined when it has it no longer. Rejects when the log cannot tell. */
export type ReadTold = (event: Waiting) => Promise<Json | undefined>;

export type TellingOptions = {
  readonly logger: Logger;
  readonly counts: HookCounts;
  readonly call: Call;
  readonly entryOf: (plugin: string, hook: Told['hook']) => HookEntry | undefined;
  readonly readTold: ReadTold;
  readonly maxWaiting?: number;
};

/** Tells plugins what was done, each one by one and in order, and never lets whoever did it wait. */
export type Telling = {
  /** The oldest goes when too many wait. */
  add(plugin: string, event: Waiting): void;
  forget(plugin: string): void;
  close(): void;
};

type Queue = { readonly plugin: string; readonly events: Fifo<Waiting>; dropped: number };

export const createTelling = (options: TellingOptions): Telling => {
  const { logger, counts, call, entryOf, readTold, maxWaiting = 10_000 } = options;
  /** Only of plugins that are being told. */
  const queues = new Map<string, Queue>();

  const lose = (queue: Queue, hook: Told['hook'], why: object): void => {
    const { plugin } = queue;
    counts.add(plugin, hook, 'dropped');
    if (queue.dropped++ === 0)
      logger.warn({ plugin, hook, ...why }, 'a plugin is not told of all that is done');
  };

  const tell = async (queue: Queue, event: Waiting): Promise<void> => {
    const { plugin } = queue;
    const { hook, hops } = event;
    let input: Json | undefined;
    try {
      input = await readTold(event);
    } catch (error) {
      lose(queue, hook, { error });
      return;
    }
    const entry = entryOf(plugin, hook);
    if (input === undefined || entry === undefined) return;
    const called = await call(entry, input, hops);
    if (called?.answer.ok === false) counts.add(plugin, hook, 'skipped');
  };

  const run = async (queue: Queue): Promise<void> => {
    const { plugin, events } = queue;
    for (let event = events.shift(); event !== undefined; event = events.shift()) await tell(queue, event);
    if (queues.get(plugin) === queue) queues.delete(plugin);
    if (queue.dropped > 0)
      logger.warn({ plugin, dropped: queue.dropped }, 'a plugin is told of what is done again');
  };

  const empty = ({ events }: Queue): void => {
    while (events.shift() !== undefined);
  };

  let closed = false;
  return {
    add(plugin, event) {
      if (closed) return;
      const queue = queues.get(plugin);
      if (queue === undefined) {
        const begun: Queue = { plugin, events: createFifo(), dropped: 0 };
        begun.events.push(event);
        queues.set(plugin, begun);
        void run(begun);
        return;
      }
      queue.events.push(event);
      if (queue.events.length <= maxWaiting) return;
      const oldest = queue.events.shift();
      if (oldest !== undefined) lose(queue, oldest.hook, { waiting: maxWaiting });
    },
    forget(plugin) {
      const queue = queues.get(plugin);
      if (queue === undefined) return;
      queues.delete(plugin);
      empty(queue);
    },
    close() {
      closed = true;
      for (const queue of queues.values()) empty(queue);
    },
  };
};
