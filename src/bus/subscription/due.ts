/** Items by the time at which each is due, then in the order in which they were added: a binary heap. */
export type Due<Item> = {
  readonly size: number;
  /** Of the earliest. */
  readonly nextMs: number | undefined;
  add(item: Item, dueMs: number): void;
  /** The earliest that is due at `nowMs`. */
  take(nowMs: number): Item | undefined;
};

type Node<Item> = { readonly item: Item; readonly dueMs: number; readonly serial: number };

export const createDue = <Item>(): Due<Item> => {
  const heap: Node<Item>[] = [];
  let serial = 0;

  const swap = (left: number, right: number): void => {
    const [a, b] = [heap[left], heap[right]];
    if (a === undefined || b === undefined) return;
    heap[left] = b;
    heap[right] = a;
  };
  /** False for a `left` that is not there. */
  const isBefore = (left: number, right: number): boolean => {
    const [a, b] = [heap[left], heap[right]];
    if (a === undefined || b === undefined) return a !== undefined;
    return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.serial < b.serial);
  };

  const rise = (from: number): void => {
    for (let index = from; index > 0; ) {
      const parent = (index - 1) >> 1;
      if (!isBefore(index, parent)) return;
      swap(parent, index);
      index = parent;
    }
  };
  const sink = (): void => {
    for (let index = 0; ; ) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      const least = isBefore(right, left) ? right : left;
      if (!isBefore(least, index)) return;
      swap(index, least);
      index = least;
    }
  };

  return {
    get size() {
      return heap.length;
    },
    get nextMs() {
      return heap[0]?.dueMs;
    },
    add(item, dueMs) {
      heap.push({ item, dueMs, serial: serial++ });
      rise(heap.length - 1);
    },
    take(nowMs) {
      const [first] = heap;
      if (first === undefined || first.dueMs > nowMs) return undefined;
      swap(0, heap.length - 1);
      heap.pop();
      sink();
      return first.item;
    },
  };
};
