/** About how much memory a JSON value takes, in bytes; stops counting at `limit`, so a large value costs no more to weigh. */
export const roughBytes = (value: unknown, limit: number): number => {
  let bytes = 0;
  const containers: object[] = [];
  const add = (item: unknown): void => {
    if (typeof item === 'string') bytes += 16 + item.length * 2;
    else if (typeof item !== 'object' || item === null) bytes += 8;
    else {
      bytes += 32;
      containers.push(item);
    }
  };
  add(value);
  for (let next = containers.pop(); next !== undefined && bytes < limit; next = containers.pop()) {
    if (Array.isArray(next)) {
      if (next.length * 8 >= limit) return limit;
      for (const item of next) add(item);
    } else {
      for (const key in next) {
        bytes += 16 + key.length;
        // What JSON holds has no properties but its own.
        add((next as Readonly<Record<string, unknown>>)[key]);
      }
    }
  }
  return Math.min(bytes, limit);
};
