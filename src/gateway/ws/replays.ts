import type { Subject } from '../../../domain/access.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import type { DryRun, Replay } from '../../nexus-replays.ts';
import type { Flow } from './flow.ts';
import type { FrameId, ReplaySelector, ReplyFrame, RequestFrame } from './frame.ts';
import { errorFrame, mutationFault } from './mutate.ts';
import type { MutationFrame } from './mutation-frames.ts';
import type { Outbox } from './outbox.ts';

export type ReplaysOptions = {
  readonly core: Pick<NexusCore, 'replay' | 'dryRun'>;
  readonly outbox: Outbox;
  readonly tell: (error: unknown) => Problem;
  /** That one socket may have at a time: each holds a page of history. */
  readonly max?: number;
};

/** History for one socket. */
export type Replays = {
  begin(
    selector: ReplaySelector,
    subscription: string,
    signal: AbortSignal,
    context: Context,
  ): Promise<Result<Flow>>;
  /** True from when a dry run has begun until the client has finished it: whatever it sends is only taken down. */
  readonly isDry: boolean;
  /** Takes down what a frame asks for, and resolves with its one answer. Never rejects. */
  pretend(
    frame: MutationFrame | RequestFrame | ReplyFrame,
    id: FrameId | undefined,
    subject: Subject,
  ): Promise<string>;
  /** Ends the dry run of this name, and resolves with its report, or with an error when it goes on. Never rejects. */
  finish(subscription: string, id: FrameId | undefined, subject: Subject): Promise<string>;
  /** The peer is gone. */
  close(): void;
};

const defaultMax = 16;

/**
 * Writes a replay to a socket until it ends or `signal` aborts, and says `replayed` at its end. While the socket's buffer is
 * full nothing is read.
 *
 * @throws what the replay throws.
 */
const play = async (
  { from, steps }: Replay,
  subscription: string,
  outbox: Outbox,
  signal: AbortSignal,
): Promise<void> => {
  const name = JSON.stringify(subscription);
  const head = `{"type":"message","subscription":${name},`;
  let position = from;
  let messages = 0;
  const room = async (): Promise<void> => {
    while (outbox.full && !signal.aborted) await outbox.drained();
  };
  for await (const step of steps) {
    if (step.type === 'gap') {
      await room();
      outbox.send(JSON.stringify({ ...step, subscription }));
      continue;
    }
    for (const item of step.items) {
      await room();
      if (signal.aborted) return;
      outbox.send(head + JSON.stringify(item).slice(1));
      messages++;
    }
    position = step.position;
  }
  if (!signal.aborted) outbox.send(JSON.stringify({ type: 'replayed', subscription, position, messages }));
};

export const createReplays = ({ core, outbox, tell, max = defaultMax }: ReplaysOptions): Replays => {
  const closing = new AbortController();
  let open = 0;
  let dry: { readonly subscription: string; readonly run: DryRun } | undefined;

  const openDry = async (
    { data, actor }: ReplaySelector,
    subscription: string,
    signal: AbortSignal,
    context: Context,
  ): Promise<Result<Replay>> => {
    if (dry !== undefined) {
      return fault(problem('invalid', `/dryRun: ${dry.subscription} is one and must be finished first`));
    }
    const run = await core.dryRun(data, actor, signal, context);
    if (!run.ok) return run;
    if (closing.signal.aborted) run.value.release();
    else dry = { subscription, run: run.value };
    return ok(run.value.replay);
  };

  const run = (
    { run: dryRun }: NonNullable<typeof dry>,
    frame: MutationFrame | RequestFrame | ReplyFrame,
    subject: Subject,
  ) => {
    const context = { subject, correlationId: newId(), ...('trace' in frame ? frame.trace : {}) };
    switch (frame.type) {
      case 'request':
        return dryRun.request(frame.topic, frame.data, context);
      case 'reply':
        return dryRun.reply(frame.data, context);
      default:
        return dryRun.execute(frame.command, context);
    }
  };

  const flowOf = (replay: Replay, isDry: boolean, subscription: string, signal: AbortSignal): Flow => {
    const { topic, from, to, speed } = replay;
    return {
      confirmation: { type: 'replaying', topic, from, to, speed, ...(isDry ? { dryRun: true } : {}) },
      run: () => play(replay, subscription, outbox, signal),
      why: () => Promise.resolve(undefined),
    };
  };

  return {
    async begin(selector, subscription, signal, context) {
      if (open >= max) {
        return fault(problem('rate_limited', `One connection may have ${max} replays at a time`));
      }
      open++;
      signal.addEventListener('abort', () => open--, { once: true });
      const replay = selector.dryRun
        ? await openDry(selector, subscription, signal, context)
        : await core.replay(selector.data, signal, context);
      return replay.ok ? ok(flowOf(replay.value, selector.dryRun, subscription, signal)) : replay;
    },
    get isDry() {
      return dry !== undefined;
    },
    async pretend(frame, id, subject) {
      if (dry === undefined) return errorFrame(problem('internal', 'there is no dry run'), id);
      try {
        const pretended = await run(dry, frame, subject);
        if (!pretended.ok) return errorFrame(mutationFault(frame, pretended.problem), id);
        const { commandId, messageId, requestId, result } = pretended.value;
        return JSON.stringify(
          frame.type === 'command'
            ? { type: 'result', id, commandId, events: [], result, position: null, dryRun: true }
            : { type: 'published', id, messageId, requestId, position: null, dryRun: true },
        );
      } catch (error) {
        return errorFrame(tell(error), id);
      }
    },
    async finish(subscription, id, subject) {
      if (dry?.subscription !== subscription) {
        return errorFrame(problem('not_found', 'The connection has no dry run of this name'), id);
      }
      try {
        const report = await dry.run.finish(closing.signal, { subject, correlationId: newId() });
        dry = undefined;
        return JSON.stringify({ type: 'dryRunReport', id, subscription, ...report });
      } catch (error) {
        // It goes on, and may be finished again.
        return errorFrame(tell(error), id);
      }
    },
    close() {
      closing.abort();
      dry?.run.release();
    },
  };
};
