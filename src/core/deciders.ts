import { decodeEvent } from '../../domain/catalog.ts';
import { type LogEvent, type StreamId, streamKey } from '../../domain/event.ts';
import { interfaceDecider } from '../../domain/interface/decider.ts';
import type {
  InterfaceCommand,
  InterfaceEvent,
  InterfaceRejection,
  InterfaceState,
} from '../../domain/interface/interface.ts';
import { pluginDecider } from '../../domain/plugin/decider.ts';
import type { PluginCommand, PluginEvent, PluginRejection, PluginState } from '../../domain/plugin/plugin.ts';
import { retentionDecider } from '../../domain/retention/decider.ts';
import type {
  RetentionCommand,
  RetentionEvent,
  RetentionRejection,
  RetentionState,
} from '../../domain/retention/retention.ts';
import { serviceDecider } from '../../domain/service/decider.ts';
import type {
  ServiceCommand,
  ServiceEvent,
  ServiceRejection,
  ServiceState,
} from '../../domain/service/service.ts';
import { stateDecider } from '../../domain/state/decider.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from '../../domain/state/state.ts';
import { statePolicyDecider } from '../../domain/state-policy/decider.ts';
import type {
  StatePolicyCommand,
  StatePolicyEvent,
  StatePolicyRejection,
  StatePolicyState,
} from '../../domain/state-policy/policy.ts';
import { subscriptionDecider } from '../../domain/subscription/decider.ts';
import type {
  SubscriptionCommand,
  SubscriptionEvent,
  SubscriptionRejection,
  SubscriptionState,
} from '../../domain/subscription/subscription.ts';
import type {
  InterfaceDocument,
  PluginDocument,
  RetentionDocument,
  ServiceDocument,
  StateDocument,
  StatePoliciesDocument,
  SubscriptionDocument,
} from '../../projections/documents.ts';
import { restoreInterface } from '../../projections/interfaces.ts';
import { plugins, restorePlugin } from '../../projections/plugins.ts';
import { restoreRetention } from '../../projections/retention.ts';
import { restoreService } from '../../projections/services.ts';
import { restoreState } from '../../projections/state.ts';
import { restoreStatePolicies, statePolicies } from '../../projections/state-policies.ts';
import { restoreSubscription } from '../../projections/subscriptions.ts';
import type { Handled } from '../command/stream-states.ts';
import { LogError } from '../log/event-log.ts';
import type { Runner } from '../projection/runner.ts';

const knownEvent = (event: LogEvent) => {
  const decoded = decodeEvent(event);
  // A decision must not rest on a stream that cannot be read whole.
  if (!decoded.ok) throw new LogError('log_corrupt', decoded.reason, { stream: event.stream });
  return decoded.known ? decoded.event : undefined;
};

const serviceEvent = (event: LogEvent): ServiceEvent | undefined => {
  const known = knownEvent(event);
  switch (known?.type) {
    case 'ServiceRegistered':
    case 'ServiceUpdated':
    case 'ServiceStatusChanged':
    case 'ServiceDeregistered':
    case 'CircuitOpened':
    case 'CircuitClosed':
    case 'ServiceAttached':
      return known;
    default:
      return undefined;
  }
};

const stateEvent = (event: LogEvent): StateEvent | undefined => {
  const known = knownEvent(event);
  return known?.type === 'StateSet' || known?.type === 'StateDeleted' ? known : undefined;
};

const subscriptionEvent = (event: LogEvent): SubscriptionEvent | undefined => {
  const known = knownEvent(event);
  switch (known?.type) {
    case 'SubscriptionCreated':
    case 'SubscriptionUpdated':
    case 'SubscriptionPaused':
    case 'SubscriptionResumed':
    case 'SubscriptionReset':
    case 'SubscriptionDeleted':
    case 'MessageDeadLettered':
    case 'DeadLettersRedriven':
    case 'DeadLettersDiscarded':
    case 'ReplayRequested':
    case 'ReplaysStopped':
      return known;
    default:
      return undefined;
  }
};

