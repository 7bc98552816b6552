import { decodeEvent } from '../../domain/catalog.ts';
import { type LogEvent, type StreamId, streamKey } from '../../domain/event.ts';
import { serviceDecider } from '../../domain/service/decider.ts';
import type {
  ServiceCommand,
  ServiceEvent,
  ServiceRejection,
  ServiceState,
} from '../../domain/service/service.ts';
import { stateDecider } from '../../domain/state/decider.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from '../../domain/state/state.ts';
import type { ServiceDocument, StateDocument } from '../../projections/documents.ts';
import { restoreService } from '../../projections/services.ts';
import { restoreState } from '../../projections/state.ts';
import type { Handled } from '../command/handle.ts';
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
      return known;
    default:
      return undefined;
  }
};

const stateEvent = (event: LogEvent): StateEvent | undefined => {
  const known = knownEvent(event);
  return known?.type === 'StateSet' || known?.type === 'StateDeleted' ? known : undefined;
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
  return { service, state };
};

export type Deciders = ReturnType<typeof createDeciders>;
