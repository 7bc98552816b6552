import type { AllStreamResolvedEvent, ResolvedEvent } from '@eventstore/db-client';
import { positionOf, type StoredEvent } from './codec.ts';
import { Fault } from './fault.ts';

/**
 * An event of the client in the terms of this adapter; undefined for a link to an event that is gone.
 *
 * @throws {Fault} when the server is too old to give positions (before 22.10).
 */
export const storedOf = ({ event }: ResolvedEvent | AllStreamResolvedEvent): StoredEvent | undefined => {
  if (event === undefined) return undefined;
  const { position } = event;
  if (position === undefined) {
    throw new Fault('invalid', 'the server gives no positions: EventStoreDB 22.10 or later is needed');
  }
  return {
    id: event.id,
    stream: event.streamId,
    revision: Number(event.revision),
    position: positionOf(position.commit, position.prepare),
    type: event.type,
    isJson: event.isJson,
    data: event.data,
    metadata: event.metadata,
    recordedMs: event.created.getTime(),
  };
};
