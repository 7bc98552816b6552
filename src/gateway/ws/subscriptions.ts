import type { Subject } from '../../../domain/access.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { NexusCore } from '../../nexus-core.ts';
import { feed, openSource } from './feed.ts';
import type { FollowFrame, FrameId, Selector } from './frame.ts';
import { errorFrame } from './mutate.ts';
import type { Outbox } from './outbox.ts';

export type SubscriptionsOptions = {
  readonly core: NexusCore;
  readonly outbox: Outbox;
  readonly tell: (error: unknown) => Problem;
  readonly max: number;
};

/** What one socket follows. */
export type Subscriptions = {
  /** Begins to follow and confirms it, or answers an error; what it brings flows from then on by itself. */
  follow(frame: FollowFrame, id: FrameId | undefined, subject: Subject): Promise<void>;
  unsubscribe(subscription: string): Result<{ readonly type: 'unsubscribed'; readonly subscription: string }>;
  /** Ends, with an error frame each, what `subject` may no longer follow. */
  authorise(subject: Subject): Promise<void>;
  close(): void;
};

type Open = { readonly selector: Selector; readonly controller: AbortController };

export const createSubscriptions = ({ core, outbox, tell, max }: SubscriptionsOptions): Subscriptions => {
  const open = new Map<string, Open>();
  let made = 0;
  let closed = false;

  const nextName = (): string => {
    for (;;) {
      const name = `s${++made}`;
      if (!open.has(name)) return name;
    }
  };

  const end = (subscription: string, entry: Open): void => {
    if (open.get(subscription) === entry) open.delete(subscription);
    entry.controller.abort();
  };

  const follow = async (frame: FollowFrame, id: FrameId | undefined, subject: Subject): Promise<void> => {
    if (closed) return;
    if (open.size >= max) {
      const detail = `One connection may have ${max} subscriptions`;
      return outbox.send(errorFrame(problem('rate_limited', detail), id));
    }
    if (frame.subscription !== undefined && open.has(frame.subscription)) {
      const detail = '/subscription: the connection has one of this name';
      return outbox.send(errorFrame(problem('invalid', detail), id));
    }
    const subscription = frame.subscription ?? nextName();
    const entry: Open = { selector: frame.selector, controller: new AbortController() };
    const { signal } = entry.controller;
    open.set(subscription, entry);
    try {
      const source = await openSource(
        core,
        frame.selector,
        { after: frame.after, signal },
        { subject, correlationId: newId() },
      );
      if (!source.ok) {
        end(subscription, entry);
        return outbox.send(errorFrame(source.problem, id));
      }
      const { watch, confirmType, facts } = source.value;
      outbox.send(
        JSON.stringify({ type: confirmType, id, subscription, ...facts, position: watch.position }),
      );
      const done = feed({
        source: source.value,
        subscription,
        outbox,
        signal,
        tellCaughtUp: frame.after !== undefined,
      });
      void done.then(
        () => ended(subscription, entry, problem('shutting_down', 'The hub no longer follows the log')),
        (error: unknown) => ended(subscription, entry, tell(error)),
      );
    } catch (error) {
      end(subscription, entry);
      outbox.send(errorFrame(tell(error), id));
    }
  };

  /** The watch ended by itself: the client is told that nothing more will come. */
  const ended = (subscription: string, entry: Open, why: Problem): void => {
    if (entry.controller.signal.aborted) return;
    end(subscription, entry);
    outbox.send(errorFrame(why, undefined, subscription));
  };

  return {
    follow,
    unsubscribe: (subscription) => {
      const entry = open.get(subscription);
      if (entry === undefined)
        return fault(problem('not_found', 'The connection has no subscription of this name'));
      end(subscription, entry);
      return ok({ type: 'unsubscribed', subscription });
    },
    authorise: async (subject) => {
      for (const [subscription, entry] of [...open]) {
        const probe = new AbortController();
        const source = await openSource(
          core,
          entry.selector,
          { signal: probe.signal },
          { subject, correlationId: newId() },
        ).catch((error: unknown) => fault(tell(error)));
        probe.abort();
        if (!source.ok && source.problem.code === 'forbidden') ended(subscription, entry, source.problem);
      }
    },
    close: () => {
      closed = true;
      for (const [subscription, entry] of [...open]) end(subscription, entry);
    },
  };
};
