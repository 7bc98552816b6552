import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Json } from '../../../domain/event.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';
import type { Noted } from './noted.ts';

/** What one call was answered with, to be compared and shown: the value, or the fault without its words. */
export const shownAnswer = (answer: CallAnswer): Json =>
  answer.ok ? { value: answer.value } : { fault: answer.fault };

const effects: ReadonlySet<string> = new Set([
  'publish',
  'state.set',
  'state.delete',
  'services.invoke',
  'fetch',
]);

/** True for wishes that bring something about; others leave no trace. */
export const isEffect = ({ operation }: Noted): boolean => effects.has(operation);

export type NotedDifference = {
  readonly operation: string;
  readonly running: Noted | null;
  readonly shadow: Noted | null;
};

export type WishComparison = {
  readonly missing: number;
  readonly additional: number;
  readonly different: number;
  /** All of them; null where that version had none. */
  readonly differences: readonly NotedDifference[];
};

const by = (field: 'digest' | 'aim', wishes: readonly Noted[]): Map<string, Noted[]> => {
  const found = new Map<string, Noted[]>();
  for (const wish of wishes) {
    const same = found.get(wish[field]);
    if (same === undefined) found.set(wish[field], [wish]);
    else same.push(wish);
  }
  return found;
};

/** What is left of `wishes` when those were taken away that `others` has too, each once. */
const without = (wishes: readonly Noted[], others: readonly Noted[]): Noted[] => {
  const there = by('digest', others);
  return wishes.filter(({ digest }) => there.get(digest)?.pop() === undefined);
};

/** Compares two bags of wishes: order counts among those of one aim alone. Others have their turn between its steps. */
export const compareWishes = async (
  running: readonly Noted[],
  shadow: readonly Noted[],
): Promise<WishComparison> => {
  const before = running.filter(isEffect);
  const after = shadow.filter(isEffect);
  const onlyRunning = without(before, after);
  await nextTurn();
  const onlyShadow = without(after, before);
  await nextTurn();

  const partners = by('aim', onlyShadow.toReversed());
  await nextTurn();
  const paired = new Set<Noted>();
  const differences: NotedDifference[] = onlyRunning.map((wish) => {
    const partner = partners.get(wish.aim)?.pop();
    if (partner !== undefined) paired.add(partner);
    return { operation: wish.operation, running: wish, shadow: partner ?? null };
  });
  await nextTurn();
  const added = onlyShadow.filter((wish) => !paired.has(wish));
  for (const wish of added) differences.push({ operation: wish.operation, running: null, shadow: wish });
  return {
    missing: onlyRunning.length - paired.size,
    additional: added.length,
    different: paired.size,
    differences,
  };
};
