import type { Json } from '../../../domain/event.ts';
import type { PluginLimits, PluginPermissions } from '../../../domain/plugin/manifest.ts';
import type { Clock } from '../../clock.ts';
import { type Problem, problem } from '../../errors.ts';
import { problemOf } from '../../gateway/problem.ts';
import { newId } from '../../ids.ts';
import type { Logger } from '../../logger.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import type { Targets } from '../../registry/target/targets.ts';
import type { CallAnswer, CallTarget, LimitName, Wish, WishAnswer } from '../sandbox/sandbox.ts';
import { refusalOf, refuse } from './answers.ts';
import { createWishBudget, tellingSeldom } from './budget.ts';
import { createDeliveries } from './deliveries.ts';
import { createPluginFetch } from './fetch.ts';
import { createGrants, parseWish, type WishRequest } from './grants.ts';
import { createOperations } from './operations.ts';
import { exceeds } from './sizes.ts';

/** Wishes of one plugin that are being carried out. */
const maxUnderWay = 256;

/** The operations that plugins are clients of. */
export type HubOperations = Pick<
  NexusCore,
  | 'execute'
  | 'state'
  | 'states'
  | 'services'
  | 'invoke'
  | 'watchMessages'
  | 'watchState'
  | 'consume'
  | 'settle'
  | 'denied'
>;

export type CapabilitiesOptions = {
  readonly hub: HubOperations;
  /** The plugin's. */
  readonly name: string;
  /** Asked for and granted, both. */
  readonly permissions: PluginPermissions;
  readonly limits: PluginLimits;
  /**
   * As `Guest.call`. Subscriptions are made while `initialize` runs, so it is called before `Sandbox.start` has resolved:
   * such a call waits for that.
   */
  call(target: CallTarget, input: Json, timeoutMs: number): Promise<CallAnswer>;
  /** As `GuestHost.limited`. */
  limited(limit: LimitName, detail: string): void;
  /** Told of each wish that was not granted. */
  refused(operation: string): void;
  /** The hub's; what a plugin fetches is held to `granted` of it. */
  readonly targets: Targets;
  readonly clock: Clock;
  readonly logger: Logger;
};

/** What one life of a guest is given by the hub: as `GuestHost.wish`, and the subscriptions and watches that it has made. */
export type Capabilities = {
  /** Never rejects. After `stop` everything is refused. */
  wish(wish: Wish): Promise<WishAnswer>;
  /** The part of `stop` that concerns messages and changes; wishes go on, for `shutdown()` to end its work with. */
  quiet(): Promise<void>;
  /**
   * From here on no further message or change is handed over; for a guest that is gone, or is being replaced. Resolves
   * once what was being handled is settled, and the rest given back: nothing of a durable subscription is lost.
   */
  stop(): Promise<void>;
};

export const createCapabilities = (options: CapabilitiesOptions): Capabilities => {
  const { hub, name, permissions, limits, clock, logger } = options;
  const { subject, missing } = createGrants(name, permissions);
  const budget = createWishBudget(limits.callsPerSec, clock.now);
  const limited = tellingSeldom(options.limited, clock.now);
  const gone = new AbortController();
  const context = (): Context => ({ subject, correlationId: newId() });
  const deliveries = createDeliveries({ ...options, limited, context });
  const outgoing = createPluginFetch({ targets: options.targets.granted, limits, clock, limited });
  const run = createOperations({
    hub,
    context,
    deliveries,
    outgoing,
    maxBytes: limits.messageBytes,
    gone: gone.signal,
  });
  let underWay = 0;

  const refused = (operation: string, found: Problem): WishAnswer => {
    options.refused(operation);
    hub.denied(found, { subject: subject.id });
    return refusalOf(found);
  };

  const checked = async (wish: Wish): Promise<WishAnswer> => {
    const request = parseWish(wish);
    if (!request.ok) return refusalOf(request.problem);
    return carryOut(request.value);
  };

  const carryOut = async (request: WishRequest): Promise<WishAnswer> => {
    const scope = missing(request);
    if (scope !== undefined) {
      return refused(
        request.operation,
        problem('forbidden', `the plugin was not granted ${scope}`, { scope }),
      );
    }
    const answer = await run(request);
    if (!answer.ok) {
      if (answer.code === 'not_granted') options.refused(request.operation);
      return answer;
    }
    if (!exceeds(answer.value, limits.messageBytes)) return answer;
    const detail = `the answer to ${request.operation} is larger than ${limits.messageBytes} bytes`;
    limited('messageBytes', detail);
    return refuse('limit_exceeded', detail);
  };

  return {
    async wish(wish) {
      if (gone.signal.aborted) return refuse('shutting_down', 'the plugin is being stopped');
      if (!budget.take()) {
        const detail = `more than ${limits.callsPerSec} calls in a second`;
        limited('callsPerSec', detail);
        return refuse('limit_exceeded', detail);
      }
      if (underWay >= maxUnderWay) {
        return refuse('overloaded', `${maxUnderWay} calls of the plugin are under way`);
      }
      underWay += 1;
      try {
        return await checked(wish);
      } catch (error) {
        return refusalOf(problemOf(error, logger));
      } finally {
        underWay -= 1;
      }
    },
    quiet: deliveries.stop,
    async stop() {
      gone.abort();
      await Promise.all([deliveries.stop(), outgoing.stop()]);
    },
  };
};
