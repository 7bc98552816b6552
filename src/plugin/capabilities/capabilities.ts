import type { Json } from '../../../domain/event.ts';
import type { PluginLimits, PluginPermissions } from '../../../domain/plugin/manifest.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Targets } from '../../registry/target/targets.ts';
import type { CallAnswer, CallTarget, LimitName, Wish, WishAnswer } from '../sandbox/sandbox.ts';

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
  | 'subscription'
  | 'consume'
  | 'settle'
  | 'giveBack'
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
