import type { EventShape } from '../catalog.ts';
import { priorities } from '../message/message.ts';
import {
  type CheckpointEvent,
  deliveryOrders,
  type SubscriptionEvent,
  type SubscriptionSettings,
} from './subscription.ts';

type Data = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const isData = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText: Check = (value) => typeof value === 'string';
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isOptionalTrue: Check = (value) => value === undefined || value === true;
const isOptionalText: Check = (value) => value === undefined || isText(value);
const isListOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

const orderNames: ReadonlySet<unknown> = new Set(deliveryOrders);
const priorityNames: ReadonlySet<unknown> = new Set(priorities);

const settingChecks: { readonly [Name in keyof SubscriptionSettings]: Check } = {
  topic: isText,
  ackWaitMs: isCount,
  maxDeliver: isCount,
  backoffMs: isListOf(isCount),
  maxInFlight: isCount,
  order: (value) => orderNames.has(value),
};

/** Name of the first property that fails its check. */
const faultOf = (data: Data, checks: Readonly<Record<string, Check>>): string | undefined =>
  Object.keys(checks).find((name) => checks[name]?.(data[name]) !== true);

const isOwner: Check = (value) =>
  value === null || (isData(value) && isText(value.node) && isText(value.epoch));
const isFailure: Check = (value) => isData(value) && isText(value.at) && isText(value.reason);
const isLetterRef: Check = (value) =>
  isData(value) && isText(value.messageId) && isText(value.position) && isCount(value.letter);
const isMessageCopy: Check = (value) =>
  isData(value) &&
  faultOf(value, {
    messageId: isText,
    topic: isText,
    payload: (payload) => payload !== undefined,
    priority: (priority) => priorityNames.has(priority),
    key: isOptionalText,
    headers: (headers) => isData(headers) && Object.values(headers).every(isText),
    publishedAt: isText,
    publisher: isText,
    position: isText,
  }) === undefined;

const createdChecks = { ...settingChecks, name: isText, from: isText };
const letterChecks = {
  messageId: isText,
  position: isText,
  attempts: isCount,
  error: isText,
  errors: isListOf(isFailure),
  redrives: isCount,
  replaces: isOptionalTrue,
  replay: isOptionalTrue,
  message: isMessageCopy,
};
const refsChecks = { letters: isListOf(isLetterRef), through: isText };
const replayChecks = { replayId: isText, topic: isText, from: isText, to: isText, speed: Number.isFinite };
const isReplayRef: Check = (value) => isData(value) && isText(value.replayId) && isCount(value.request);

const updatedFault = ({ changes, owner }: Data): string | undefined => {
  if (!isData(changes)) return 'changes';
  for (const [name, check] of Object.entries(settingChecks)) {
    if (changes[name] !== undefined && !check(changes[name])) return `changes/${name}`;
  }
  return owner === undefined || isOwner(owner) ? undefined : 'owner';
};

const shape = (checks: Readonly<Record<string, Check>>): EventShape => ({
  category: 'subscription',
  fault: (data) => faultOf(data, checks),
});

export const subscriptionShapes: {
  readonly [Type in (SubscriptionEvent | CheckpointEvent)['type']]: EventShape;
} = {
  SubscriptionCreated: shape(createdChecks),
  SubscriptionUpdated: { category: 'subscription', fault: updatedFault },
  SubscriptionPaused: shape({ reason: isText }),
  SubscriptionResumed: shape({ reason: isText }),
  SubscriptionReset: shape({ to: isText }),
  SubscriptionDeleted: shape({ reason: isText }),
  MessageDeadLettered: shape(letterChecks),
  DeadLettersRedriven: shape(refsChecks),
  DeadLettersDiscarded: shape(refsChecks),
  ReplayRequested: shape(replayChecks),
  ReplaysStopped: shape({ replays: isListOf(isReplayRef) }),
  SubscriptionCheckpointed: {
    category: 'checkpoint',
    fault: (data) =>
      faultOf(data, { created: isCount, owner: isOwner, state: (state) => state !== undefined }),
  },
};
