import { setTimeout as delay } from 'node:timers/promises';
import { newId } from '../ids.ts';
import { type EventLog, LogError, logStream } from './event-log.ts';

const maxTries = 20;
const pauseMs = 50;

/**
 * The log's identity: `logId` of the first event of `nexus-log`, or undefined for a log that has none yet.
 *
 * @throws {LogError} when the log cannot be read; `log_corrupt` when that event holds no identity.
 */
export const readIdentity = async (log: EventLog): Promise<string | undefined> => {
  const [first] = await log.readStream(logStream, { limit: 1 });
  if (first === undefined) return undefined;
  const { data } = first;
  if (
    typeof data === 'object' &&
    data !== null &&
    'logId' in data &&
    typeof data.logId === 'string' &&
    data.logId !== ''
  ) {
    return data.logId;
  }
  throw new LogError('log_corrupt', `the first event of ${logStream} holds no identity of the log`, {
    stream: logStream,
    event: first.id,
    type: first.type,
  });
};

/**
 * The log's identity, made if there is none. Two nodes that try at once get the same: `expected: 'none'` lets one win.
 *
 * @throws {LogError} as `readIdentity` and `append` do.
 */
export const establishIdentity = async (log: EventLog, node: string): Promise<string> => {
  const logId = newId();
  const id = newId();
  const created = {
    id,
    type: 'LogCreated',
    data: { logId },
    metadata: { actor: 'system', correlationId: id, causationId: null, node, schema: 1 },
  };
  for (let tries = 0; tries < maxTries; tries++) {
    const known = await readIdentity(log);
    if (known !== undefined) return known;
    const result = await log.append(logStream, [created], 'none');
    if (result.ok) return logId;
    // Another node was faster; a follower of a cluster may show its event a moment later.
    await delay(pauseMs);
  }
  throw new LogError('log_unavailable', `${logStream} has an event that cannot be read`, { tries: maxTries });
};
