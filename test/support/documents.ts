import type { LogEvent } from '../../domain/event.ts';
import { type AnyDocument, type AnyProjection, foldEvent, keysOf } from '../../projections/index.ts';
import { decoded } from './recorded.ts';

/**
 * A read model's documents by key after `events`, in any order of keys, on top of those of `from`, which is left alone.
 * The test knows which projection's documents it asks for.
 */
export const documentsAfter = <Document extends AnyDocument>(
  projection: AnyProjection,
  events: readonly LogEvent[],
  from: ReadonlyMap<string, Document> = new Map(),
): Map<string, Document> => {
  const documents = new Map(from);
  for (const event of events.map(decoded)) {
    for (const key of keysOf(projection, event)) {
      const folded = foldEvent(projection, documents.get(key), event, key);
      if (!folded.ok) throw new Error(folded.reason);
      if (folded.document === null) documents.delete(key);
      else if (folded.document !== undefined) documents.set(key, folded.document as Document);
    }
  }
  return documents;
};
