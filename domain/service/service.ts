import type { Json } from '../event.ts';
import type { ServicePolicy } from './policy.ts';

export const serviceStatuses = [
  'starting',
  'healthy',
  'degraded',
  'unhealthy',
  'draining',
  'maintenance',
  'offline',
] as const;
export type ServiceStatus = (typeof serviceStatuses)[number];

/** What a status follows from. */
export const statusCauses = [
  'registration',
  'heartbeat',
  'ttl',
  'probe',
  'invocations',
  'flapping',
  'socket',
  'report',
  'operator',
] as const;
export type StatusCause = (typeof statusCauses)[number];

/** What a service says of itself. `id` and owner stand beside it. */
export type ServiceFields = ServicePolicy & ServiceIdentity;

export type ServiceIdentity = {
  readonly name: string;
  /** Semver. */
  readonly version: string;
  readonly host: string;
  readonly port: number;
  readonly protocol: 'http' | 'https';
  readonly capabilities: readonly string[];
  readonly healthCheckUrl: string | null;
  readonly ttlSec: number | null;
  readonly weight: number;
  readonly tags: readonly string[];
  readonly metadata: { readonly [key: string]: Json };
};

/** As events hold it: a policy that is not there is the default one. */
export type RecordedFields = ServiceIdentity & Partial<ServicePolicy>;

export type ServiceEvent =
  | {
      readonly type: 'ServiceRegistered';
      readonly data: RecordedFields & {
        readonly id: string;
        readonly status: ServiceStatus;
        readonly reason: string;
      };
    }
  | { readonly type: 'ServiceUpdated'; readonly data: { readonly changes: Partial<ServiceFields> } }
  | {
      readonly type: 'ServiceStatusChanged';
      readonly data: {
        readonly from: ServiceStatus;
        readonly to: ServiceStatus;
        readonly reason: string;
        /** Absent in the oldest events. */
        readonly cause?: StatusCause;
      };
    }
  | { readonly type: 'ServiceDeregistered'; readonly data: { readonly reason: string } }
  | {
      readonly type: 'CircuitOpened';
      readonly data: {
        readonly reason: string;
        /** RFC 3339: until then nobody calls the instance; then one call at a time tries it. */
        readonly until: string;
      };
    }
  | { readonly type: 'CircuitClosed'; readonly data: { readonly reason: string } }
  /** Of several nodes on one log: the WebSocket over which the instance is called is open to this one now. */
  | { readonly type: 'ServiceAttached'; readonly data: { readonly node: string } };

/**
 * `admin` may act on what another subject registered. The hub itself (probes, expiry) acts as subject `system` with
 * `admin` set: the name alone grants nothing.
 */
export type ServiceActor = { readonly subject: string; readonly admin: boolean };

export type ServiceCommand =
  | {
      readonly type: 'RegisterService';
      readonly id: string;
      readonly fields: ServiceFields;
      readonly actor: ServiceActor;
    }
  | { readonly type: 'UpdateService'; readonly changes: Partial<ServiceFields>; readonly actor: ServiceActor }
  | {
      readonly type: 'ChangeServiceStatus';
      readonly to: ServiceStatus;
      readonly reason: string;
      readonly cause: StatusCause;
      readonly actor: ServiceActor;
    }
  | { readonly type: 'DeregisterService'; readonly reason: string; readonly actor: ServiceActor }
  /** Of an instance whose circuit is open already: it stays open until then. */
  | {
      readonly type: 'OpenCircuit';
      readonly reason: string;
      readonly until: string;
      readonly actor: ServiceActor;
    }
  | { readonly type: 'CloseCircuit'; readonly reason: string; readonly actor: ServiceActor }
  | { readonly type: 'AttachService'; readonly node: string; readonly actor: ServiceActor };

export type ServiceRejection =
  | { readonly code: 'not_found' }
  | { readonly code: 'id_taken'; readonly owner: string };

/** An id that was deregistered stays its owner's: nobody else but an admin takes it over. */
export type ServiceState =
  | { readonly status: 'unregistered' }
  | { readonly status: 'deregistered'; readonly owner: string }
  | {
      readonly status: 'registered';
      readonly owner: string;
      readonly health: ServiceStatus;
      /** Null for what an older version wrote. */
      readonly cause: StatusCause | null;
      readonly fields: ServiceFields;
      /** Until when; undefined while the circuit is closed. */
      readonly openUntil: string | undefined;
      /** Node that its WebSocket is or was open to; null for none. */
      readonly servedBy: string | null;
    };
