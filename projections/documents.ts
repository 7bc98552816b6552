import type { Json, Position, Revision } from '../domain/event.ts';
import type { ServiceFields, ServiceStatus } from '../domain/service/service.ts';

/** One state key, deleted ones included: versions go on counting when the key is put again. */
export type StateDocument = {
  readonly value: Json;
  /** 1 for the first event of the key: its revision + 1. */
  readonly version: number;
  readonly deleted: boolean;
  readonly updatedAt: string;
  readonly updatedBy: string;
  readonly eventId: string;
  readonly position: Position;
};

/** One instance, deregistered ones included (`deregistered: true`). */
export type ServiceDocument = ServiceFields & {
  readonly id: string;
  readonly owner: string;
  readonly status: ServiceStatus;
  readonly statusReason: string;
  readonly statusSince: string;
  readonly registeredAt: string;
  readonly updatedAt: string;
  readonly deregistered: boolean;
  readonly revision: Revision;
  readonly position: Position;
};

export type TopicDocument = {
  readonly topic: string;
  readonly messages: number;
  readonly firstAt: string;
  readonly lastAt: string;
  readonly revision: Revision;
  readonly position: Position;
};
