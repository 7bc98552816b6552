import { canonicalJson } from '../../../domain/canonical-json.ts';
import type { Json } from '../../../domain/event.ts';
import type { CallAnswer, Wish } from '../sandbox/sandbox.ts';
import { fieldsOf } from './following.ts';

/** What one call was answered with, to be compared and shown: the value, or the fault without its words. */
export const shownAnswer = (answer: CallAnswer): Json =>
  answer.ok ? { value: answer.value } : { fault: answer.fault };

/** Wishes that bring something about; others leave no trace. */
const effects: ReadonlySet<string> = new Set([
  'publish',
  'state.set',
  'state.delete',
  'services.invoke',
  'fetch',
]);

/** What a wish is aimed at: two of one aim are the same wish with another content. */
const aimOf = ({ operation, data }: Wish): string => {
  const { topic, key, service, method, url } = fieldsOf(data);
  return canonicalJson([operation, topic ?? null, key ?? null, service ?? null, method ?? null, url ?? null]);
};

export type WishDifference = { readonly operation: string; readonly running: Json; readonly shadow: Json };

export type WishComparison = {
  readonly missing: number;
  readonly additional: number;
  readonly different: number;
  /** All of them; null where that version had none. */
  readonly differences: readonly WishDifference[];
};

const byText = (wishes: readonly Wish[], textOf: (wish: Wish) => string): Map<string, Wish[]> => {
  const found = new Map<string, Wish[]>();
  for (const wish of wishes) {
    const text = textOf(wish);
    const same = found.get(text);
    if (same === undefined) found.set(text, [wish]);
    else same.push(wish);
  }
  return found;
};

/** What is left of `wishes` when those were taken away that `others` has too, each once. */
const without = (
  wishes: readonly Wish[],
  others: readonly Wish[],
  textOf: (wish: Wish) => string,
): Wish[] => {
  const there = byText(others, textOf);
  return wishes.filter((wish) => there.get(textOf(wish))?.pop() === undefined);
};

/** Compares two bags of wishes: order counts among those of one aim alone. */
export const compareWishes = (running: readonly Wish[], shadow: readonly Wish[]): WishComparison => {
  const [before, after] = [running, shadow].map((wishes) =>
    wishes.filter(({ operation }) => effects.has(operation)),
  ) as [Wish[], Wish[]];
  const whole = ({ operation, data }: Wish): string => canonicalJson([operation, data]);
  const onlyRunning = without(before, after, whole);
  const onlyShadow = without(after, before, whole);

  const partners = byText(onlyShadow.toReversed(), aimOf);
  const paired = new Set<Wish>();
  const differences: WishDifference[] = onlyRunning.map((wish) => {
    const partner = partners.get(aimOf(wish))?.pop();
    if (partner !== undefined) paired.add(partner);
    return { operation: wish.operation, running: wish.data, shadow: partner?.data ?? null };
  });
  const added = onlyShadow.filter((wish) => !paired.has(wish));
  for (const { operation, data } of added) differences.push({ operation, running: null, shadow: data });
  return {
    missing: onlyRunning.length - paired.size,
    additional: added.length,
    different: paired.size,
    differences,
  };
};
