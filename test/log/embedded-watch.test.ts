import test, { type ExecutionContext } from 'ava';
import { asStreamId, type LogEvent } from '../../domain/event.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { newEvent } from './contract/fixture.ts';
import { temporaryFolder, withLog } from './embedded-fixture.ts';

const stream = asStreamId('topic-large');
const large = 12;
/** More than one pull takes, in a few events. */
const text = 'x'.repeat(100_000);

const fill = async (log: EventLog): Promise<void> => {
  for (let index = 0; index < large; index++) {
    await log.append(stream, [newEvent({ index, text })], 'any');
  }
};

/** What a watcher is handed from the start on, piece by piece, until it has all. */
const pieces = async (t: ExecutionContext, log: EventLog): Promise<void> => {
  const signal = AbortSignal.timeout(60_000);
  const handed: (readonly LogEvent[])[] = [];
  for await (const events of log.watch({ after: log.start, signal })) {
    handed.push(events);
    if (handed.flat().length >= large) break;
  }
  t.deepEqual(
    handed.flat().map(({ data }) => (data as { readonly index: number }).index),
    Array.from({ length: large }, (_, index) => index),
  );
  t.deepEqual(
    handed.map(({ length }) => length),
    [3, 3, 3, 3],
  );
};

test('large events are handed out a few at a time, from memory and from the disk', async (t) => {
  const options = { directory: temporaryFolder(t), mapSizeBytes: 2 ** 28 };
  await withLog(options, async (log) => {
    await fill(log);
    await pieces(t, log);
  });
  await withLog(options, (log) => pieces(t, log));
});
