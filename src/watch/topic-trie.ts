import { replySegment } from '../../domain/names.ts';

/** Values of one pattern when there is more than one; private, so that no value of a caller can be one. */
class Many<T> extends Set<T> {}
type Values<T> = T | Many<T> | undefined;

/**
 * One segment of a pattern. Most nodes have one child and one value, so those stand in the node itself: a Map or a Set
 * is made for the second.
 */
type Node<T> = {
  segment: string;
  only: Node<T> | undefined;
  children: Map<string, Node<T>> | undefined;
  star: Node<T> | undefined;
  /** Values of the pattern that ends here. */
  here: Values<T>;
  /** Values of the pattern that goes on with `>`. */
  rest: Values<T>;
};

const createNode = <T>(segment: string): Node<T> => ({
  segment,
  only: undefined,
  children: undefined,
  star: undefined,
  here: undefined,
  rest: undefined,
});

const isEmpty = <T>(node: Node<T>): boolean =>
  node.only === undefined &&
  node.children === undefined &&
  node.star === undefined &&
  node.here === undefined &&
  node.rest === undefined;

const childOf = <T>(node: Node<T>, segment: string): Node<T> | undefined =>
  node.only?.segment === segment ? node.only : node.children?.get(segment);

const adopt = <T>(node: Node<T>, child: Node<T>): Node<T> => {
  if (node.children !== undefined) node.children.set(child.segment, child);
  else if (node.only === undefined) node.only = child;
  else {
    node.children = new Map([
      [node.only.segment, node.only],
      [child.segment, child],
    ]);
    node.only = undefined;
  }
  return child;
};

const orphan = <T>(node: Node<T>, child: Node<T>): void => {
  if (node.star === child) node.star = undefined;
  else if (node.only === child) node.only = undefined;
  else if (node.children?.delete(child.segment) && node.children.size === 0) node.children = undefined;
};

const isMany = <T>(values: Values<T>): values is Many<T> => values instanceof Many;

const withValue = <T>(values: Values<T>, value: T): Values<T> => {
  if (values === undefined) return value;
  if (isMany(values)) return values.add(value);
  return values === value ? values : new Many([values, value]);
};

const withoutValue = <T>(values: Values<T>, value: T): Values<T> => {
  if (!isMany(values)) return values === value ? undefined : values;
  return values.delete(value) && values.size === 0 ? undefined : values;
};

const visitAll = <T>(values: Values<T>, visit: (value: T) => void): void => {
  if (values === undefined) return;
  if (isMany(values)) for (const value of values) visit(value);
  else visit(values);
};

const matchFrom = <T>(
  node: Node<T>,
  segments: readonly string[],
  depth: number,
  visit: (value: T) => void,
) => {
  const segment = segments[depth];
  if (segment === undefined) {
    visitAll(node.here, visit);
    return;
  }
  visitAll(node.rest, visit);
  const child = childOf(node, segment);
  if (child !== undefined) matchFrom(child, segments, depth + 1, visit);
  if (node.star !== undefined) matchFrom(node.star, segments, depth + 1, visit);
};

/** Patterns and who wants them: whom a topic concerns is found without looking at the other patterns. */
export type TopicTrie<T extends object> = {
  /** Number of (pattern, value) pairs. */
  readonly size: number;
  /** Number of nodes, the root apart: a measure of the memory in use, 0 when nothing is left. */
  readonly nodes: number;
  /** False when the value stands under that pattern already. `pattern` must satisfy `isTopicPattern`. */
  add(pattern: string, value: T): boolean;
  /** False when it did not stand there. Leaves no empty node behind. */
  delete(pattern: string, value: T): boolean;
  /**
   * Calls `visit` once for each (pattern, value) pair whose pattern matches the topic, in no order: a value that
   * stands under two matching patterns is visited twice. `visit` may add and delete.
   *
   * Looks at the nodes whose segments agree with the topic so far: one per level, and one more for each `*` in use
   * there, however many patterns there are.
   */
  match(topic: string, visit: (value: T) => void): void;
};

export const createTopicTrie = <T extends object>(): TopicTrie<T> => {
  const root = createNode<T>('');
  let size = 0;
  let nodes = 0;

  const nodeFor = (segment: string): Node<T> => {
    nodes += 1;
    return createNode(segment);
  };

  const makePath = (segments: readonly string[]): Node<T> => {
    let node = root;
    for (const segment of segments) {
      if (segment === '*') {
        node.star ??= nodeFor(segment);
        node = node.star;
      } else node = childOf(node, segment) ?? adopt(node, nodeFor(segment));
    }
    return node;
  };

  const prune = (path: readonly Node<T>[]): void => {
    for (let depth = path.length - 1; depth > 0; depth--) {
      const [parent, node] = [path[depth - 1], path[depth]];
      if (parent === undefined || node === undefined || !isEmpty(node)) return;
      orphan(parent, node);
      nodes -= 1;
    }
  };

  return {
    get size() {
      return size;
    },

    get nodes() {
      return nodes;
    },

    add(pattern, value) {
      const segments = pattern.split('.');
      const slot = segments.at(-1) === '>' ? 'rest' : 'here';
      const node = makePath(slot === 'rest' ? segments.slice(0, -1) : segments);
      const before = node[slot];
      if (before === value || (isMany(before) && before.has(value))) return false;
      node[slot] = withValue(before, value);
      size += 1;
      return true;
    },

    delete(pattern, value) {
      const segments = pattern.split('.');
      const slot = segments.at(-1) === '>' ? 'rest' : 'here';
      const path = [root];
      let node = root;
      for (const segment of slot === 'rest' ? segments.slice(0, -1) : segments) {
        const next = segment === '*' ? node.star : childOf(node, segment);
        if (next === undefined) return false;
        path.push(next);
        node = next;
      }
      const before = node[slot];
      if (before !== value && !(isMany(before) && before.has(value))) return false;
      node[slot] = withoutValue(before, value);
      size -= 1;
      prune(path);
      return true;
    },

    match(topic, visit) {
      const segments = topic.split('.');
      if (segments[0] !== replySegment) return matchFrom(root, segments, 0, visit);
      // No wildcard stands for it (domain/names.ts).
      const child = childOf(root, replySegment);
      if (child !== undefined) matchFrom(child, segments, 1, visit);
    },
  };
};
