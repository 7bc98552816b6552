import { randomUUID } from 'node:crypto';
import { asRevision, type Revision, type StreamId } from '../../../domain/event.ts';
import { checkStream } from '../encode.ts';
import { LogError, type StreamHead } from '../event-log.ts';
import { Fault, faultOf, isPassing, logErrorOf } from './fault.ts';
import { pause, type Session, withRetries } from './session.ts';

type Metadata = { readonly document: Record<string, unknown>; readonly revision: number | undefined };

const markKey = '$tb';
const tries = 20;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const markOf = ({ document }: Metadata): number => {
  const mark = document[markKey];
  return typeof mark === 'number' ? mark : 0;
};

/** Stream heads and truncation marks. The mark is `$tb` of the stream's metadata, a document in `$$stream`. */
export const createTruncator = (session: Session) => {
  const { client, limits } = session;

  const newestOf = async (stream: string) => {
    const [newest] = await withRetries(session, `read of ${stream}`, () =>
      client.readStream(stream, { backwards: true, limit: 1 }, limits.silenceMs),
    );
    return newest;
  };

  const metadataOf = async (stream: StreamId): Promise<Metadata> => {
    const newest = await newestOf(`$$${stream}`);
    if (newest === undefined) return { document: {}, revision: undefined };
    return { document: isRecord(newest.data) ? newest.data : {}, revision: newest.revision };
  };

  const head = async (stream: StreamId): Promise<StreamHead | undefined> => {
    checkStream(stream);
    const [newest, metadata] = await Promise.all([newestOf(stream), metadataOf(stream)]);
    if (newest === undefined) return undefined;
    return {
      revision: asRevision(newest.revision),
      truncatedBefore: asRevision(Math.min(markOf(metadata), newest.revision)),
    };
  };

  /** True when the document was written where `revision` was the newest. */
  const replace = async (stream: StreamId, { document, revision }: Metadata): Promise<boolean> => {
    const event = { id: randomUUID(), type: '$metadata', data: JSON.stringify(document), metadata: '{}' };
    const expected = revision === undefined ? 'none' : asRevision(revision);
    const answer = await client.append({ stream: `$$${stream}`, events: [event], expected }, limits.tryMs);
    return answer.type === 'written';
  };

  const truncate = async (stream: StreamId, before: Revision): Promise<void> => {
    checkStream(stream);
    if (!Number.isSafeInteger(before) || before < 0) {
      throw new LogError('invalid', 'events are truncated before a revision from 0', { before });
    }
    const doing = `truncation of ${stream}`;
    let last = new Fault('busy', 'others changed the metadata at the same time');
    for (let attempt = 0; attempt < tries; attempt++) {
      if (attempt > 0) await pause(session, limits.retryMs);
      const [newest, metadata] = await Promise.all([newestOf(stream), metadataOf(stream)]);
      if (newest === undefined) return;
      const mark = Math.min(before, newest.revision);
      // Also how a write whose answer was lost is found to have happened.
      if (markOf(metadata) >= mark) return;
      const document = { ...metadata.document, [markKey]: mark };
      try {
        if (await replace(stream, { document, revision: metadata.revision })) return;
      } catch (error) {
        last = faultOf(error);
        if (!isPassing(last)) throw logErrorOf(last, doing);
      }
    }
    session.health.fails(last);
    throw logErrorOf(last, doing);
  };

  return { head, truncate };
};
