import type { Subject } from '../../../domain/access.ts';
import type { Json } from '../../../domain/event.ts';
import { type Problem, within } from '../../errors.ts';
import { given } from '../../given.ts';
import { newId } from '../../ids.ts';
import type { CommandDone, NexusCore } from '../../nexus-core.ts';
import { commandFault } from '../command-fault.ts';
import type { FrameId } from './frame.ts';
import type { MutationFrame } from './mutation-frames.ts';

/** `{ "type": "error", "id"?, "subscription"?, "code", "message", …facts }`. */
export const errorFrame = (fault: Problem, id?: FrameId, subscription?: string): string =>
  JSON.stringify(
    // Facts never stand in the place of the fixed members.
    Object.assign({ type: 'error' }, fault.facts, {
      type: 'error',
      id,
      subscription,
      code: fault.code,
      message: fault.detail,
    }),
  );

const messageIdOf = (result: Json): Json =>
  typeof result === 'object' && result !== null && 'messageId' in result ? (result.messageId ?? null) : null;

/** Only told when it is so. */
const replayedOf = ({ duplicate }: CommandDone): true | undefined => (duplicate ? true : undefined);

const doneFrame = (frame: MutationFrame, id: FrameId | undefined, done: CommandDone): string =>
  frame.type === 'publish'
    ? JSON.stringify({
        type: 'published',
        id,
        messageId: messageIdOf(done.result),
        position: done.position,
        replayed: replayedOf(done),
      })
    : JSON.stringify({
        type: 'result',
        id,
        commandId: done.commandId,
        events: done.events,
        result: done.result,
        position: done.position,
        replayed: replayedOf(done),
      });

/** It may wait for somebody else: the frames behind it go on once it was handed to the hub. */
export const mayWait = ({ command: { type, data } }: MutationFrame): boolean =>
  type === 'AcquireLock' &&
  typeof data === 'object' &&
  data !== null &&
  'waitMs' in data &&
  data.waitMs !== 0;

/** What a fault of the input is called in a frame: that of a command stands at `/command`. */
export const mutationFault = (frame: { readonly type: string } | MutationFrame, found: Problem): Problem =>
  'command' in frame && frame.type === 'command'
    ? within('/command', commandFault(frame.command.type, found))
    : found;

/**
 * Runs a `publish` or `command` frame and resolves with the text of its one answer, once durable. The command is
 * handed to the hub before this returns, so frames run in a row take effect in that order.
 *
 * @param tell turns what was thrown into what the client is told.
 * @param signal aborts when the client is gone, or with what it is told.
 */
export const mutate = (
  core: Pick<NexusCore, 'execute'>,
  subject: Subject,
  frame: MutationFrame,
  id: FrameId | undefined,
  tell: (error: unknown) => Problem,
  signal?: AbortSignal,
): Promise<string> =>
  core.execute(frame.command, { subject, correlationId: newId(), ...frame.trace, ...given({ signal }) }).then(
    (result) =>
      result.ok ? doneFrame(frame, id, result.value) : errorFrame(mutationFault(frame, result.problem), id),
    (error: unknown) => errorFrame(tell(error), id),
  );
