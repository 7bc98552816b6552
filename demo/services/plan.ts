import type { Action } from './service-host.ts';

export type Offer = Action & { readonly service: string };
export type Plan =
  /** Stages in order; the steps of one stage do not depend on each other. */
  | { readonly ok: true; readonly stages: readonly (readonly Offer[])[] }
  /** What nobody offers, or what needs itself. */
  | { readonly ok: false; readonly missing: readonly string[] };

/**
 * Plans backwards from `goal`: who gives it, what does that take, who gives that, until all is given. A step stands in
 * the stage behind the last of those that it needs.
 */
export const planFor = (goal: string, given: ReadonlySet<string>, offers: readonly Offer[]): Plan => {
  const stageOf = new Map<string, number>();
  const steps = new Map<string, Offer>();
  const missing = new Set<string>();
  const onTheWay = new Set<string>();

  const need = (thing: string): number => {
    if (given.has(thing)) return 0;
    const known = stageOf.get(thing);
    if (known !== undefined) return known;
    const offer = offers.find(({ gives }) => gives === thing);
    if (offer === undefined || onTheWay.has(thing)) {
      missing.add(thing);
      return 0;
    }
    onTheWay.add(thing);
    const stage = 1 + Math.max(0, ...offer.takes.map(need));
    onTheWay.delete(thing);
    stageOf.set(thing, stage);
    steps.set(thing, offer);
    return stage;
  };

  const last = need(goal);
  if (missing.size > 0) return { ok: false, missing: [...missing] };
  const stages = Array.from({ length: last }, (_, index) =>
    [...steps.values()].filter(({ gives }) => stageOf.get(gives) === index + 1),
  );
  return { ok: true, stages };
};
