import type { Subject } from '../../../domain/access.ts';
import { fault, invalid, ok, type Problem, problem, type Result } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import type { Settlement } from '../../nexus-subscriptions.ts';
import { type Consumer, deliver, type Leaving, openConsumer, whyEnded } from './consumer.ts';
import { feed, openSource } from './feed.ts';
import type { Flow } from './flow.ts';
import type { FollowFrame, FrameId, Selector } from './frame.ts';
import { errorFrame } from './mutate.ts';
import type { Outbox } from './outbox.ts';
import type { Replays } from './replays.ts';

export type SubscriptionsOptions = {
  readonly core: NexusCore;
  readonly outbox: Outbox;
  readonly replays: Replays;
  readonly tell: (error: unknown) => Problem;
  readonly max: number;
};

/** What one socket follows. */
export type Subscriptions = {
  /** Begins to follow and confirms it, or answers an error; what it brings flows from then on by itself. */
  follow(frame: FollowFrame, id: FrameId | undefined, subject: Subject): Promise<void>;
  unsubscribe(subscription: string): Result<{ readonly type: 'unsubscribed'; readonly subscription: string }>;
  /** The consumer that was sent the delivery and has not settled it; it holds it no more, unless it is extended. */
  take(delivery: string, how: Settlement): Consumer | undefined;
  /** Ends, with an error frame each, what `subject` may no longer follow. */
  authorise(subject: Subject): Promise<void>;
  /** Ends everything, consumers once `settled` has resolved: then what the client settled before is over. */
  close(leaving: Leaving, settled?: Promise<void>): void;
};

type Open = { readonly selector: Selector; readonly controller: AbortController; consumer?: Consumer };

export const createSubscriptions = (options: SubscriptionsOptions): Subscriptions => {
  const { core, outbox, replays, tell, max } = options;
  const open = new Map<string, Open>();
  let made = 0;
  let closed = false;

  const nextName = (): string => {
    for (;;) {
      const name = `s${++made}`;
      if (!open.has(name)) return name;
    }
  };

  const end = (subscription: string, entry: Open, leaving: Leaving): void => {
    if (open.get(subscription) === entry) open.delete(subscription);
    entry.controller.abort(leaving);
  };

  const begin = async (
    { selector, after }: FollowFrame,
    subscription: string,
    signal: AbortSignal,
    context: Context,
  ): Promise<Result<Flow>> => {
    if (selector.kind === 'replay') {
      const hasConsumers = [...open.values()].some(({ consumer }) => consumer !== undefined);
      // What it would settle is settled in truth.
      if (selector.dryRun && hasConsumers) return invalid('/dryRun', 'is not for a connection that consumes');
      return replays.begin(selector, subscription, signal, context);
    }
    if (selector.kind === 'group') {
      if (replays.isDry) return invalid('/group', 'is not for a connection in a dry run');
      const consumer = await openConsumer(core, selector, signal, context);
      if (!consumer.ok) return consumer;
      const { group, consumption } = consumer.value;
      const { topic, position } = consumption;
      return ok({
        confirmation: { type: 'subscribed', topic, group, position },
        consumer: consumer.value,
        run: () => deliver(consumer.value, subscription, outbox, signal),
        why: () => whyEnded(core, group, context),
      });
    }
    const source = await openSource(core, selector, { after, signal }, context);
    if (!source.ok) return source;
    const { watch, confirmType, facts } = source.value;
    const tellCaughtUp = after !== undefined;
    return ok({
      confirmation: { type: confirmType, ...facts, position: watch.position },
      run: () => feed({ source: source.value, subscription, outbox, signal, tellCaughtUp }),
      why: () => Promise.resolve(problem('shutting_down', 'The hub no longer follows the log')),
    });
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
      const flow = await begin(frame, subscription, signal, { subject, correlationId: newId() });
      if (!flow.ok) {
        end(subscription, entry, 'released');
        return outbox.send(errorFrame(flow.problem, id));
      }
      const { consumer } = flow.value;
      if (consumer !== undefined) entry.consumer = consumer;
      const { type, ...facts } = flow.value.confirmation;
      outbox.send(JSON.stringify({ type, id, subscription, ...facts }));
      void flowing(subscription, entry, flow.value);
    } catch (error) {
      end(subscription, entry, 'released');
      outbox.send(errorFrame(tell(error), id));
    }
  };

  const flowing = async (subscription: string, entry: Open, { run, why }: Flow): Promise<void> => {
    const { signal } = entry.controller;
    try {
      await run();
      if (!signal.aborted) ended(subscription, entry, await why());
    } catch (error) {
      if (!signal.aborted) ended(subscription, entry, tell(error));
    }
  };

  /** It ended by itself: the client is told that nothing more will come, unless that was said already. */
  const ended = (subscription: string, entry: Open, why: Problem | undefined): void => {
    if (entry.controller.signal.aborted) return;
    end(subscription, entry, 'released');
    if (why !== undefined) outbox.send(errorFrame(why, undefined, subscription));
  };

  const ask = (selector: Selector, signal: AbortSignal, context: Context): Promise<Result<unknown>> => {
    switch (selector.kind) {
      case 'group':
        return core.subscription(selector.group, context);
      case 'replay':
        return core.replay(selector.data, signal, context);
      default:
        return openSource(core, selector, { signal }, context);
    }
  };

  /** The refusal of what `context`'s subject may not follow. */
  const refusalOf = async (selector: Selector, context: Context): Promise<Problem | undefined> => {
    const probe = new AbortController();
    const found = await ask(selector, probe.signal, context);
    probe.abort();
    return found.ok || found.problem.code !== 'forbidden' ? undefined : found.problem;
  };

  return {
    follow,
    unsubscribe: (subscription) => {
      const entry = open.get(subscription);
      if (entry === undefined)
        return fault(problem('not_found', 'The connection has no subscription of this name'));
      end(subscription, entry, 'released');
      return ok({ type: 'unsubscribed', subscription });
    },
    take: (delivery, how) => {
      for (const { consumer } of open.values()) {
        if (consumer?.held.settle(delivery, how) === true) return consumer;
      }
      return undefined;
    },
    authorise: async (subject) => {
      for (const [subscription, entry] of [...open]) {
        const context = { subject, correlationId: newId() };
        const refusal = await refusalOf(entry.selector, context).catch(() => undefined);
        if (refusal !== undefined) ended(subscription, entry, refusal);
      }
    },
    close: (leaving, settled) => {
      closed = true;
      const groups: (readonly [string, Open])[] = [];
      for (const [subscription, entry] of [...open]) {
        if (entry.selector.kind === 'group' && settled !== undefined) groups.push([subscription, entry]);
        else end(subscription, entry, leaving);
      }
      void settled?.then(() => {
        for (const [subscription, entry] of groups) end(subscription, entry, leaving);
      });
    },
  };
};
