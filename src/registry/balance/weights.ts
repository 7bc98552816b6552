/** Whole numbers by slot, with the sum of those before a slot and the slot at a sum: O(log n) each (Fenwick, 1994). */
export type Weights = {
  /** The slot may be behind the last one. */
  set(slot: number, weight: number): void;
  /** Of the slots before `slot`. */
  before(slot: number): number;
  /** The slot in which `sum` falls: that with `before(slot) <= sum < before(slot + 1)`. */
  at(sum: number): number;
};

export const createWeights = (initial: readonly number[]): Weights => {
  let size = 16;
  while (size < initial.length) size *= 2;
  let values = new Float64Array(size);
  /** `tree[i]` sums the i & -i values up to the i-th, counted from 1. */
  let tree = new Float64Array(size + 1);

  const fill = (): void => {
    tree.fill(0);
    for (let index = 1; index <= size; index++) {
      tree[index] = (tree[index] ?? 0) + (values[index - 1] ?? 0);
      const above = index + (index & -index);
      if (above <= size) tree[above] = (tree[above] ?? 0) + (tree[index] ?? 0);
    }
  };

  const grow = (slot: number): void => {
    while (size <= slot) size *= 2;
    const wider = new Float64Array(size);
    wider.set(values);
    values = wider;
    tree = new Float64Array(size + 1);
    fill();
  };

  values.set(initial);
  fill();

  return {
    set(slot, weight) {
      if (slot >= size) grow(slot);
      const change = weight - (values[slot] ?? 0);
      if (change === 0) return;
      values[slot] = weight;
      for (let index = slot + 1; index <= size; index += index & -index)
        tree[index] = (tree[index] ?? 0) + change;
    },
    before(slot) {
      let sum = 0;
      for (let index = slot; index > 0; index -= index & -index) sum += tree[index] ?? 0;
      return sum;
    },
    at(sum) {
      let index = 0;
      let rest = sum;
      for (let step = size; step > 0; step >>= 1) {
        const value = tree[index + step];
        if (value === undefined || value > rest) continue;
        index += step;
        rest -= value;
      }
      return index;
    },
  };
};
