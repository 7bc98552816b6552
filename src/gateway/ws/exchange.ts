import type { Subject } from '../../../domain/access.ts';
import { type Problem, problem } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { NexusCore } from '../../nexus-core.ts';
import { drainReason } from '../askers.ts';
import type { FrameId, ReplyFrame, RequestFrame } from './frame.ts';
import { errorFrame, mutate } from './mutate.ts';
import type { MutationFrame } from './mutation-frames.ts';
import type { Outbox } from './outbox.ts';

type Core = Pick<NexusCore, 'request' | 'reply' | 'execute'>;
type Tell = (error: unknown) => Problem;

/**
 * Runs a `request` frame, which is handed to the hub before this returns. Neither promise ever rejects.
 *
 * @returns `published` resolves once it is durable or was refused: what stands behind it need wait no longer.
 *   `answered` resolves with the text of its one answer.
 */
export const ask = (
  core: Pick<Core, 'request'>,
  subject: Subject,
  { topic, data, trace }: RequestFrame,
  id: FrameId | undefined,
  tell: Tell,
  signal: AbortSignal,
): { readonly published: Promise<void>; readonly answered: Promise<string> } => {
  const published = Promise.withResolvers<void>();
  const context = { subject, correlationId: newId(), ...trace };
  const answered = core
    .request(topic, data, context, { signal, onPublished: published.resolve })
    .then(
      (result) =>
        result.ok ? JSON.stringify({ type: 'reply', id, ...result.value }) : errorFrame(result.problem, id),
      (error: unknown) => errorFrame(tell(error), id),
    )
    .finally(published.resolve);
  return { published: published.promise, answered };
};

/** Runs a `reply` frame and resolves with the text of its one answer, once durable. Never rejects. */
export const answer = (
  core: Pick<Core, 'reply'>,
  subject: Subject,
  { data }: ReplyFrame,
  id: FrameId | undefined,
  tell: Tell,
): Promise<string> =>
  core.reply(data, { subject, correlationId: newId() }).then(
    (result) => {
      if (!result.ok) return errorFrame(result.problem, id);
      const { messageId, requestId, position } = result.value;
      return JSON.stringify({ type: 'published', id, messageId, requestId, position });
    },
    (error: unknown) => errorFrame(tell(error), id),
  );

/** What one socket waits for. */
export type Asking = {
  /** As `ask`; resolves with `published`. The answer is sent when it comes, and when the peer takes it. */
  request(frame: RequestFrame, id: FrameId | undefined, subject: Subject): Promise<void>;
  /** Hands over a command that may wait; its answer is sent as that of a request. */
  command(frame: MutationFrame, id: FrameId | undefined, subject: Subject): void;
  /** Ends every wait with `shutting_down`, and resolves when all were told. */
  drain(): Promise<void>;
  /** The peer is gone: nobody waits any more. */
  close(): void;
};

export type AskingOptions = {
  readonly core: Core;
  readonly outbox: Outbox;
  readonly tell: Tell;
  /** Characters of answers that are held for a peer that does not take them. */
  readonly maxHeld: number;
};

export const createAsking = ({ core, outbox, tell, maxHeld }: AskingOptions): Asking => {
  const controller = new AbortController();
  const { signal } = controller;
  const open = new Set<Promise<void>>();
  let held = 0;

  /** Many may wait for replies at once, and all of those come together. */
  const send = async (text: string, id: FrameId | undefined): Promise<void> => {
    if (outbox.full) {
      if (held + text.length > maxHeld) {
        const detail = 'The socket is not read: the answer stands in the log alone';
        return outbox.send(errorFrame(problem('overloaded', detail), id));
      }
      held += text.length;
      while (outbox.full && !signal.aborted) await outbox.drained();
      held -= text.length;
    }
    outbox.send(text);
  };

  const tellWhen = (answered: Promise<string>, id: FrameId | undefined): void => {
    const told = answered.then((text) => send(text, id)).finally(() => open.delete(told));
    open.add(told);
  };

  return {
    request: (frame, id, subject) => {
      const { published, answered } = ask(core, subject, frame, id, tell, signal);
      tellWhen(answered, id);
      return published;
    },
    command: (frame, id, subject) => tellWhen(mutate(core, subject, frame, id, tell, signal), id),
    drain: async () => {
      controller.abort(drainReason());
      await Promise.all(open);
    },
    close: () => controller.abort(),
  };
};
