import { type AppendConflict, type EventLog, LogError } from '../log/event-log.ts';
import type { Meters } from './meters.ts';

type Ended = AppendConflict | { readonly ok: true; readonly duplicate: boolean };

/** `log` itself in all it does, with what comes of its appends counted: nothing waits for the counting. */
export const measureLog = (
  log: EventLog,
  { duration, events: sizes, outcomes }: Meters['appends'],
): EventLog => {
  const measured = <Result extends Ended>(count: number, append: () => Promise<Result>): Promise<Result> => {
    const startedMs = performance.now();
    const appending = append();
    appending.then(
      (result) => {
        if (!result.ok) return outcomes.add('conflict');
        if (result.duplicate) return outcomes.add('duplicate');
        outcomes.add('written');
        duration.observe((performance.now() - startedMs) / 1_000);
        sizes.observe(count);
      },
      (error: unknown) => outcomes.add(error instanceof LogError ? error.code : 'unknown'),
    );
    return appending;
  };
  const { appendAll } = log;
  return {
    kind: log.kind,
    start: log.start,
    get durability() {
      return log.durability;
    },
    get reachable() {
      return log.reachable;
    },
    append: (stream, events, expected) => measured(events.length, () => log.append(stream, events, expected)),
    ...(appendAll === undefined
      ? {}
      : {
          appendAll: (parts) =>
            measured(
              parts.reduce((count, { events }) => count + events.length, 0),
              () => appendAll(parts),
            ),
        }),
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
