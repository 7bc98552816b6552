import type { Subject } from '../../../domain/access.ts';
import { ok, type Problem, type Result } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Channel, PushedCall } from '../../registry/socket/channel.ts';
import type { FrameId } from './frame.ts';
import { errorFrame } from './mutate.ts';
import type { Outbox } from './outbox.ts';
import type { ServiceFrame } from './service-frames.ts';

export type ServicesOptions = {
  readonly core: Pick<NexusCore, 'openServing' | 'heartbeat'>;
  readonly outbox: Outbox;
  readonly tell: (error: unknown) => Problem;
};

type FrameOf<Type extends ServiceFrame['type']> = ServiceFrame & { readonly type: Type };

/** The services that send heartbeats, or are called, over one socket. */
export type Services = {
  /** Takes effect before this returns. Answers an error, or what came of it when the frame has an id. Never rejects. */
  heartbeat(frame: FrameOf<'heartbeat'>, id: FrameId | undefined, subject: Subject): Promise<void>;
  /** Begins to serve and confirms it, or answers an error. Never rejects. */
  serve(frame: FrameOf<'serve'>, id: FrameId | undefined, subject: Subject): Promise<void>;
  /** An answer that nobody waits for any more is told, and no fault of the frame; a fault is one. */
  take(frame: FrameOf<'stopServing' | 'answerCall'>, id: FrameId | undefined): Result<undefined>;
  authorise(subject: Subject): void;
  /** Gives out no further call, and resolves when those under way have ended. */
  drain(): Promise<void>;
  close(): void;
};

/** The data of a call is JSON already. */
const callFrame = ({ body, ...call }: PushedCall): string =>
  `${JSON.stringify({ type: 'call', ...call }).slice(0, -1)},"data":${body}}`;

export const createServices = ({ core, outbox, tell }: ServicesOptions): Services => {
  let stopId: FrameId | undefined;
  const channel: Channel = {
    get full() {
      return outbox.full;
    },
    drained: () => outbox.drained(),
    push: (call) => outbox.send(callFrame(call)),
    cancel: (call) => outbox.send(JSON.stringify({ type: 'callCancelled', call })),
    ended: (service, reason) =>
      outbox.send(JSON.stringify({ type: 'servingEnded', id: stopId, service, reason })),
  };
  const serving = core.openServing(channel);

  return {
    async heartbeat({ service, data }, id, subject) {
      try {
        const heard = await core.heartbeat(service, data, { subject, correlationId: newId() });
        if (!heard.ok) outbox.send(errorFrame(heard.problem, id));
        else if (id !== undefined)
          outbox.send(JSON.stringify({ type: 'result', id, service, ...heard.value }));
      } catch (error) {
        outbox.send(errorFrame(tell(error), id));
      }
    },
    async serve({ data }, id, subject) {
      try {
        const served = await serving.serve(data, { subject, correlationId: newId() });
        if (!served.ok) return outbox.send(errorFrame(served.problem, id));
        outbox.send(JSON.stringify({ type: 'serving', id, ...served.value }));
      } catch (error) {
        outbox.send(errorFrame(tell(error), id));
      }
    },
    take(frame, id) {
      if (frame.type === 'stopServing') {
        stopId = id;
        const stopped = serving.stop(frame.service);
        stopId = undefined;
        return stopped;
      }
      const taken = serving.answer(frame.call, frame.answer);
      if (taken.ok || taken.problem.code !== 'stale_call') return taken;
      outbox.send(errorFrame(taken.problem, id));
      return ok(undefined);
    },
    authorise: (subject) => serving.authorise({ subject, correlationId: newId() }),
    drain: serving.drain,
    close: serving.close,
  };
};