const retentionEvent = (event: LogEvent): RetentionEvent | undefined => {
  const known = knownEvent(event);
  return known?.type === 'RetentionSet' || known?.type === 'RetentionRemoved' ? known : undefined;
};

const statePolicyEvent = (event: LogEvent): StatePolicyEvent | undefined => {
  const known = knownEvent(event);
  return known?.type === 'StatePolicySet' || known?.type === 'StatePolicyRemoved' ? known : undefined;
};

const interfaceEvent = (event: LogEvent): InterfaceEvent | undefined => {
  const known = knownEvent(event);
  return known?.type === 'InterfaceDeclared' || known?.type === 'InterfaceRetired' ? known : undefined;
};

const pluginEvent = (event: LogEvent): PluginEvent | undefined => {
  const known = knownEvent(event);
  switch (known?.type) {
    case 'PluginInstalled':
    case 'PluginEnabled':
    case 'PluginDisabled':
    case 'PluginFailed':
    case 'PluginLimitExceeded':
      return known;
    default:
      return undefined;
  }
};

/** The deciders, each with the read model that spares it folding a whole stream. */
export const createDeciders = (runner: Runner) => {
  const service: Handled<ServiceState, ServiceCommand, ServiceEvent, ServiceRejection> = {
    decider: serviceDecider,
    decode: serviceEvent,
    restore: (stream: StreamId) => {
      const document = runner.store.read<ServiceDocument>('services', streamKey(stream));
      return document && { state: restoreService(document), revision: document.revision };
    },
  };
  const state: Handled<StateState, StateCommand, StateEvent, StateRejection> = {
    decider: stateDecider,
    decode: stateEvent,
    restore: (stream: StreamId) => {
      const document = runner.store.read<StateDocument>('state', streamKey(stream));
      return document && { state: restoreState(document), revision: document.version - 1 };
    },
  };
  const subscription: Handled<
    SubscriptionState,
    SubscriptionCommand,
    SubscriptionEvent,
    SubscriptionRejection
  > = {
    decider: subscriptionDecider,
    decode: subscriptionEvent,
    restore: (stream: StreamId) => {
      const document = runner.store.read<SubscriptionDocument>('subscriptions', streamKey(stream));
      return document && { state: restoreSubscription(document), revision: document.revision };
    },
  };
  const retention: Handled<RetentionState, RetentionCommand, RetentionEvent, RetentionRejection> = {
    decider: retentionDecider,
    decode: retentionEvent,
    restore: (stream: StreamId) => {
      const document = runner.store.read<RetentionDocument>('retention', streamKey(stream));
      return document && { state: restoreRetention(document), revision: document.revision };
    },
  };
  const statePolicy: Handled<StatePolicyState, StatePolicyCommand, StatePolicyEvent, StatePolicyRejection> = {
    decider: statePolicyDecider,
    decode: statePolicyEvent,
    restore: (stream: StreamId) => {
      const document = runner.store.read<StatePoliciesDocument>(statePolicies.name, streamKey(stream));
      return document && { state: restoreStatePolicies(document), revision: document.revision };
    },
  };
  const interfaces: Handled<InterfaceState, InterfaceCommand, InterfaceEvent, InterfaceRejection> = {
    decider: interfaceDecider,
    decode: interfaceEvent,
    restore: (stream: StreamId) => {
      const document = runner.store.read<InterfaceDocument>('interfaces', streamKey(stream));
      return document && { state: restoreInterface(document), revision: document.revision };
    },
  };
  const plugin: Handled<PluginState, PluginCommand, PluginEvent, PluginRejection> = {
    decider: pluginDecider,
    decode: pluginEvent,
    restore: (stream: StreamId) => {
      const document = runner.store.read<PluginDocument>(plugins.name, streamKey(stream));
      return document && { state: restorePlugin(document), revision: document.revision };
    },
  };
  return { service, state, subscription, retention, statePolicy, interfaces, plugin };
};

export type Deciders = ReturnType<typeof createDeciders>;
