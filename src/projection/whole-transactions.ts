import type { LogEvent } from '../../domain/event.ts';

/** Events that a reader may take in one go, and those behind them that have to wait for the rest of their transaction. */
export type Parted = { readonly whole: readonly LogEvent[]; readonly rest: readonly LogEvent[] };

/**
 * Parts events before the transaction that their last one stands in, when it is not that transaction's last. The log has
 * all of it already, so the rest comes with the next events.
 *
 * @param events in log order, each once; they begin behind a whole transaction.
 */
export const wholeTransactions = (events: readonly LogEvent[]): Parted => {
  const transaction = events.at(-1)?.metadata.transaction;
  if (transaction === undefined || transaction.index + 1 >= transaction.count)
    return { whole: events, rest: [] };
  const from = Math.max(0, events.length - 1 - transaction.index);
  return { whole: events.slice(0, from), rest: events.slice(from) };
};
