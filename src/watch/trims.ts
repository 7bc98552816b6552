import { decodeEvent } from '../../domain/catalog.ts';
import { type LogEvent, type Position, parsePosition, streamKey } from '../../domain/event.ts';
import { replySegment } from '../../domain/names.ts';
import { keyOfTrimId } from '../../domain/retention/trims.ts';
import type { EventLog } from '../log/event-log.ts';
import { createRounds } from '../rounds.ts';
import { type Selection, statePrefix, topicPrefix } from './filter.ts';
import { createKeyTrims } from './key-trims.ts';

/**
 * Up to where retention has removed the messages of each topic and the versions of each state key, as the log records
 * it (`TopicTrimmed`, `StateTrimmed`).
 */
export type Trims = {
  /** Takes in what was dispatched behind `before`: every event of the log, in order. */
  dispatched(events: readonly LogEvent[], before: Position): void;
  /** Takes over what is known up to `position`, so that it need not be read from the log: once, before anything else. */
  seed(known: Iterable<readonly [trimId: string, removedTo: string]>, position: Position): void;
  /**
   * Resolves once everything is known that the log had recorded before the call, so that whoever has read a page before
   * it knows of each hole that the page may have passed.
   *
   * @throws {LogError}
   */
  refresh(): Promise<void>;
  /** Position of the newest removed event behind `after` that the selection held, or undefined when none was removed. */
  newestBehind(after: Position, selection: Selection): Position | undefined;
};

type Node = {
  children: Map<string, Node> | undefined;
  /** Newest removed message of the topic that ends here. */
  here: Position | undefined;
  /** The same of all topics that go on from here. */
  below: Position | undefined;
  /** Of topics here or below that found no room: told to whoever asks for any of them. */
  lost: Position | undefined;
};

/** Of topics one per segment in use, and as many again of state keys: some 100 bytes each. */
const defaultMaxNodes = 200_000;
const pageEvents = 1_000;
const trimCategory = 'trim';
const trimPrefix = `${trimCategory}-`;

const createNode = (): Node => ({
  children: undefined,
  here: undefined,
  below: undefined,
  lost: undefined,
});

/** Replies are named by no wildcard in the first place. */
const everyTopic = ['>', `${replySegment}.>`, replySegment] as const;
const noTopic: readonly string[] = [];

/** The topics that a selection holds, as patterns. */
const patternsOf = (selection: Selection): readonly string[] => {
  switch (selection.type) {
    case 'all':
      return everyTopic;
    case 'category':
      return selection.category === 'topic' ? everyTopic : noTopic;
    case 'topics':
      return [selection.pattern];
    case 'stream':
      return selection.stream.startsWith(topicPrefix) ? [streamKey(selection.stream)] : noTopic;
    case 'keys':
      return noTopic;
  }
};

/** The state keys that a selection holds: one, or all that begin with a prefix. */
const keysOf = (selection: Selection): { readonly key: string } | { readonly prefix: string } | undefined => {
  switch (selection.type) {
    case 'all':
      return { prefix: '' };
    case 'category':
      return selection.category === 'state' ? { prefix: '' } : undefined;
    case 'stream':
      return selection.stream.startsWith(statePrefix) ? { key: streamKey(selection.stream) } : undefined;
    case 'keys':
      return { prefix: selection.prefix };
    case 'topics':
      return undefined;
  }
};

/** True when retention may remove events of the selection. */
export const isTrimmed = (selection: Selection): boolean =>
  patternsOf(selection).length > 0 || keysOf(selection) !== undefined;

const later = (left: Position | undefined, right: Position): Position =>
  left === undefined || right > left ? right : left;

/**
 * A trie of topics, in which a question costs the depth of its pattern, and one step more for each topic under a `*` that
 * lost something behind the place in question; and a radix tree of state keys.
 */
export const createTrims = (log: Pick<EventLog, 'readAll' | 'start'>, maxNodes = defaultMaxNodes): Trims => {
  const root = createNode();
  const replies = createNode();
  const rootOf = (first: string | undefined): Node => (first === replySegment ? replies : root);
  let nodes = 0;
  const keys = createKeyTrims(maxNodes);
  /** All up to here was read from the log; all between the other two was dispatched. */
  let readTo = log.start;
  let dispatchedFrom: Position | undefined;
  let dispatchedTo = log.start;

  const known = (): Position =>
    dispatchedFrom !== undefined && readTo >= dispatchedFrom && dispatchedTo > readTo ? dispatchedTo : readTo;

  const put = (topic: string, position: Position): void => {
    const segments = topic.split('.');
    let node = rootOf(segments[0]);
    for (const segment of segments) {
      let child = node.children?.get(segment);
      if (child === undefined) {
        if (nodes >= maxNodes) {
          node.lost = later(node.lost, position);
          return;
        }
        nodes++;
        child = createNode();
        node.children ??= new Map();
        node.children.set(segment, child);
      }
      node.below = later(node.below, position);
      node = child;
    }
    node.here = later(node.here, position);
  };

  const putText = (trimId: string, text: string): void => {
    const position = parsePosition(text);
    if (position === undefined) return;
    const key = keyOfTrimId(trimId);
    if (key === undefined) put(trimId, position);
    else keys.put(key, position);
  };

  const take = (event: LogEvent): void => {
    const decoded = decodeEvent(event);
    if (!decoded.ok || !decoded.known) return;
    const { type, data, stream } = decoded.event;
    if (type === 'TopicTrimmed' || type === 'StateTrimmed') putText(streamKey(stream), data.position);
  };

  const refresh = createRounds(async () => {
    for (let more = true; more; ) {
      const after = known();
      const page = await log.readAll({ after, category: trimCategory, limit: pageEvents });
      for (const event of page.events) take(event);
      readTo = page.position > after ? page.position : after;
      ({ more } = page);
    }
  });

  const newest = (pattern: string, after: Position): Position | undefined => {
    const segments = pattern.split('.');
    let found = after;
    const see = (position: Position | undefined): void => {
      if (position !== undefined && position > found) found = position;
    };
    const walk = (node: Node, depth: number): void => {
      see(node.lost);
      const segment = segments[depth];
      if (segment === undefined) see(node.here);
      else if (segment === '>') see(node.below);
      else if (segment !== '*') {
        const child = node.children?.get(segment);
        if (child !== undefined) walk(child, depth + 1);
      } else if (node.below !== undefined && node.below > found && node.children !== undefined) {
        for (const child of node.children.values()) walk(child, depth + 1);
      }
    };
    walk(rootOf(segments[0]), 0);
    return found > after ? found : undefined;
  };

  return {
    dispatched(events, before) {
      dispatchedFrom ??= before;
      for (const event of events) {
        if (event.stream.startsWith(trimPrefix)) take(event);
        dispatchedTo = later(dispatchedTo, event.position);
      }
    },
    seed(trimmed, position) {
      for (const [trimId, removedTo] of trimmed) putText(trimId, removedTo);
      readTo = later(readTo, position);
    },
    refresh,
    newestBehind(after, selection) {
      let found: Position | undefined;
      for (const pattern of patternsOf(selection)) {
        const removed = newest(pattern, found ?? after);
        if (removed !== undefined) found = removed;
      }
      const asked = keysOf(selection);
      if (asked === undefined) return found;
      const removed = 'key' in asked ? keys.of(asked.key) : keys.below(asked.prefix);
      return removed !== undefined && removed > (found ?? after) ? removed : found;
    },
  };
};
