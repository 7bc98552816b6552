import { accept, type Decider, type Decision, reject, unreachable } from '../decider.ts';
import { changedFields, fieldsOf, recordedFields, withChanges } from './fields.ts';
import type {
  ServiceActor,
  ServiceCommand,
  ServiceEvent,
  ServiceFields,
  ServiceRejection,
  ServiceState,
} from './service.ts';
import { isNews } from './status.ts';

type Answer = Decision<ServiceEvent, ServiceRejection>;

const mayActOn = (owner: string, actor: ServiceActor): boolean => actor.admin || actor.subject === owner;

/** A service that nobody probes and that sends no heartbeats is taken at its word. */
const registered = (id: string, fields: ServiceFields): ServiceEvent => {
  const trusted = fields.healthCheckUrl === null && fields.ttlSec === null && fields.reach === 'direct';
  return {
    type: 'ServiceRegistered',
    data: {
      ...recordedFields(fields),
      id,
      status: trusted ? 'healthy' : 'starting',
      reason: trusted
        ? 'registered'
        : fields.reach === 'socket'
          ? 'registered, waiting for its WebSocket'
          : 'registered, waiting for the first probe or heartbeat',
    },
  };
};

const update = (fields: ServiceFields, wanted: Partial<ServiceFields>): Answer => {
  const changes = changedFields(fields, wanted);
  return changes === undefined ? accept() : accept({ type: 'ServiceUpdated', data: { changes } });
};

const register = (command: ServiceCommand & { type: 'RegisterService' }, state: ServiceState): Answer => {
  if (state.status === 'unregistered') return accept(registered(command.id, command.fields));
  if (!mayActOn(state.owner, command.actor)) return reject({ code: 'id_taken', owner: state.owner });
  return state.status === 'registered'
    ? update(state.fields, command.fields)
    : accept(registered(command.id, command.fields));
};

/**
 * One registered instance: the stream `service-{id}`.
 *
 * The id belongs to the subject that registered it, also after it was deregistered: another one is refused with
 * `id_taken`, unless it is an admin. An admin who registers a deregistered id becomes its owner; one who changes a
 * registered instance does not. Registering again keeps the status and records only what changed.
 */
export const serviceDecider: Decider<ServiceState, ServiceCommand, ServiceEvent, ServiceRejection> = {
  initial: { status: 'unregistered' },

  decide(command, state) {
    if (command.type === 'RegisterService') return register(command, state);
    if (state.status !== 'registered') return reject({ code: 'not_found' });
    if (!mayActOn(state.owner, command.actor)) return reject({ code: 'id_taken', owner: state.owner });
    switch (command.type) {
      case 'UpdateService':
        return update(state.fields, command.changes);
      case 'ChangeServiceStatus':
        return isNews(
          { status: command.to, cause: command.cause },
          { status: state.health, cause: state.cause },
        )
          ? accept({
              type: 'ServiceStatusChanged',
              data: { from: state.health, to: command.to, reason: command.reason, cause: command.cause },
            })
          : accept();
      case 'DeregisterService':
        return accept({ type: 'ServiceDeregistered', data: { reason: command.reason } });
      case 'OpenCircuit':
        return state.openUntil !== undefined && state.openUntil >= command.until
          ? accept()
          : accept({ type: 'CircuitOpened', data: { reason: command.reason, until: command.until } });
      case 'CloseCircuit':
        return state.openUntil === undefined
          ? accept()
          : accept({ type: 'CircuitClosed', data: { reason: command.reason } });
      case 'AttachService':
        return state.servedBy === command.node
          ? accept()
          : accept({ type: 'ServiceAttached', data: { node: command.node } });
      default:
        return unreachable(command);
    }
  },

  evolve(state, event, recorded) {
    if (event.type === 'ServiceRegistered') {
      const { data } = event;
      return {
        status: 'registered',
        owner: recorded.actor,
        health: data.status,
        cause: 'registration',
        fields: fieldsOf(data),
        openUntil: undefined,
        servedBy: null,
      };
    }
    // Retention may have taken the registration: what follows it changes nothing that is known.
    if (state.status !== 'registered') return state;
    switch (event.type) {
      case 'ServiceUpdated':
        return { ...state, fields: withChanges(state.fields, event.data.changes) };
      case 'ServiceStatusChanged':
        return { ...state, health: event.data.to, cause: event.data.cause ?? null };
      case 'ServiceDeregistered':
        return { status: 'deregistered', owner: state.owner };
      case 'CircuitOpened':
        return { ...state, openUntil: event.data.until };
      case 'CircuitClosed':
        return { ...state, openUntil: undefined };
      case 'ServiceAttached':
        return { ...state, servedBy: event.data.node };
      default:
        return unreachable(event);
    }
  },
};
