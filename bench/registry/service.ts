import { asPosition, asRevision } from '../../domain/event.ts';
import { defaultPolicy } from '../../domain/service/policy.ts';
import type { ServiceDocument } from '../../projections/documents.ts';

/** A healthy instance of the service `svc`, registered long ago. */
export const benchService = (id: string, changes: Partial<ServiceDocument> = {}): ServiceDocument => ({
  ...defaultPolicy,
  id,
  owner: 'local',
  name: 'svc',
  version: '1.0.0',
  host: '127.0.0.1',
  port: 9,
  protocol: 'http',
  capabilities: [],
  healthCheckUrl: null,
  ttlSec: null,
  weight: 1,
  tags: [],
  metadata: {},
  status: 'healthy',
  statusReason: '',
  statusCause: 'registration',
  statusSince: '2020-01-01T00:00:00.000Z',
  falls: [],
  circuit: null,
  servedBy: null,
  registeredAt: '2020-01-01T00:00:00.000Z',
  updatedAt: '2020-01-01T00:00:00.000Z',
  deregistered: false,
  fieldsAt: asPosition('0000000000000001'),
  revision: asRevision(0),
  position: asPosition('0000000000000001'),
  ...changes,
});
