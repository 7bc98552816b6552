import type { Candidate } from './candidate.ts';
import { createRing, type Ring } from './ring.ts';
import { createWeights, type Weights } from './weights.ts';

/** How fit an instance is, the fittest first. Each is a stretch of a pool, in this order. */
export const standings = {
  /** Healthy, and its circuit is closed. */
  fit: 0,
  degraded: 1,
  unhealthy: 2,
  /** Its circuit is open, and a call may try it now. */
  trial: 3,
  /** Its circuit is open. */
  ejected: 4,
  /** Starting, offline, draining or in maintenance. */
  away: 5,
} as const;
export type Standing = (typeof standings)[keyof typeof standings];

/** A place in a pool. */
export type Member = {
  readonly candidate: Candidate;
  readonly pool: Pool;
  slot: number;
  standing: Standing;
};

/**
 * The instances of a service, or those of them that have a capability: one dense array, in which those of each
 * standing stand next to each other, so that whom a call may go to is always one stretch of it and a change of standing
 * costs a few swaps, however many there are.
 */
export type Pool = {
  readonly members: Member[];
  /** `ends[standing]`: the first slot behind the members of that standing. */
  readonly ends: number[];
  /** Where `round-robin` is. */
  turn: number;
  /** Where `weighted` is in its sequence: 0 … 1. */
  phase: number;
  /** Kept from the first call that needs them on. */
  weights: Weights | undefined;
  ring: Ring | undefined;
};

export const createPool = (): Pool => ({
  members: [],
  ends: [0, 0, 0, 0, 0, 0],
  turn: 0,
  phase: 0,
  weights: undefined,
  ring: undefined,
});

export const endOf = (pool: Pool, standing: Standing): number => pool.ends[standing] ?? 0;
export const startOf = (pool: Pool, standing: Standing): number =>
  standing === 0 ? 0 : (pool.ends[standing - 1] ?? 0);
export const sizeOf = (pool: Pool, standing: Standing): number =>
  endOf(pool, standing) - startOf(pool, standing);

const place = (pool: Pool, member: Member, slot: number): void => {
  pool.members[slot] = member;
  member.slot = slot;
  pool.weights?.set(slot, member.candidate.weight);
};

const swap = (pool: Pool, member: Member, slot: number): void => {
  const other = pool.members[slot];
  if (other === undefined || other === member) return;
  place(pool, other, member.slot);
  place(pool, member, slot);
};

/** Through the stretches between the old and the new one: one swap each. */
export const moveMember = (member: Member, to: Standing): void => {
  const { pool } = member;
  const { ends } = pool;
  for (let standing = member.standing; standing < to; standing++) {
    const last = (ends[standing] ?? 0) - 1;
    swap(pool, member, last);
    ends[standing] = last;
  }
  for (let standing = member.standing; standing > to; standing--) {
    const first = ends[standing - 1] ?? 0;
    swap(pool, member, first);
    ends[standing - 1] = first + 1;
  }
  member.standing = to;
};

export const addMember = (pool: Pool, candidate: Candidate, standing: Standing): Member => {
  const member: Member = { candidate, pool, slot: pool.members.length, standing: standings.away };
  place(pool, member, member.slot);
  pool.ends[standings.away] = pool.members.length;
  moveMember(member, standing);
  pool.ring?.add(member);
  return member;
};

export const removeMember = (member: Member): void => {
  const { pool } = member;
  moveMember(member, standings.away);
  swap(pool, member, pool.members.length - 1);
  pool.members.pop();
  pool.ends[standings.away] = pool.members.length;
  pool.ring?.remove(member);
};

/** The weights of a pool, kept from now on. */
export const weightsOf = (pool: Pool): Weights => {
  pool.weights ??= createWeights(pool.members.map(({ candidate }) => candidate.weight));
  return pool.weights;
};

/** The ring of a pool, kept from now on. */
export const ringOf = (pool: Pool): Ring => {
  pool.ring ??= createRing(pool.members);
  return pool.ring;
};
