import test from 'ava';
import fc from 'fast-check';
import type { Decider } from '../../domain/decider.ts';
import { asRevision } from '../../domain/event.ts';
import { interfaceDecider } from '../../domain/interface/decider.ts';
import { messageDecider } from '../../domain/message/decider.ts';
import { pluginDecider } from '../../domain/plugin/decider.ts';
import { retentionDecider } from '../../domain/retention/decider.ts';
import { serviceDecider } from '../../domain/service/decider.ts';
import { currentVersion, stateDecider } from '../../domain/state/decider.ts';
import { statePolicyDecider } from '../../domain/state-policy/decider.ts';
import { subscriptionDecider } from '../../domain/subscription/decider.ts';
import {
  anyActor,
  anyInterfaceCommand,
  anyInterfaceEvent,
  anyMessageEvent,
  anyRetentionCommand,
  anyRetentionEvent,
  anyServiceCommand,
  anyServiceEvent,
  historyOf,
  seeded,
} from '../support/arbitraries.ts';
import { frozen } from '../support/frozen.ts';
import { type By, by, foldAll } from '../support/given.ts';
import { anyPluginCommand, anyPluginEvent } from '../support/plugin-arbitraries.ts';
import { anyStateCommand, anyStateEvent } from '../support/state-arbitraries.ts';
import { anyStatePolicyCommand, anyStatePolicyEvent } from '../support/state-policy-arbitraries.ts';
import { anySubscriptionCommand, anySubscriptionEvent } from '../support/subscription-arbitraries.ts';

/** The laws that hold for every decider, whatever the history and the commands. */
const laws = <State, Command extends { readonly type: string }, Event, Rejection>(
  name: string,
  decider: Decider<State, Command, Event, Rejection>,
  anyCommand: fc.Arbitrary<Command>,
  anyEvent: fc.Arbitrary<Event>,
) => {
  test(`${name} › decide answers on every state and throws on none`, (t) => {
    const property = fc.property(historyOf(anyEvent), anyCommand, (history, command) => {
      const state = frozen(foldAll(decider, history));
      const first = decider.decide(frozen(command), state);
      t.deepEqual(decider.decide(command, state), first);
    });
    t.notThrows(() => fc.assert(property, seeded));
  });

  test(`${name} › folding the same history twice gives equal states and mutates nothing`, (t) => {
    const property = fc.property(historyOf(anyEvent), (history) => {
      const once = foldAll(decider, frozen(history));
      const twice = history.reduce<State>(
        (state, { actor, event }, index) =>
          decider.evolve(frozen(state), event, { revision: asRevision(index), actor }),
        decider.initial,
      );
      t.deepEqual(twice, once);
    });
    t.notThrows(() => fc.assert(property, seeded));
  });

  test(`${name} › a rebuild from what was recorded equals the live state`, (t) => {
    const commands = fc.array(fc.tuple(anyActor, anyCommand), { maxLength: 20 });
    const property = fc.property(commands, (steps) => {
      let live = decider.initial;
      const recorded: By<Event>[] = [];
      for (const [actor, command] of steps) {
        const decision = decider.decide(command, live);
        if (!decision.ok) continue;
        for (const event of decision.events) {
          live = decider.evolve(live, event, { revision: asRevision(recorded.length), actor });
          recorded.push(by(actor, event));
        }
      }
      t.deepEqual(foldAll(decider, recorded), live);
    });
    t.notThrows(() => fc.assert(property, seeded));
  });
};

laws('service', serviceDecider, anyServiceCommand, anyServiceEvent);
laws('interface', interfaceDecider, anyInterfaceCommand, anyInterfaceEvent);
laws('state', stateDecider, anyStateCommand, anyStateEvent);
laws('subscription', subscriptionDecider, anySubscriptionCommand, anySubscriptionEvent);
laws('retention', retentionDecider, anyRetentionCommand, anyRetentionEvent);
laws('state policy', statePolicyDecider, anyStatePolicyCommand, anyStatePolicyEvent);
laws('plugin', pluginDecider, anyPluginCommand, anyPluginEvent);
laws(
  'message',
  messageDecider,
  anyMessageEvent.map(({ data }) => ({ type: 'PublishMessage' as const, ...data })),
  anyMessageEvent,
);

test('service › a command that was accepted changes nothing when it is repeated at once', (t) => {
  const property = fc.property(historyOf(anyServiceEvent), anyServiceCommand, (history, command) => {
    if (command.type === 'DeregisterService') return;
    const decision = serviceDecider.decide(command, foldAll(serviceDecider, history));
    if (!decision.ok) return;
    const after = foldAll(serviceDecider, [
      ...history,
      ...decision.events.map((event) => by(command.actor.subject, event)),
    ]);
    t.deepEqual(serviceDecider.decide(command, after), { ok: true, events: [] });
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('service › whoever is neither owner nor admin changes nothing, ever', (t) => {
  const property = fc.property(historyOf(anyServiceEvent), anyServiceCommand, (history, command) => {
    const state = foldAll(serviceDecider, history);
    const decision = serviceDecider.decide(command, state);
    const foreign =
      state.status !== 'unregistered' && state.owner !== command.actor.subject && !command.actor.admin;
    t.true(!foreign || !decision.ok);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('state › the version counts every event, deletions too, also behind what was truncated', (t) => {
  const property = fc.property(historyOf(anyStateEvent), fc.nat({ max: 1_000 }), (history, truncated) => {
    const state = foldAll(stateDecider, history, truncated);
    t.is(state.version, history.length === 0 ? 0 : truncated + history.length);
    t.is(currentVersion(state), state.exists ? state.version : 0);
    t.is(state.exists, history.at(-1)?.event.type === 'StateSet');
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('state › a put is accepted exactly when its expectation is the current version, and nobody holds the key', (t) => {
  const property = fc.property(historyOf(anyStateEvent), fc.nat({ max: 13 }), (history, expectedVersion) => {
    const state = foldAll(stateDecider, history);
    const { ok } = stateDecider.decide({ type: 'SetState', value: 1, expectedVersion }, state);
    t.is(ok, expectedVersion === currentVersion(state) && state.lock === undefined);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('subscription › only its owner records dead letters, and only of the one that is there and on the list as it is', (t) => {
  const property = fc.property(
    historyOf(anySubscriptionEvent),
    anySubscriptionCommand,
    (history, command) => {
      if (command.type !== 'DeadLetterMessages') return;
      const state = foldAll(subscriptionDecider, history);
      const mine =
        'owner' in state &&
        state.created === command.created &&
        state.removals === command.removals &&
        state.owner?.node === command.owner?.node &&
        state.owner?.epoch === command.owner?.epoch &&
        state.removals === command.removals;
      t.is(subscriptionDecider.decide(command, state).ok, mine);
    },
  );
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 2_000 }));
});

test('subscription › of two removals that rest on the same list only the first is recorded', (t) => {
  const property = fc.property(
    historyOf(anySubscriptionEvent),
    anySubscriptionCommand,
    (history, command) => {
      if (command.type !== 'RedriveDeadLetters' && command.type !== 'DiscardDeadLetters') return;
      const first = subscriptionDecider.decide(command, foldAll(subscriptionDecider, history));
      if (!first.ok || first.events.length === 0) return;
      const after = [...history, ...first.events.map((event) => by('ann', event))];
      const second = subscriptionDecider.decide(command, foldAll(subscriptionDecider, after));
      t.is(second.ok ? undefined : second.rejection.code, 'stale_list');
    },
  );
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 2_000 }));
});
