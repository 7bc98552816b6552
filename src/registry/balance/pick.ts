import { type Instance, statusOf } from '../instance.ts';

/** Work that stands at an instance, counted in requests, per unit of its weight. */
const cost = ({ inFlight, load, document }: Instance): number =>
  (inFlight + 1 + (load ?? 0)) / document.weight;

/**
 * One healthy instance of those given: the less busy of two drawn at random (Mitzenmacher, "The power of two choices",
 * 2001), which spreads load nearly as well as looking at all of them and does not send everybody to the same one.
 *
 * @param random 0 (inclusive) … 1 (exclusive).
 */
export const pick = (
  instances: Iterable<Instance>,
  accepts: (instance: Instance) => boolean,
  random: () => number,
): Instance | undefined => {
  const candidates: Instance[] = [];
  for (const instance of instances) {
    if (accepts(instance) && statusOf(instance) === 'healthy') candidates.push(instance);
  }
  const first = Math.floor(random() * candidates.length);
  const one = candidates[first];
  if (one === undefined || candidates.length === 1) return one;
  const step = 1 + Math.floor(random() * (candidates.length - 1));
  const other = candidates[(first + step) % candidates.length];
  return other !== undefined && cost(other) < cost(one) ? other : one;
};
