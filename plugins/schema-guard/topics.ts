/** Values by topic pattern: `*` is one segment, `>` at the end one or more. */
export type TopicMap<Value> = {
  readonly size: number;
  /** What is wrong with a pattern; undefined when nothing is. */
  fault(pattern: string): string | undefined;
  has(pattern: string): boolean;
  set(pattern: string, value: Value): void;
  delete(pattern: string): void;
  /** Those whose pattern the topic matches. */
  matching(topic: string): readonly (readonly [string, Value])[];
};

const segment = /^(?:[A-Za-z0-9_-]{1,64}|\*)$/;

export const createTopicMap = <Value>(): TopicMap<Value> => {
  const exact = new Map<string, Value>();
  const patterns = new Map<string, { readonly segments: readonly string[]; readonly value: Value }>();
  const isExact = (pattern: string): boolean => !pattern.includes('*') && !pattern.includes('>');

  return {
    get size() {
      return exact.size + patterns.size;
    },
    fault(pattern) {
      const segments = pattern.split('.');
      const fixed = segments.at(-1) === '>' ? segments.slice(0, -1) : segments;
      return segments.length <= 32 && fixed.every((part) => segment.test(part))
        ? undefined
        : 'this is no topic pattern';
    },
    has: (pattern) => exact.has(pattern) || patterns.has(pattern),
    set(pattern, value) {
      if (isExact(pattern)) exact.set(pattern, value);
      else patterns.set(pattern, { segments: pattern.split('.'), value });
    },
    delete(pattern) {
      exact.delete(pattern);
      patterns.delete(pattern);
    },
    matching(topic) {
      const found: (readonly [string, Value])[] = [];
      const own = exact.get(topic);
      if (own !== undefined) found.push([topic, own]);
      if (patterns.size === 0) return found;
      const segments = topic.split('.');
      for (const [pattern, entry] of patterns)
        if (matches(entry.segments, segments)) found.push([pattern, entry.value]);
      return found;
    },
  };
};

const matches = (pattern: readonly string[], topic: readonly string[]): boolean => {
  for (const [index, part] of pattern.entries()) {
    if (part === '>') return topic.length > index;
    if (index >= topic.length || (part !== '*' && part !== topic[index])) return false;
  }
  return pattern.length === topic.length;
};
