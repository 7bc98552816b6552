import { hashOf, mix } from './hash.ts';
import type { Member } from './pool.ts';

/**
 * Multi-probe consistent hashing (Appleton and O'Reilly, 2015): each instance is a point on a ring of 2³² places, a
 * key looks at 21 places, and the point that follows one of them most closely has it. The loads differ by few percent
 * with one point each, where a ring with virtual nodes needs hundreds; an instance that comes or goes moves its own
 * keys and no others. An instance of weight w is w points (at most 64; a larger weight brings its points nearer).
 * Where the points are follows from the ids alone: every node finds the same instance.
 */
export type Ring = {
  /** Amortised: what was added and removed is merged in at the next `find`, in O(n) however much it was. */
  add(member: Member): void;
  remove(member: Member): void;
  /**
   * The key's instance, or as if those that are not accepted were not on the ring. Undefined when nearly none is
   * accepted: then it looks at 64 points behind each place, and no further.
   */
  find(hash: number, accepts: (member: Member) => boolean): Member | undefined;
};

const probes = 21;
const pointsPerWeight = 4;
const maxPoints = 64;
const maxSteps = 64;

type Point = { readonly hash: number; readonly member: Member };

const pointsOf = (member: Member): Point[] => {
  const { instance, weight } = member.candidate;
  const base = hashOf(instance.id);
  const count = Math.min(weight * pointsPerWeight, maxPoints);
  return Array.from({ length: count }, (_, index) => ({
    hash: index === 0 ? base : mix(base ^ Math.imul(index, 0x9e3779b1)),
    member,
  }));
};

const idOf = ({ member }: Point): string => member.candidate.instance.id;
/** Two instances at one place stand in the order of their ids. */
const inOrder = (one: Point, other: Point): number =>
  one.hash - other.hash || (idOf(one) < idOf(other) ? -1 : 1);

const nearer = ({ candidate }: Member): number =>
  Math.max((candidate.weight * pointsPerWeight) / maxPoints, 1);

export const createRing = (members: Iterable<Member>): Ring => {
  let hashes = new Uint32Array(0);
  let owners: Member[] = [];
  /** `starts[b]`: the first point whose hash, without its low bits, is at least b. */
  let starts = new Uint32Array(2);
  let shift = 31;
  /** Some weigh more than they have points. */
  let heavy = false;
  const added = new Set<Member>(members);
  const removed = new Set<Member>();

  const index = (): void => {
    let bits = 1;
    while (2 ** bits < owners.length) bits++;
    shift = 32 - bits;
    starts = new Uint32Array(2 ** bits + 1);
    let bucket = 0;
    for (let point = 0; point < hashes.length; point++) {
      const own = (hashes[point] ?? 0) >>> shift;
      while (bucket <= own) starts[bucket++] = point;
    }
    while (bucket < starts.length) starts[bucket++] = hashes.length;
  };

  const merge = (): void => {
    const fresh = [...added].flatMap(pointsOf).sort(inOrder);
    const points: Point[] = [];
    let next = 0;
    for (const [at, member] of owners.entries()) {
      if (removed.has(member)) continue;
      const kept = { hash: hashes[at] ?? 0, member };
      for (let point = fresh[next]; point !== undefined && inOrder(point, kept) < 0; point = fresh[++next])
        points.push(point);
      points.push(kept);
    }
    for (; next < fresh.length; next++) {
      const point = fresh[next];
      if (point !== undefined) points.push(point);
    }
    hashes = Uint32Array.from(points, ({ hash }) => hash);
    owners = points.map(({ member }) => member);
    heavy = owners.some((owner) => nearer(owner) > 1);
    added.clear();
    removed.clear();
    index();
  };

  /** The first point at or behind a place. */
  const after = (place: number): number => {
    let point = starts[place >>> shift] ?? 0;
    while (point < hashes.length && (hashes[point] ?? 0) < place) point++;
    return point === hashes.length ? 0 : point;
  };

  /** The accepted owner nearest behind a place of the key. Not accepted ones are passed over. */
  const search = (
    hash: number,
    step: number,
    accepts: ((member: Member) => boolean) | undefined,
  ): Member | undefined => {
    let best: Member | undefined;
    let bestDistance = Number.POSITIVE_INFINITY;
    let place = hash;
    for (let probe = 0; probe < probes; probe++) {
      let point = after(place);
      let owner = owners[point];
      if (accepts !== undefined) {
        for (let steps = 1; owner !== undefined && !accepts(owner); steps++) {
          point = point + 1 === owners.length ? 0 : point + 1;
          owner = steps < maxSteps ? owners[point] : undefined;
        }
      }
      if (owner !== undefined) {
        const behind = ((hashes[point] ?? 0) - place) >>> 0;
        const distance = heavy ? behind / nearer(owner) : behind;
        if (distance < bestDistance) {
          best = owner;
          bestDistance = distance;
        }
      }
      place = (place + step) >>> 0;
    }
    return best;
  };

  return {
    add(member) {
      added.add(member);
    },
    remove(member) {
      if (!added.delete(member)) removed.add(member);
    },
    find(hash, accepts) {
      if (added.size + removed.size > 0) merge();
      const step = mix(hash ^ 0x5bd1e995) | 1;
      const first = search(hash, step, undefined);
      return first === undefined || accepts(first) ? first : search(hash, step, accepts);
    },
  };
};
