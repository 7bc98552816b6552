import fc from 'fast-check';
import { priorities } from '../../domain/message/message.ts';
import {
  type DeadLetter,
  deliveryOrders,
  type LetterRef,
  type Owner,
  type ReplayOrder,
  type ReplayRef,
  type SubscriptionCommand,
  type SubscriptionEvent,
  type SubscriptionSettings,
} from '../../domain/subscription/subscription.ts';
import { anyJson } from './arbitraries.ts';
import { positionAt } from './recorded.ts';

export const subscriptionName = 'billing';

export const anySettings: fc.Arbitrary<SubscriptionSettings> = fc.record({
  topic: fc.constantFrom('orders.>', 'orders.*'),
  ackWaitMs: fc.constantFrom(1_000, 30_000),
  maxDeliver: fc.integer({ min: 1, max: 5 }),
  backoffMs: fc.array(fc.constantFrom(0, 1_000), { minLength: 1, maxLength: 2 }),
  maxInFlight: fc.constantFrom(1, 1_000),
  order: fc.constantFrom(...deliveryOrders),
});

const anyChanges: fc.Arbitrary<Partial<SubscriptionSettings>> = anySettings.chain((settings) =>
  fc
    .subarray(Object.entries(settings))
    .map((entries): Partial<SubscriptionSettings> => Object.fromEntries(entries)),
);

const anyOwner = fc.constantFrom<(Owner | null)[]>(
  null,
  { node: 'n1', epoch: 'e1' },
  { node: 'n1', epoch: 'e2' },
  { node: 'n2', epoch: 'e1' },
);
const anyReason = fc.constantFrom('operator', 'release');
const anyPlace = fc.nat({ max: 20 }).map((place) => positionAt(place));
const anyMessageId = fc.constantFrom('m1', 'm2', 'm3');

const anyLetter: fc.Arbitrary<DeadLetter> = fc
  .record({
    messageId: anyMessageId,
    position: anyPlace,
    attempts: fc.integer({ min: 1, max: 9 }),
    error: fc.constantFrom('no stock', 'timed out'),
    redrives: fc.nat({ max: 2 }),
    replaces: fc.boolean(),
    payload: anyJson,
    priority: fc.constantFrom(...priorities),
  })
  .map(({ payload, priority, replaces, ...letter }) => ({
    ...letter,
    ...(replaces ? { replaces } : {}),
    errors: [{ at: '2026-01-01T00:00:00.000Z', reason: letter.error }],
    message: {
      messageId: letter.messageId,
      topic: 'orders.created',
      payload,
      priority,
      headers: {},
      publishedAt: '2026-01-01T00:00:00.000Z',
      publisher: 'ann',
      position: letter.position,
    },
  }));

const anyRefs: fc.Arbitrary<readonly LetterRef[]> = fc.uniqueArray(
  fc.record({ messageId: anyMessageId, position: anyPlace, letter: fc.nat({ max: 20 }) }),
  { maxLength: 3, selector: ({ position }) => position },
);

const anyRemovals = fc.nat({ max: 3 });

const anyReplay: fc.Arbitrary<ReplayOrder> = fc.record({
  replayId: fc.uuid(),
  topic: fc.constant('orders.>'),
  from: anyPlace,
  to: anyPlace,
  speed: fc.constantFrom(0, 1, 2.5),
});

const anyReplayRefs: fc.Arbitrary<readonly ReplayRef[]> = fc.array(
  fc.record({ replayId: fc.uuid(), request: fc.nat({ max: 20 }) }),
  { maxLength: 3 },
);

/** With as much in it as an event or a command of this type may leave out. */
const anyRedrive = fc
  .tuple(anyRefs, anyPlace, fc.option(anyJson, { nil: undefined }))
  .map(([letters, through, payload]) =>
    payload === undefined ? { letters, through } : { letters, through, payload },
  );

export const anySubscriptionCommand: fc.Arbitrary<SubscriptionCommand> = fc.oneof(
  fc.tuple(anySettings, anyPlace).map(
    ([settings, from]): SubscriptionCommand => ({
      type: 'CreateSubscription',
      name: subscriptionName,
      from,
      settings,
    }),
  ),
  fc
    .tuple(fc.constantFrom('DeleteSubscription', 'PauseSubscription', 'ResumeSubscription'), anyReason)
    .map(([type, reason]): SubscriptionCommand => ({ type, reason })),
  anyPlace.map((to): SubscriptionCommand => ({ type: 'ResetSubscription', to })),
  fc
    .tuple(anyOwner, anyOwner)
    .map(([owner, instead]): SubscriptionCommand => ({ type: 'TakeSubscription', owner, instead })),
  fc.tuple(anyOwner, fc.nat({ max: 3 }), fc.array(anyLetter, { maxLength: 3 }), anyRemovals).map(
    ([owner, created, letters, removals]): SubscriptionCommand => ({
      type: 'DeadLetterMessages',
      owner,
      created,
      letters,
      removals,
    }),
  ),
  fc
    .tuple(anyRedrive, anyRemovals)
    .map(([data, removals]): SubscriptionCommand => ({ type: 'RedriveDeadLetters', ...data, removals })),
  fc.tuple(anyRefs, anyPlace, anyRemovals).map(
    ([letters, through, removals]): SubscriptionCommand => ({
      type: 'DiscardDeadLetters',
      letters,
      through,
      removals,
    }),
  ),
  anyReplay.map((replay): SubscriptionCommand => ({ type: 'ReplayMessages', replay })),
  anyReplayRefs.map((replays): SubscriptionCommand => ({ type: 'StopReplays', replays })),
);

/** Any events in any order, such as a truncated stream may hold, not only what the decider would record. */
export const anySubscriptionEvent: fc.Arbitrary<SubscriptionEvent> = fc.oneof(
  fc.tuple(anySettings, anyPlace).map(
    ([settings, from]): SubscriptionEvent => ({
      type: 'SubscriptionCreated',
      data: { ...settings, name: subscriptionName, from },
    }),
  ),
  fc.tuple(anyChanges, fc.option(anyOwner, { nil: undefined })).map(
    ([changes, owner]): SubscriptionEvent => ({
      type: 'SubscriptionUpdated',
      data: owner === undefined ? { changes } : { changes, owner },
    }),
  ),
  fc
    .tuple(fc.constantFrom('SubscriptionPaused', 'SubscriptionResumed', 'SubscriptionDeleted'), anyReason)
    .map(([type, reason]): SubscriptionEvent => ({ type, data: { reason } })),
  anyPlace.map((to): SubscriptionEvent => ({ type: 'SubscriptionReset', data: { to } })),
  anyLetter.map((data): SubscriptionEvent => ({ type: 'MessageDeadLettered', data })),
  anyRedrive.map((data): SubscriptionEvent => ({ type: 'DeadLettersRedriven', data })),
  fc.tuple(anyRefs, anyPlace).map(
    ([letters, through]): SubscriptionEvent => ({
      type: 'DeadLettersDiscarded',
      data: { letters, through },
    }),
  ),
  anyReplay.map((data): SubscriptionEvent => ({ type: 'ReplayRequested', data })),
  anyReplayRefs.map((replays): SubscriptionEvent => ({ type: 'ReplaysStopped', data: { replays } })),
);
