import type { Position } from '../../domain/event.ts';

/** The newest removed event of each state key, for questions about a key or about all keys of a prefix. */
export type KeyTrims = {
  put(key: string, position: Position): void;
  /** Newest removed event of exactly `key`; it may be one of another key when there was no room to know better. */
  of(key: string): Position | undefined;
  /** The same of all keys that begin with `prefix`. */
  below(prefix: string): Position | undefined;
};

type Node = {
  /** What stands between the parent's place and this one: empty at the root alone. */
  label: string;
  readonly children: Map<string, Node>;
  /** Of the key that ends here. */
  here: Position | undefined;
  /** Of all keys that end here or go on from here. */
  newest: Position | undefined;
  /** Of keys here or below that found no room: told to whoever asks for any of them. */
  lost: Position | undefined;
};

const later = (left: Position | undefined, right: Position | undefined): Position | undefined =>
  left === undefined || (right !== undefined && right > left) ? right : left;

const createNode = (label: string, newest?: Position): Node => ({
  label,
  children: new Map(),
  here: undefined,
  newest,
  lost: undefined,
});

const commonLength = (label: string, text: string, from: number): number => {
  let length = 0;
  while (length < label.length && label.charCodeAt(length) === text.charCodeAt(from + length)) length++;
  return length;
};

/** A radix tree: a key costs two nodes at most, and a question its own length. */
export const createKeyTrims = (maxNodes: number): KeyTrims => {
  const root = createNode('');
  let nodes = 0;

  /** Makes a node where `label` of the child parts after `length`, so that something else can go on from there. */
  const split = (parent: Node, child: Node, length: number): Node => {
    const middle = createNode(child.label.slice(0, length), child.newest);
    child.label = child.label.slice(length);
    middle.children.set(child.label.charAt(0), child);
    parent.children.set(middle.label.charAt(0), middle);
    return middle;
  };

  return {
    put(key, position) {
      let node = root;
      for (let at = 0; ; ) {
        node.newest = later(node.newest, position);
        if (at === key.length) {
          node.here = later(node.here, position);
          return;
        }
        const child = node.children.get(key.charAt(at));
        const length = child === undefined ? 0 : commonLength(child.label, key, at);
        if (child !== undefined && length === child.label.length) {
          node = child;
          at += length;
          continue;
        }
        if (nodes + 2 > maxNodes) {
          node.lost = later(node.lost, position);
          return;
        }
        nodes++;
        if (child === undefined) {
          node.children.set(key.charAt(at), createNode(key.slice(at)));
        } else split(node, child, length);
      }
    },
    of(key) {
      let node: Node | undefined = root;
      let found: Position | undefined;
      for (let at = 0; ; ) {
        found = later(found, node.lost);
        if (at === key.length) return later(found, node.here);
        node = node.children.get(key.charAt(at));
        if (node === undefined || !key.startsWith(node.label, at)) return found;
        at += node.label.length;
      }
    },
    below(prefix) {
      let node: Node | undefined = root;
      let found: Position | undefined;
      for (let at = 0; ; ) {
        if (at === prefix.length) return later(found, node.newest);
        found = later(found, node.lost);
        node = node.children.get(prefix.charAt(at));
        if (node === undefined) return found;
        const length = commonLength(node.label, prefix, at);
        if (at + length === prefix.length) return later(found, node.newest);
        if (length < node.label.length) return found;
        at += length;
      }
    },
  };
};
