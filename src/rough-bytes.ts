/** About how much memory a JSON value takes, in bytes; stops counting at `limit`, so a large value costs no more to weigh. */
export const roughBytes = (value: unknown, limit: number): number => {
  let bytes = 0;
  const stack: unknown[] = [value];
  while (stack.length > 0 && bytes < limit) {
    const next = stack.pop();
    if (typeof next === 'string') bytes += 16 + next.length * 2;
    else if (typeof next === 'object' && next !== null) {
      bytes += 32;
      if (Array.isArray(next)) {
        if (next.length * 8 >= limit) return limit;
        for (const item of next) stack.push(item);
      } else {
        for (const [key, item] of Object.entries(next)) {
          bytes += 16 + key.length;
          stack.push(item);
        }
      }
    } else bytes += 8;
  }
  return Math.min(bytes, limit);
};
