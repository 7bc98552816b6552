import { accept, type Decider, type Decision, reject, unreachable } from '../decider.ts';
import { sameJson } from '../json.ts';
import { changedSettings, settingsOf, withSettings } from './settings.ts';
import type {
  Owner,
  SubscriptionCommand,
  SubscriptionEvent,
  SubscriptionRejection,
  SubscriptionState,
} from './subscription.ts';

type Answer = Decision<SubscriptionEvent, SubscriptionRejection>;
type Live = Extract<SubscriptionState, { readonly settings: unknown }>;
type Create = Extract<SubscriptionCommand, { readonly type: 'CreateSubscription' }>;

const isLive = (state: SubscriptionState): state is Live =>
  state.status === 'active' || state.status === 'paused';

const sameOwner = (left: Owner | null, right: Owner | null): boolean => sameJson(left, right);

const create = ({ name, from, settings }: Create, state: SubscriptionState): Answer => {
  if (!isLive(state)) {
    return accept({ type: 'SubscriptionCreated', data: { ...settingsOf(settings), name, from } });
  }
  const changes = changedSettings(state.settings, settings);
  return changes === undefined ? accept() : accept({ type: 'SubscriptionUpdated', data: { changes } });
};

const decideOnLive = (command: Exclude<SubscriptionCommand, Create>, state: Live): Answer => {
  switch (command.type) {
    case 'DeleteSubscription':
      return accept({ type: 'SubscriptionDeleted', data: { reason: command.reason } });
    case 'PauseSubscription':
      return state.status === 'paused'
        ? accept()
        : accept({ type: 'SubscriptionPaused', data: { reason: command.reason } });
    case 'ResumeSubscription':
      return state.status === 'active'
        ? accept()
        : accept({ type: 'SubscriptionResumed', data: { reason: command.reason } });
    case 'ResetSubscription':
      return accept({ type: 'SubscriptionReset', data: { to: command.to } });
    case 'TakeSubscription':
      if (sameOwner(state.owner, command.owner)) return accept();
      return sameOwner(state.owner, command.instead)
        ? accept({ type: 'SubscriptionUpdated', data: { changes: {}, owner: command.owner } })
        : reject({ code: 'not_owner', owner: state.owner });
    case 'DeadLetterMessages':
      if (!sameOwner(state.owner, command.owner)) return reject({ code: 'not_owner', owner: state.owner });
      if (state.created !== command.created) return reject({ code: 'not_found' });
      if (state.removals !== command.removals)
        return reject({ code: 'stale_list', removals: state.removals });
      return accept(
        ...command.letters.map((data): SubscriptionEvent => ({ type: 'MessageDeadLettered', data })),
      );
    case 'RedriveDeadLetters': {
      const { letters, through, payload } = command;
      if (state.removals !== command.removals)
        return reject({ code: 'stale_list', removals: state.removals });
      if (letters.length === 0) return accept();
      const data = payload === undefined ? { letters, through } : { letters, through, payload };
      return accept({ type: 'DeadLettersRedriven', data });
    }
    case 'DiscardDeadLetters': {
      const { letters, through } = command;
      if (state.removals !== command.removals)
        return reject({ code: 'stale_list', removals: state.removals });
      return letters.length === 0
        ? accept()
        : accept({ type: 'DeadLettersDiscarded', data: { letters, through } });
    }
    case 'ReplayMessages':
      return accept({ type: 'ReplayRequested', data: command.replay });
    case 'StopReplays':
      return command.replays.length === 0
        ? accept()
        : accept({ type: 'ReplaysStopped', data: { replays: command.replays } });
    default:
      return unreachable(command);
  }
};

/**
 * One durable subscription: the stream `subscription-{name}`.
 *
 * Who serves it is part of the state (docs/adr/0015-ownership.md): what an owner that was replaced still wants to record
 * is refused, however late it comes. Creating one that exists changes its settings; a deleted name is free again.
 */
export const subscriptionDecider: Decider<
  SubscriptionState,
  SubscriptionCommand,
  SubscriptionEvent,
  SubscriptionRejection
> = {
  initial: { status: 'none' },

  decide(command, state) {
    if (command.type === 'CreateSubscription') return create(command, state);
    return isLive(state) ? decideOnLive(command, state) : reject({ code: 'not_found' });
  },

  evolve(state, event, recorded) {
    if (event.type === 'SubscriptionCreated') {
      return {
        status: 'active',
        created: recorded.revision,
        settings: settingsOf(event.data),
        owner: null,
        removals: 0,
      };
    }
    if (!isLive(state)) return state;
    switch (event.type) {
      case 'SubscriptionUpdated': {
        const { changes, owner = state.owner } = event.data;
        return { ...state, settings: withSettings(state.settings, changes), owner };
      }
      case 'SubscriptionPaused':
        return { ...state, status: 'paused' };
      case 'SubscriptionResumed':
        return { ...state, status: 'active' };
      case 'SubscriptionDeleted':
        return { status: 'deleted' };
      case 'DeadLettersRedriven':
      case 'DeadLettersDiscarded':
        return { ...state, removals: state.removals + 1 };
      case 'SubscriptionReset':
      case 'MessageDeadLettered':
      case 'ReplayRequested':
      case 'ReplaysStopped':
        return state;
      default:
        return unreachable(event);
    }
  },
};
