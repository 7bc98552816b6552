import { open } from 'lmdb';
import type { NewEvent, StreamId } from '../../domain/event.ts';

/** As the embedded log opens its records; `safeRestore` is missing from lmdb's types. */
export const recordSettings = (path: string) =>
  ({ path, overlappingSync: false, safeRestore: true, encoding: 'binary' }) as const;

/**
 * The least that answers each append for itself: its JSON is copied behind that of the others into one lmdb record per
 * commit, and its promise resolves after the fsync. No expected revision, no revisions, no index, no checksum, no limit.
 */
export const openBareGroup = (directory: string) => {
  const database = open<Buffer, number>(recordSettings(directory));
  // One is filled while the other is written.
  let record = Buffer.allocUnsafe(4 * 2 ** 20);
  let other = Buffer.allocUnsafe(4 * 2 ** 20);
  let length = 0;
  let waiting: (() => void)[] = [];
  let key = 0;
  let running = false;

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const told = waiting;
      const bytes = record.subarray(0, length);
      waiting = [];
      [record, other] = [other, record];
      length = 0;
      await database.put(++key, bytes);
      for (const tell of told) tell();
    }
    running = false;
  };

  return {
    append: (stream: StreamId, event: NewEvent): Promise<void> =>
      new Promise((resolve) => {
        length += record.write(JSON.stringify({ stream, ...event }), length);
        waiting.push(resolve);
        if (running) return;
        running = true;
        queueMicrotask(run);
      }),
    close: () => database.close(),
  };
};
