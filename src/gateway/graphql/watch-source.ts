import type { Result } from '../../errors.ts';
import { problem } from '../../errors.ts';
import type { Watch } from '../../nexus-core.ts';
import { raise } from './faults.ts';
import type { Args, ResolverContext } from './resolving.ts';

/**
 * The items of a watch, one by one, as graphql-js wants them. It is no generator, because `return()` must end it while
 * a `next()` is pending: that aborts the watch.
 *
 * @param open begins the watch; a problem is thrown as such.
 * @param mapGap makes the item that stands for a gap: resolving its field throws what `tell` throws, and the items go on.
 */
export const itemsOf = async <Item, Out>(
  open: (signal: AbortSignal) => Promise<Result<Watch<Item>>>,
  map: (item: Item) => Out,
  mapGap: (tell: () => never) => Out,
): Promise<AsyncIterableIterator<Out>> => {
  const controller = new AbortController();
  const watch = await open(controller.signal);
  if (!watch.ok) return raise(watch.problem);
  const steps = watch.value.items[Symbol.asyncIterator]();
  let batch: readonly Item[] = [];
  let taken = 0;

  const end = (): Promise<IteratorResult<Out>> => {
    controller.abort();
    batch = [];
    return Promise.resolve({ done: true, value: undefined });
  };

  const next = async (): Promise<IteratorResult<Out>> => {
    for (;;) {
      const item = batch[taken];
      if (item !== undefined) {
        taken++;
        return { done: false, value: map(item) };
      }
      if (controller.signal.aborted) return { done: true, value: undefined };
      const step = await steps.next();
      if (step.done === true) return { done: true, value: undefined };
      if (step.value.type === 'gap') {
        const { from, to } = step.value;
        const tell = () => raise(problem('gap', 'Of what stood between, some was removed', { from, to }));
        return { done: false, value: mapGap(tell) };
      }
      if (step.value.type === 'items') {
        batch = step.value.items;
        taken = 0;
      }
    }
  };

  const items: AsyncIterableIterator<Out> = {
    next,
    return: end,
    throw: async (error: unknown) => {
      await end();
      throw error;
    },
    [Symbol.asyncIterator]: () => items,
  };
  return items;
};

export type Subscribe<Shape> = (
  source: unknown,
  args: Args<Shape>,
  at: ResolverContext,
) => Promise<AsyncIterable<unknown>>;

/** graphql-js resolves the subscription's one field from an object that has it, or calls it when it is a function. */
export const asField =
  <Item>(name: string) =>
  (item: Item): object => ({ [name]: item });
