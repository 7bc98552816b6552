import test from 'ava';
import { serviceDecider } from '../../../domain/service/decider.ts';
import { recordedFields } from '../../../domain/service/fields.ts';
import { defaultPolicy } from '../../../domain/service/policy.ts';
import type {
  ServiceActor,
  ServiceCommand,
  ServiceEvent,
  ServiceFields,
} from '../../../domain/service/service.ts';
import { by, given } from '../../support/given.ts';

const ann: ServiceActor = { subject: 'ann', admin: false };
const bob: ServiceActor = { subject: 'bob', admin: false };
const root: ServiceActor = { subject: 'root', admin: true };

const fields: ServiceFields = {
  name: 'memory',
  version: '1.0.0',
  host: '127.0.0.1',
  port: 4000,
  protocol: 'http',
  capabilities: ['store', 'search'],
  healthCheckUrl: null,
  ttlSec: null,
  weight: 1,
  tags: [],
  metadata: { region: { name: 'eu', zone: 1 } },
  ...defaultPolicy,
};

const register = (actor: ServiceActor, changes: Partial<ServiceFields> = {}): ServiceCommand => ({
  type: 'RegisterService',
  id: 'memory-1',
  fields: { ...fields, ...changes },
  actor,
});
const registered: ServiceEvent = {
  type: 'ServiceRegistered',
  data: { ...recordedFields(fields), id: 'memory-1', status: 'healthy', reason: 'registered' },
};
const waiting = 'registered, waiting for the first probe or heartbeat';
const deregistered: ServiceEvent = { type: 'ServiceDeregistered', data: { reason: 'gone' } };
const deregister = (actor: ServiceActor): ServiceCommand => ({
  type: 'DeregisterService',
  reason: 'gone',
  actor,
});
const drained: ServiceEvent = {
  type: 'ServiceStatusChanged',
  data: { from: 'healthy', to: 'draining', reason: 'deploy', cause: 'operator' },
};
const drain = (actor: ServiceActor): ServiceCommand => ({
  type: 'ChangeServiceStatus',
  to: 'draining',
  reason: 'deploy',
  cause: 'operator',
  actor,
});
const update = (actor: ServiceActor, changes: Partial<ServiceFields>): ServiceCommand => ({
  type: 'UpdateService',
  changes,
  actor,
});

test('register › without a health check and a time to live is healthy at once', (t) => {
  given(t, serviceDecider).when(register(ann)).thenEvents(registered);
});

for (const proof of [{ ttlSec: 30 }, { healthCheckUrl: 'http://127.0.0.1:4000/health' }]) {
  test(`register › with ${Object.keys(proof)} is starting until the first sign of life`, (t) => {
    given(t, serviceDecider)
      .when(register(ann, proof))
      .thenEvents({
        type: 'ServiceRegistered',
        data: {
          ...recordedFields({ ...fields, ...proof }),
          id: 'memory-1',
          status: 'starting',
          reason: waiting,
        },
      });
  });
}

test('register › again with the same fields by the owner changes nothing', (t) => {
  const same = { capabilities: ['store', 'search'], metadata: { region: { zone: 1, name: 'eu' } } };
  given(t, serviceDecider, by('ann', registered)).when(register(ann, same)).thenEvents();
});

test('register › again with other fields by the owner records once what differs, and keeps the status', (t) => {
  const changes = { port: 4001, ttlSec: 30, metadata: { region: { name: 'us', zone: 1 } } };
  const updated: ServiceEvent = { type: 'ServiceUpdated', data: { changes } };
  const history = [by('ann', registered), by('ann', drained)];
  given(t, serviceDecider, ...history)
    .when(register(ann, changes))
    .thenEvents(updated);
  given(t, serviceDecider, ...history, by('ann', updated)).thenState({
    status: 'registered',
    owner: 'ann',
    health: 'draining',
    cause: 'operator',
    fields: { ...fields, ...changes },
    openUntil: undefined,
    servedBy: null,
  });
});

test('register › by another subject is refused and names the owner', (t) => {
  given(t, serviceDecider, by('ann', registered))
    .when(register(bob))
    .thenRejected({ code: 'id_taken', owner: 'ann' });
});

test('register › of a deregistered id by another subject is refused', (t) => {
  given(t, serviceDecider, by('ann', registered), by('ann', deregistered))
    .when(register(bob))
    .thenRejected({ code: 'id_taken', owner: 'ann' });
});

test('register › of a deregistered id by its owner is a new registration', (t) => {
  given(t, serviceDecider, by('ann', registered), by('ann', deregistered))
    .when(register(ann))
    .thenEvents(registered);
});

test('register › by an admin over a registered instance updates it and leaves it to its owner', (t) => {
  const updated: ServiceEvent = { type: 'ServiceUpdated', data: { changes: { port: 9 } } };
  given(t, serviceDecider, by('ann', registered))
    .when(register(root, { port: 9 }))
    .thenEvents(updated);
  given(t, serviceDecider, by('ann', registered), by('root', updated))
    .when(drain(bob))
    .thenRejected({ code: 'id_taken', owner: 'ann' });
});

test('register › of a deregistered id by an admin makes the admin its owner', (t) => {
  const history = [by('ann', registered), by('ann', deregistered)];
  given(t, serviceDecider, ...history)
    .when(register(root))
    .thenEvents(registered);
  given(t, serviceDecider, ...history, by('root', registered))
    .when(register(ann))
    .thenRejected({ code: 'id_taken', owner: 'root' });
});

