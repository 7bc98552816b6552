import type { ServiceDocument } from '../../../projections/documents.ts';
import type { Instance } from '../instance.ts';
import { type Circuit, createCircuit } from './circuit.ts';
import { type Member, type Standing, standings } from './pool.ts';
import type { ServiceGroup } from './services.ts';

/** An instance as the balancer sees it. */
export type Candidate = {
  readonly instance: Instance;
  /** The document that its pools and its circuit go by. */
  document: ServiceDocument;
  /** Where its numbers stand among the balancer's `Stats`. */
  readonly row: number;
  /** Of the document. */
  weight: number;
  readonly circuit: Circuit;
  service: ServiceGroup;
  /** The same in all of its pools. */
  standing: Standing;
  /** Its place in the pool of its service, and in that of each capability. */
  members: readonly Member[];
  /** Until then it gets less than its share; 0 when it has all of it. */
  rampUntilMs: number;
  removed: boolean;
};

export const createCandidate = (instance: Instance, service: ServiceGroup, row: number): Candidate => ({
  instance,
  document: instance.document,
  row,
  weight: instance.document.weight,
  circuit: createCircuit(),
  service,
  standing: standings.away,
  members: [],
  rampUntilMs: 0,
  removed: false,
});
