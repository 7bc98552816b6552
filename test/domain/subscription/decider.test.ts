import test from 'ava';
import { subscriptionDecider } from '../../../domain/subscription/decider.ts';
import type {
  Owner,
  SubscriptionCommand,
  SubscriptionEvent,
  SubscriptionState,
} from '../../../domain/subscription/subscription.ts';
import { by, given } from '../../support/given.ts';
import { positionAt } from '../../support/recorded.ts';
import {
  letterAt,
  refAt,
  settings,
  wasCreated,
  wasDeadLettered,
  wasDeleted,
  wasRedriven,
  wereDiscarded,
} from '../../support/subscription-samples.ts';

const first: Owner = { node: 'n1', epoch: 'e1' };
const later: Owner = { node: 'n1', epoch: 'e2' };
const other: Owner = { node: 'n2', epoch: 'e1' };
const reason = 'release';

const create = (changes: Partial<typeof settings> = {}, from = positionAt(3)): SubscriptionCommand => ({
  type: 'CreateSubscription',
  name: 'billing',
  from,
  settings: { ...settings, ...changes },
});
const wasTaken = (owner: Owner | null) =>
  by<SubscriptionEvent>('system', { type: 'SubscriptionUpdated', data: { changes: {}, owner } });
const wasPaused = by<SubscriptionEvent>('ann', { type: 'SubscriptionPaused', data: { reason } });
const wasResumed = by<SubscriptionEvent>('ann', { type: 'SubscriptionResumed', data: { reason } });

/** One of each command that needs a subscription. */
const onLive: readonly SubscriptionCommand[] = [
  { type: 'DeleteSubscription', reason },
  { type: 'PauseSubscription', reason },
  { type: 'ResumeSubscription', reason },
  { type: 'ResetSubscription', to: positionAt(1) },
  { type: 'TakeSubscription', owner: first, instead: null },
  { type: 'DeadLetterMessages', owner: null, created: 0, letters: [letterAt(4)], removals: 0 },
  { type: 'RedriveDeadLetters', letters: [refAt(4, 1)], through: positionAt(9), removals: 0 },
  { type: 'DiscardDeadLetters', letters: [refAt(4, 1)], through: positionAt(9), removals: 0 },
  {
    type: 'ReplayMessages',
    replay: { replayId: 'r', topic: 'orders.>', from: positionAt(1), to: positionAt(9), speed: 0 },
  },
  { type: 'StopReplays', replays: [{ replayId: 'r', request: 1 }] },
];

for (const command of onLive) {
  test(`${command.type} › of a subscription that never was, or was deleted, is not found`, (t) => {
    given(t, subscriptionDecider).when(command).thenRejected({ code: 'not_found' });
    given(t, subscriptionDecider, wasCreated, wasDeleted).when(command).thenRejected({ code: 'not_found' });
  });
}

test('create › of a name that is free begins where it is told, with its settings', (t) => {
  given(t, subscriptionDecider).when(create()).thenEvents(wasCreated.event);
  given(t, subscriptionDecider, wasCreated, wasDeleted).when(create()).thenEvents(wasCreated.event);
});

test('create › keeps of the settings only what are some', (t) => {
  const wide: SubscriptionCommand = {
    type: 'CreateSubscription',
    name: 'billing',
    from: positionAt(3),
    settings: Object.assign({ foreign: true }, settings),
  };
  given(t, subscriptionDecider).when(wide).thenEvents(wasCreated.event);
});

test('create › of one that is there records the settings that differ, and never moves it', (t) => {
  given(t, subscriptionDecider, wasCreated)
    .when(create({ maxDeliver: 7, backoffMs: [1_000] }, positionAt(8)))
    .thenEvents({ type: 'SubscriptionUpdated', data: { changes: { maxDeliver: 7, backoffMs: [1_000] } } });
});

test('create › again with the same settings changes nothing, paused or not', (t) => {
  given(t, subscriptionDecider, wasCreated).when(create()).thenEvents();
  given(t, subscriptionDecider, wasCreated, wasPaused).when(create()).thenEvents();
});

test('delete › records why, and the name is free again', (t) => {
  given(t, subscriptionDecider, wasCreated)
    .when({ type: 'DeleteSubscription', reason })
    .thenEvents({ type: 'SubscriptionDeleted', data: { reason } });
  given(t, subscriptionDecider, wasCreated, wasDeleted).thenState({ status: 'deleted' });
});

