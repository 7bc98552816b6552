/** First in, first out, at a constant cost per item. What was taken is not held on to. */
export type Fifo<Item> = {
  readonly length: number;
  push(item: Item): void;
  peek(): Item | undefined;
  shift(): Item | undefined;
};

const compactAt = 1_024;

export const createFifo = <Item>(): Fifo<Item> => {
  let items: (Item | undefined)[] = [];
  let first = 0;
  return {
    get length() {
      return items.length - first;
    },
    push(item) {
      items.push(item);
    },
    peek: () => items[first],
    shift() {
      const item = items[first];
      if (item === undefined) return undefined;
      items[first++] = undefined;
      if (first === items.length) {
        items = [];
        first = 0;
      } else if (first >= compactAt && first * 2 >= items.length) {
        items = items.slice(first);
        first = 0;
      }
      return item;
    },
  };
};
