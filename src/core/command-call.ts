import type { NewMetadata, Position, StreamId } from '../../domain/event.ts';
import type { HandleOptions } from '../command/handle.ts';
import { fault, problem } from '../errors.ts';
import { given } from '../given.ts';
import { idOf } from '../ids.ts';
import type { CommandDone, Context } from '../nexus-core.ts';

/** How long a command waits for this node's own read models to show its effect. */
export const ownReadModelsMs = 5_000;

/** What a command did; its type and id stand where it was called. */
export type Done = Omit<CommandDone, 'commandId' | 'type'>;

/** A command on its way: who asks, and what its events are recorded with. */
export type Call = {
  readonly context: Context;
  readonly metadata: NewMetadata;
  readonly expectedRevision?: number;
  readonly commandId?: string;
};

/**
 * The same command again makes events of the same ids on a stream, and finds those that are there.
 *
 * @param part tells the appends of a command on one stream apart, where it makes several.
 */
export const optionsOf = (
  { context, metadata, expectedRevision, commandId }: Call,
  stream: StreamId,
  ...part: readonly string[]
): HandleOptions => ({
  metadata,
  ...given({ expectedRevision }),
  ...(commandId === undefined
    ? {}
    : {
        eventId: (index: number) =>
          idOf('command', context.subject.id, commandId, stream, String(index), ...part),
      }),
});

/** The answer of a command that is done, on a node whose own read models do not show it in time. */
export const notShown = (position: Position) =>
  fault(
    problem('not_caught_up', 'the command is recorded, but the read models of this node are behind it', {
      position,
    }),
  );