test('pause and resume › change the status, and say nothing when it is so already', (t) => {
  const pause: SubscriptionCommand = { type: 'PauseSubscription', reason };
  const resume: SubscriptionCommand = { type: 'ResumeSubscription', reason };
  given(t, subscriptionDecider, wasCreated).when(pause).thenEvents(wasPaused.event);
  given(t, subscriptionDecider, wasCreated, wasPaused).when(pause).thenEvents();
  given(t, subscriptionDecider, wasCreated, wasPaused).when(resume).thenEvents(wasResumed.event);
  given(t, subscriptionDecider, wasCreated).when(resume).thenEvents();
  given(t, subscriptionDecider, wasCreated, wasPaused, wasResumed).when(resume).thenEvents();
});

test('reset › records the place, of a paused one too, and each time it is asked', (t) => {
  const reset: SubscriptionCommand = { type: 'ResetSubscription', to: positionAt(1) };
  const wasReset: SubscriptionEvent = { type: 'SubscriptionReset', data: { to: positionAt(1) } };
  given(t, subscriptionDecider, wasCreated).when(reset).thenEvents(wasReset);
  given(t, subscriptionDecider, wasCreated, wasPaused, by('ann', wasReset)).when(reset).thenEvents(wasReset);
});

test('take › gives the subscription to a node in place of the owner that it names', (t) => {
  given(t, subscriptionDecider, wasCreated)
    .when({ type: 'TakeSubscription', owner: first, instead: null })
    .thenEvents(wasTaken(first).event);
  given(t, subscriptionDecider, wasCreated, wasTaken(first))
    .when({ type: 'TakeSubscription', owner: other, instead: first })
    .thenEvents(wasTaken(other).event);
  given(t, subscriptionDecider, wasCreated, wasTaken(first))
    .when({ type: 'TakeSubscription', owner: null, instead: first })
    .thenEvents(wasTaken(null).event);
});

test('take › by whoever has it already says nothing', (t) => {
  given(t, subscriptionDecider, wasCreated, wasTaken(first))
    .when({ type: 'TakeSubscription', owner: first, instead: null })
    .thenEvents();
});

test('take › in place of another than the owner of this moment is refused with that owner', (t) => {
  for (const instead of [null, later, other]) {
    given(t, subscriptionDecider, wasCreated, wasTaken(first))
      .when({ type: 'TakeSubscription', owner: { node: 'n3', epoch: 'e1' }, instead })
      .thenRejected({ code: 'not_owner', owner: first });
  }
});

test('dead-letter › by the owner records a letter each, in their order', (t) => {
  given(t, subscriptionDecider, wasCreated, wasTaken(first))
    .when({
      type: 'DeadLetterMessages',
      owner: first,
      created: 0,
      letters: [letterAt(5), letterAt(4)],
      removals: 0,
    })
    .thenEvents(wasDeadLettered(5).event, wasDeadLettered(4).event);
});

test('dead-letter › by an owner that was replaced is refused, also one of the same node under an older lease', (t) => {
  for (const owner of [null, first, other]) {
    given(t, subscriptionDecider, wasCreated, wasTaken(first), wasTaken(later))
      .when({ type: 'DeadLetterMessages', owner, created: 0, letters: [letterAt(4)], removals: 0 })
      .thenRejected({ code: 'not_owner', owner: later });
  }
});

test('dead-letter › that rests on a list that another one has changed since is refused: what it replaces may be gone', (t) => {
  given(t, subscriptionDecider, wasCreated, wasDeadLettered(4), wasRedriven(refAt(4, 1)))
    .when({
      type: 'DeadLetterMessages',
      owner: null,
      created: 0,
      letters: [{ ...letterAt(4), replaces: true }],
      removals: 0,
    })
    .thenRejected({ code: 'stale_list', removals: 1 });
});

test('dead-letter › of what an earlier subscription of the name delivered is not found', (t) => {
  given(t, subscriptionDecider, wasCreated, wasDeleted, wasCreated)
    .when({ type: 'DeadLetterMessages', owner: null, created: 0, letters: [letterAt(4)], removals: 0 })
    .thenRejected({ code: 'not_found' });
  given(t, subscriptionDecider, wasCreated, wasDeleted, wasCreated)
    .when({ type: 'DeadLetterMessages', owner: null, created: 2, letters: [letterAt(4)], removals: 0 })
    .thenEvents(wasDeadLettered(4).event);
});

