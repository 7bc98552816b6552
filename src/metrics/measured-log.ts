import { categoryOf, type NewEvent } from '../../domain/event.ts';
import { type AppendConflict, type EventLog, LogError } from '../log/event-log.ts';
import type { Activity, Tracing } from '../tracing/tracing.ts';
import type { Meters } from './meters.ts';

type Ended = AppendConflict | { readonly ok: true; readonly duplicate: boolean };

/**
 * `log` itself in all it does, with what comes of its appends counted and, of events that are traced, a span for each:
 * nothing waits for either.
 */
export const measureLog = (
  log: EventLog,
  { duration, events: sizes, outcomes }: Meters['appends'],
  tracing?: Tracing,
): EventLog => {
  const begin = (category: string, first: NewEvent | undefined, count: number): Activity | undefined => {
    const parent = first?.metadata.traceparent;
    if (parent === undefined) return undefined;
    const attributes = { 'nexus.log': log.kind, 'nexus.stream.category': category, 'nexus.events': count };
    return tracing?.start('append', { kind: 'internal', parent, attributes });
  };

  const measured = <Result extends Ended>(
    count: number,
    activity: Activity | undefined,
    append: () => Promise<Result>,
  ): Promise<Result> => {
    const startedMs = performance.now();
    const appending = append();
    appending.then(
      (result) => {
        activity?.end(result.ok ? undefined : 'conflict');
        if (!result.ok) return outcomes.add('conflict');
        if (result.duplicate) return outcomes.add('duplicate');
        outcomes.add('written');
        duration.observe((performance.now() - startedMs) / 1_000);
        sizes.observe(count);
      },
      (error: unknown) => {
        const code = error instanceof LogError ? error.code : 'unknown';
        activity?.end(code);
        outcomes.add(code);
      },
    );
    return appending;
  };

  const { appendAll } = log;
  const measuredAll: EventLog['appendAll'] =
    appendAll === undefined
      ? undefined
      : (parts) => {
          const events = parts.flatMap((part) => part.events);
          return measured(events.length, begin('several', events[0], events.length), () => appendAll(parts));
        };
  return {
    kind: log.kind,
    start: log.start,
    get durability() {
      return log.durability;
    },
    get reachable() {
      return log.reachable;
    },
    append: (stream, events, expected) =>
      measured(
        events.length,
        tracing === undefined ? undefined : begin(categoryOf(stream), events[0], events.length),
        () => log.append(stream, events, expected),
      ),
    ...(measuredAll === undefined ? {} : { appendAll: measuredAll }),
    readStream: log.readStream,
    readAll: log.readAll,
    watch: log.watch,
    head: log.head,
    position: log.position,
    truncate: log.truncate,
    scavenge: log.scavenge,
    close: log.close,
  };
};
