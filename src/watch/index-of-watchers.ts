import { categoryOf, type LogEvent } from '../../domain/event.ts';
import { type Selection, statePrefix, topicPrefix } from './filter.ts';
import { createTopicTrie } from './topic-trie.ts';

/** Finds the watchers that an event concerns, at a cost that does not grow with the others. */
export type WatcherIndex<Watcher extends object> = {
  add(selection: Selection, watcher: Watcher): void;
  delete(selection: Selection, watcher: Watcher): void;
  /** Calls `visit` once for each watcher whose selection holds `event`, but for its priority. */
  match(event: LogEvent, visit: (watcher: Watcher) => void): void;
  /** How many watchers stand in it. */
  readonly size: number;
};

const addTo = <Key, Value>(sets: Map<Key, Set<Value>>, key: Key, value: Value): void => {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
};

/** True when the key has no value left. */
const deleteFrom = <Key, Value>(sets: Map<Key, Set<Value>>, key: Key, value: Value): boolean => {
  const set = sets.get(key);
  if (set === undefined) return false;
  set.delete(value);
  if (set.size > 0) return false;
  sets.delete(key);
  return true;
};

/** Prefixes of state keys: one look-up per distinct length of a prefix, at most 512, however many there are. */
const createPrefixes = <Watcher>() => {
  const byPrefix = new Map<string, Set<Watcher>>();
  /** How many distinct prefixes have a length. */
  const lengths = new Map<number, number>();
  return {
    add(prefix: string, watcher: Watcher): void {
      if (!byPrefix.has(prefix)) lengths.set(prefix.length, (lengths.get(prefix.length) ?? 0) + 1);
      addTo(byPrefix, prefix, watcher);
    },
    delete(prefix: string, watcher: Watcher): void {
      if (!deleteFrom(byPrefix, prefix, watcher)) return;
      const left = (lengths.get(prefix.length) ?? 1) - 1;
      if (left === 0) lengths.delete(prefix.length);
      else lengths.set(prefix.length, left);
    },
    match(stream: string, visit: (watcher: Watcher) => void): void {
      for (const length of lengths.keys()) {
        if (statePrefix.length + length > stream.length) continue;
        const found = byPrefix.get(stream.slice(statePrefix.length, statePrefix.length + length));
        if (found !== undefined) for (const watcher of found) visit(watcher);
      }
    },
    get size(): number {
      return byPrefix.size;
    },
  };
};

export const createWatcherIndex = <Watcher extends object>(): WatcherIndex<Watcher> => {
  const members = new Set<Watcher>();
  const all = new Set<Watcher>();
  const streams = new Map<string, Set<Watcher>>();
  const categories = new Map<string, Set<Watcher>>();
  const topics = createTopicTrie<Watcher>();
  const prefixes = createPrefixes<Watcher>();

  return {
    get size() {
      return members.size;
    },
    add(selection, watcher) {
      members.add(watcher);
      switch (selection.type) {
        case 'all':
          all.add(watcher);
          return;
        case 'stream':
          addTo(streams, selection.stream, watcher);
          return;
        case 'category':
          addTo(categories, selection.category, watcher);
          return;
        case 'topics':
          topics.add(selection.pattern, watcher);
          return;
        case 'keys':
          prefixes.add(selection.prefix, watcher);
      }
    },
    delete(selection, watcher) {
      if (!members.delete(watcher)) return;
      switch (selection.type) {
        case 'all':
          all.delete(watcher);
          return;
        case 'stream':
          deleteFrom(streams, selection.stream, watcher);
          return;
        case 'category':
          deleteFrom(categories, selection.category, watcher);
          return;
        case 'topics':
          topics.delete(selection.pattern, watcher);
          return;
        case 'keys':
          prefixes.delete(selection.prefix, watcher);
      }
    },
    match(event, visit) {
      const { stream } = event;
      for (const watcher of all) visit(watcher);
      const ofStream = streams.get(stream);
      if (ofStream !== undefined) for (const watcher of ofStream) visit(watcher);
      if (categories.size > 0) {
        const ofCategory = categories.get(categoryOf(stream));
        if (ofCategory !== undefined) for (const watcher of ofCategory) visit(watcher);
      }
      if (stream.startsWith(topicPrefix)) topics.match(stream.slice(topicPrefix.length), visit);
      else if (prefixes.size > 0 && stream.startsWith(statePrefix)) prefixes.match(stream, visit);
    },
  };
};
