/** The prefixes that the subscribers of one XPUB socket have asked for. */
export type Interest = {
  /** Takes what the socket received: a byte (1: subscribe, 0: unsubscribe) and a prefix. Returns the prefix, if it was asked for. */
  take(frame: Buffer): string | undefined;
  /** True when some prefix is one of `topic`. */
  wants(topic: string): boolean;
  /** True when exactly this prefix was asked for. */
  has(prefix: string): boolean;
  readonly size: number;
};

export const createInterest = (): Interest => {
  const prefixes = new Set<string>();
  /** How many prefixes there are of each length: a topic is looked up once per length, not once per prefix. */
  const lengths = new Map<number, number>();

  const count = (length: number, change: 1 | -1): void => {
    const now = (lengths.get(length) ?? 0) + change;
    if (now === 0) lengths.delete(length);
    else lengths.set(length, now);
  };

  return {
    take(frame) {
      const prefix = frame.toString('latin1', 1);
      if (frame[0] === 1) {
        if (!prefixes.has(prefix)) count(prefix.length, 1);
        prefixes.add(prefix);
        return prefix;
      }
      if (frame[0] === 0 && prefixes.delete(prefix)) count(prefix.length, -1);
      return undefined;
    },
    wants(topic) {
      for (const length of lengths.keys()) {
        if (length <= topic.length && prefixes.has(topic.slice(0, length))) return true;
      }
      return false;
    },
    has: (prefix) => prefixes.has(prefix),
    get size() {
      return prefixes.size;
    },
  };
};
