import type { LogEvent } from '../../domain/event.ts';
import { type AnyDocument, type AnyProjection, foldEvent, keysOf } from '../../projections/index.ts';
import { decoded } from './recorded.ts';

/** The document that one event makes of `document`. */
export const foldStep = (projection: AnyProjection, document: AnyDocument | undefined, event: LogEvent) => {
  const [key = ''] = keysOf(projection, decoded(event));
  const folded = foldEvent(projection, document, decoded(event), key);
  if (!folded.ok) throw new Error(folded.reason);
  return folded.document ?? document;
};
/** The document that `events` make of `from`. */
export const foldLog = (projection: AnyProjection, events: readonly LogEvent[], from?: AnyDocument) =>
  events.reduce((document, event) => foldStep(projection, document, event), from);