test('the subject `system` without admin may act on nothing of another', (t) => {
  given(t, serviceDecider, by('ann', registered))
    .when(drain({ subject: 'system', admin: false }))
    .thenRejected({ code: 'id_taken', owner: 'ann' });
});

test('update › records only what differs', (t) => {
  given(t, serviceDecider, by('ann', registered))
    .when(update(ann, { host: fields.host, tags: ['blue'], healthCheckUrl: 'http://127.0.0.1/h' }))
    .thenEvents({
      type: 'ServiceUpdated',
      data: { changes: { tags: ['blue'], healthCheckUrl: 'http://127.0.0.1/h' } },
    });
});

test('update › can take a time to live away again', (t) => {
  const withTtl: ServiceEvent = { type: 'ServiceUpdated', data: { changes: { ttlSec: 30 } } };
  const history = [by('ann', registered), by('ann', withTtl)];
  given(t, serviceDecider, ...history)
    .when(update(ann, { ttlSec: null }))
    .thenEvents({ type: 'ServiceUpdated', data: { changes: { ttlSec: null } } });
});

test('update › with nothing new changes nothing', (t) => {
  given(t, serviceDecider, by('ann', registered))
    .when(update(ann, { port: 4000 }))
    .thenEvents();
});

test('change status › records where it came from', (t) => {
  given(t, serviceDecider, by('ann', registered)).when(drain(ann)).thenEvents(drained);
});

test('change status › to the status that it has changes nothing', (t) => {
  given(t, serviceDecider, by('ann', registered), by('ann', drained)).when(drain(ann)).thenEvents();
});

test('deregister › by the owner ends the registration', (t) => {
  given(t, serviceDecider, by('ann', registered)).when(deregister(ann)).thenEvents(deregistered);
});

test('deregister › by an admin ends the registration and leaves the id to its owner', (t) => {
  given(t, serviceDecider, by('ann', registered)).when(deregister(root)).thenEvents(deregistered);
  given(t, serviceDecider, by('ann', registered), by('root', deregistered)).thenState({
    status: 'deregistered',
    owner: 'ann',
  });
});

for (const command of [update(ann, { port: 1 }), drain(ann), deregister(ann)]) {
  test(`${command.type} › of an id that was never registered is not found`, (t) => {
    given(t, serviceDecider).when(command).thenRejected({ code: 'not_found' });
  });
  test(`${command.type} › of a deregistered id is not found`, (t) => {
    given(t, serviceDecider, by('ann', registered), by('ann', deregistered))
      .when(command)
      .thenRejected({ code: 'not_found' });
  });
  test(`${command.type} › by another subject is refused and names the owner`, (t) => {
    given(t, serviceDecider, by('ann', registered))
      .when({ ...command, actor: bob })
      .thenRejected({ code: 'id_taken', owner: 'ann' });
  });
}

test('evolve › takes only the own fields of a service from an event', (t) => {
  const foreign = { port: 7, owner: 'bob', id: 'other', status: 'offline' };
  given(
    t,
    serviceDecider,
    by('ann', registered),
    by('bob', { type: 'ServiceUpdated', data: { changes: foreign } }),
  ).thenState({
    status: 'registered',
    owner: 'ann',
    health: 'healthy',
    cause: 'registration',
    fields: { ...fields, port: 7 },
    openUntil: undefined,
    servedBy: null,
  });
});

test('register › an event holds a policy only where it is not the default one', (t) => {
  const removeAfterSec = 60;
  given(t, serviceDecider)
    .when(register(ann, { removeAfterSec, balancing: { ...defaultPolicy.balancing } }))
    .thenEvents({
      type: 'ServiceRegistered',
      data: {
        ...recordedFields(fields),
        removeAfterSec,
        id: 'memory-1',
        status: 'healthy',
        reason: 'registered',
      },
    });
});

test('attach › the node that a WebSocket is open to is recorded when it is another one', (t) => {
  const attach = (node: string): ServiceCommand => ({ type: 'AttachService', node, actor: root });
  const attached = (node: string): ServiceEvent => ({ type: 'ServiceAttached', data: { node } });
  given(t, serviceDecider, by('ann', registered)).when(attach('a')).thenEvents(attached('a'));
  const history = [by('ann', registered), by('system', attached('a'))];
  given(t, serviceDecider, ...history)
    .when(attach('a'))
    .thenEvents();
  given(t, serviceDecider, ...history)
    .when(attach('b'))
    .thenEvents(attached('b'));
});

test('circuit › opens, opens for longer, and closes; what changes nothing is no event', (t) => {
  const open = (until: string): ServiceCommand => ({
    type: 'OpenCircuit',
    reason: '5 failures',
    until,
    actor: root,
  });
  const opened = (until: string): ServiceEvent => ({
    type: 'CircuitOpened',
    data: { reason: '5 failures', until },
  });
  const close: ServiceCommand = { type: 'CloseCircuit', reason: 'answered', actor: root };
  const [early, late] = ['2030-01-01T00:00:00.000Z', '2030-01-01T00:00:10.000Z'];
  given(t, serviceDecider, by('ann', registered)).when(close).thenEvents();
  given(t, serviceDecider, by('ann', registered)).when(open(early)).thenEvents(opened(early));
  const history = [by('ann', registered), by('system', opened(early))];
  given(t, serviceDecider, ...history)
    .when(open(early))
    .thenEvents();
  given(t, serviceDecider, ...history)
    .when(open(late))
    .thenEvents(opened(late));
  given(t, serviceDecider, ...history)
    .when(close)
    .thenEvents({ type: 'CircuitClosed', data: { reason: 'answered' } });
});