test('dead-letter › on a list of letters that has changed since is refused, and says by how much', (t) => {
  const letters = [refAt(4, 1)];
  const redrive = { letters, through: positionAt(9) };
  given(
    t,
    subscriptionDecider,
    wasCreated,
    wasDeadLettered(4),
    by('ann', { type: 'DeadLettersRedriven', data: redrive }),
  )
    .when({ type: 'DeadLetterMessages', owner: null, created: 0, letters: [letterAt(5)], removals: 0 })
    .thenRejected({ code: 'stale_list', removals: 1 });
});

test('redrive › records the letters, with the payload only where one was given', (t) => {
  const letters = [refAt(4, 1)];
  const redrive = { type: 'RedriveDeadLetters', letters, through: positionAt(9), removals: 0 } as const;
  given(t, subscriptionDecider, wasCreated, wasDeadLettered(4))
    .when(redrive)
    .thenEvents({ type: 'DeadLettersRedriven', data: { letters, through: positionAt(9) } });
  given(t, subscriptionDecider, wasCreated, wasDeadLettered(4))
    .when({ ...redrive, payload: null })
    .thenEvents({ type: 'DeadLettersRedriven', data: { letters, through: positionAt(9), payload: null } });
});

test('discard › records the letters', (t) => {
  const letters = [refAt(4, 1)];
  given(t, subscriptionDecider, wasCreated, wasDeadLettered(4))
    .when({ type: 'DiscardDeadLetters', letters, through: positionAt(9), removals: 0 })
    .thenEvents({ type: 'DeadLettersDiscarded', data: { letters, through: positionAt(9) } });
});

for (const type of ['RedriveDeadLetters', 'DiscardDeadLetters'] as const) {
  test(`${type} › of no letter says nothing`, (t) => {
    given(t, subscriptionDecider, wasCreated)
      .when({ type, letters: [], through: positionAt(9), removals: 0 })
      .thenEvents();
  });

  test(`${type} › picked from a list that another one has changed since is refused, so that no letter goes twice`, (t) => {
    const letters = [refAt(4, 1)];
    for (const removed of [wasRedriven(refAt(4, 1)), wereDiscarded(refAt(4, 1))]) {
      given(t, subscriptionDecider, wasCreated, wasDeadLettered(4), removed)
        .when({ type, letters, through: positionAt(9), removals: 0 })
        .thenRejected({ code: 'stale_list', removals: 1 });
      t.true(
        subscriptionDecider.decide(
          { type, letters, through: positionAt(9), removals: 1 },
          { ...live, removals: 1 },
        ).ok,
      );
    }
  });
}

test('replay › is recorded as it was ordered', (t) => {
  const replay = { replayId: 'r', topic: 'orders.>', from: positionAt(1), to: positionAt(9), speed: 2 };
  given(t, subscriptionDecider, wasCreated)
    .when({ type: 'ReplayMessages', replay })
    .thenEvents({ type: 'ReplayRequested', data: replay });
  const replays = [{ replayId: 'r', request: 1 }];
  given(t, subscriptionDecider, wasCreated)
    .when({ type: 'StopReplays', replays })
    .thenEvents({ type: 'ReplaysStopped', data: { replays } });
  given(t, subscriptionDecider, wasCreated).when({ type: 'StopReplays', replays: [] }).thenEvents();
});

const live: Extract<SubscriptionState, { readonly settings: unknown }> = {
  status: 'active',
  created: 0,
  settings,
  owner: null,
  removals: 0,
};

test('state › is that of the newest creation, with what came since', (t) => {
  given(t, subscriptionDecider, wasCreated).thenState(live);
  given(
    t,
    subscriptionDecider,
    wasCreated,
    by('ann', { type: 'SubscriptionUpdated', data: { changes: { topic: 'orders.>', order: 'key' } } }),
    wasTaken(first),
    wasPaused,
    wasDeadLettered(4),
    wasRedriven(refAt(4, 4)),
  ).thenState({
    status: 'paused',
    created: 0,
    settings: { ...settings, topic: 'orders.>', order: 'key' },
    owner: first,
    removals: 1,
  });
  given(t, subscriptionDecider, wasCreated, wasTaken(first), wasPaused, wasDeleted, wasCreated).thenState({
    ...live,
    created: 4,
  });
});

test('state › what comes behind the end of a subscription changes nothing', (t) => {
  given(t, subscriptionDecider, wasCreated, wasDeleted, wasPaused, wasTaken(first)).thenState({
    status: 'deleted',
  });
  given(t, subscriptionDecider, wasPaused).thenState({ status: 'none' });
});
