import type { Json } from '../event.ts';
import type { Priority } from '../message/message.ts';

export const deliveryOrders = ['none', 'key'] as const;
/** `key`: messages of one key and priority are delivered one after another, while keys run in parallel. */
export type DeliveryOrder = (typeof deliveryOrders)[number];

/** What a durable subscription delivers, and how. */
export type SubscriptionSettings = {
  /** A topic pattern. */
  readonly topic: string;
  /** A delivery that is neither acknowledged nor extended for so long has failed. */
  readonly ackWaitMs: number;
  /** Failed attempts after which a message is a dead letter. */
  readonly maxDeliver: number;
  /** The n-th failed attempt waits the n-th of these, and the last one from then on. */
  readonly backoffMs: readonly number[];
  /** Deliveries that may be unsettled at once, those that wait for their next attempt included. */
  readonly maxInFlight: number;
  readonly order: DeliveryOrder;
};

/** The node that serves a subscription, and which of its leases it does so under. */
export type Owner = { readonly node: string; readonly epoch: string };

/** One failed attempt. */
export type Failure = { readonly at: string; readonly reason: string };

/** A message as it stood in the log, so that a dead letter outlives it. */
export type MessageCopy = {
  readonly messageId: string;
  readonly topic: string;
  readonly payload: Json;
  readonly priority: Priority;
  readonly key?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly publishedAt: string;
  readonly publisher: string;
  readonly position: string;
};

/** A message that was given up, with everything that happened to it; `message` is the copy that was delivered last. */
export type DeadLetter = {
  readonly messageId: string;
  /** Of the message in the log: with the subscription's name it names the dead letter. */
  readonly position: string;
  /** Failed attempts, those before a redrive included. */
  readonly attempts: number;
  /** The last failure's reason. */
  readonly error: string;
  /** The newest failures, oldest first. */
  readonly errors: readonly Failure[];
  /** How often it was redriven before. */
  readonly redrives: number;
  /** A letter of the same message stands there already, of a replay or from before a reset. */
  readonly replaces?: true;
  /** It was delivered by a replay: the subscription's own delivery of the message is another matter. */
  readonly replay?: true;
  readonly message: MessageCopy;
};

/** Names one dead letter: `letter` is the revision of its newest MessageDeadLettered in the subscription's stream. */
export type LetterRef = { readonly messageId: string; readonly position: string; readonly letter: number };

/** A stretch of history, delivered again to one subscription. */
export type ReplayOrder = {
  readonly replayId: string;
  readonly topic: string;
  /** Exclusive. */
  readonly from: string;
  /** Inclusive. */
  readonly to: string;
  /** 0: as fast as they are taken; 1: at the pace of their publishing; 2: twice that. */
  readonly speed: number;
};

/** Names one replay: `request` is the revision of its ReplayRequested in the subscription's stream. */
export type ReplayRef = { readonly replayId: string; readonly request: number };

export type SubscriptionEvent =
  | {
      readonly type: 'SubscriptionCreated';
      readonly data: SubscriptionSettings & {
        readonly name: string;
        /** Position behind which messages are delivered. */
        readonly from: string;
      };
    }
  | {
      readonly type: 'SubscriptionUpdated';
      readonly data: {
        readonly changes: Partial<SubscriptionSettings>;
        /** Another node serves it from now on; null: whichever process holds the log. */
        readonly owner?: Owner | null;
      };
    }
  | { readonly type: 'SubscriptionPaused'; readonly data: { readonly reason: string } }
  | { readonly type: 'SubscriptionResumed'; readonly data: { readonly reason: string } }
  | { readonly type: 'SubscriptionReset'; readonly data: { readonly to: string } }
  | { readonly type: 'SubscriptionDeleted'; readonly data: { readonly reason: string } }
  | { readonly type: 'MessageDeadLettered'; readonly data: DeadLetter }
  | {
      readonly type: 'DeadLettersRedriven';
      readonly data: {
        readonly letters: readonly LetterRef[];
        /** Only what was dead at or before it was meant. */
        readonly through: string;
        /** In place of the messages' own. */
        readonly payload?: Json;
      };
    }
  | {
      readonly type: 'DeadLettersDiscarded';
      readonly data: { readonly letters: readonly LetterRef[]; readonly through: string };
    }
  | { readonly type: 'ReplayRequested'; readonly data: ReplayOrder }
  /** Nothing more is read for them; those that are over already are named in vain. */
  | { readonly type: 'ReplaysStopped'; readonly data: { readonly replays: readonly ReplayRef[] } };

/** Stands in `checkpoint-{name}`, of which only the newest is kept. `state` is src/bus/subscription's own. */
export type CheckpointEvent = {
  readonly type: 'SubscriptionCheckpointed';
  readonly data: {
    /** Revision of the SubscriptionCreated that it belongs to. */
    readonly created: number;
    readonly owner: Owner | null;
    readonly state: Json;
  };
};

export type SubscriptionCommand =
  /** Makes the subscription, or changes the settings of the one that is there (`from` is for a new one). */
  | {
      readonly type: 'CreateSubscription';
      readonly name: string;
      readonly from: string;
      readonly settings: SubscriptionSettings;
    }
  | { readonly type: 'DeleteSubscription'; readonly reason: string }
  | { readonly type: 'PauseSubscription'; readonly reason: string }
  | { readonly type: 'ResumeSubscription'; readonly reason: string }
  | { readonly type: 'ResetSubscription'; readonly to: string }
  /** `instead` is the owner that is known to be gone: another one is not pushed aside. */
  | { readonly type: 'TakeSubscription'; readonly owner: Owner | null; readonly instead: Owner | null }
  | {
      readonly type: 'DeadLetterMessages';
      readonly owner: Owner | null;
      /** Revision of the SubscriptionCreated under which they were delivered. */
      readonly created: number;
      readonly letters: readonly DeadLetter[];
      /** As many redrives and discards the letters' `replaces` rests on. */
      readonly removals: number;
    }
  /** `removals`: as many redrives and discards the list rests on that the letters were picked from. */
  | {
      readonly type: 'RedriveDeadLetters';
      readonly letters: readonly LetterRef[];
      readonly through: string;
      readonly removals: number;
      readonly payload?: Json;
    }
  | {
      readonly type: 'DiscardDeadLetters';
      readonly letters: readonly LetterRef[];
      readonly through: string;
      readonly removals: number;
    }
  | { readonly type: 'ReplayMessages'; readonly replay: ReplayOrder }
  | { readonly type: 'StopReplays'; readonly replays: readonly ReplayRef[] };

export type SubscriptionRejection =
  | { readonly code: 'not_found' }
  | { readonly code: 'not_owner'; readonly owner: Owner | null }
  /** Dead letters were redriven or discarded since they were listed: list them again. */
  | { readonly code: 'stale_list'; readonly removals: number };

export type SubscriptionState =
  | { readonly status: 'none' }
  | { readonly status: 'deleted' }
  | {
      readonly status: 'active' | 'paused';
      /** Revision of its SubscriptionCreated: tells it from one of the same name that was deleted. */
      readonly created: number;
      readonly settings: SubscriptionSettings;
      readonly owner: Owner | null;
      readonly removals: number;
    };
