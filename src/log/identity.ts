import { newId } from '../ids.ts';
import { type EventLog, logStream } from './event-log.ts';

const logIdOf = (data: unknown): string | undefined =>
  typeof data === 'object' && data !== null && 'logId' in data && typeof data.logId === 'string'
    ? data.logId
    : undefined;

/**
 * The log's identity: `logId` of the first event of `nexus-log`, or undefined for a log that has none yet.
 *
 * @throws {LogError} when the log cannot be read.
 */
export const readIdentity = async (log: EventLog): Promise<string | undefined> => {
  const [first] = await log.readStream(logStream, { limit: 1 });
  return first === undefined ? undefined : logIdOf(first.data);
};

/** The log's identity, made if there is none. Two nodes that try at once get the same: `expected: 'none'` lets one win. */
export const establishIdentity = async (log: EventLog, node: string): Promise<string> => {
  for (;;) {
    const known = await readIdentity(log);
    if (known !== undefined) return known;
    const logId = newId();
    const id = newId();
    const result = await log.append(
      logStream,
      [
        {
          id,
          type: 'LogCreated',
          data: { logId },
          metadata: { actor: 'system', correlationId: id, causationId: null, node, schema: 1 },
        },
      ],
      'none',
    );
    if (result.ok) return logId;
  }
};
