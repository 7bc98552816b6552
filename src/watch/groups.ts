import type { LogEvent } from '../../domain/event.ts';
import { ofPriority, type Selection } from './filter.ts';
import { createWatcherIndex } from './index-of-watchers.ts';

/** Events of one selection in log order, and about how many bytes they take. Shared by many: nobody may change it. */
export type Batch = { readonly events: readonly LogEvent[]; readonly bytes: number };

/** Watchers, those of one selection together: each of them is handed the very same batch. */
export type Groups<Watcher extends object> = {
  add(selection: Selection, watcher: Watcher): void;
  delete(selection: Selection, watcher: Watcher): void;
  /** Puts an event into the batch of each selection that holds it. */
  push(event: LogEvent, bytes: number): void;
  /**
   * Calls `offer` for each watcher with each batch that was made of the events since the last call: at most
   * `maxBatchEvents` in one. `offer` may delete. Answers who was called.
   */
  flush(offer: (watcher: Watcher, batch: Batch) => void): Iterable<Watcher>;
  /** How many watchers stand in it. */
  readonly size: number;
};

type Draft = { readonly events: LogEvent[]; bytes: number };
type Group<Watcher> = { readonly selection: Selection; readonly watchers: Set<Watcher>; drafts: Draft[] };

/** The same for selections of the same events; no priority has a space in it. */
const keyOf = (selection: Selection): string => {
  const priority = ('priority' in selection ? selection.priority : undefined) ?? 'any';
  switch (selection.type) {
    case 'all':
      return 'all';
    case 'stream':
      return `stream ${priority} ${selection.stream}`;
    case 'category':
      return `category ${selection.category}`;
    case 'topics':
      return `topics ${priority} ${selection.pattern}`;
    case 'keys':
      return `keys ${selection.prefix}`;
  }
};

export const createGroups = <Watcher extends object>(maxBatchEvents: number): Groups<Watcher> => {
  const groups = new Map<string, Group<Watcher>>();
  const index = createWatcherIndex<Group<Watcher>>();
  let touched: Group<Watcher>[] = [];
  let size = 0;

  return {
    get size() {
      return size;
    },
    add(selection, watcher) {
      const key = keyOf(selection);
      let group = groups.get(key);
      if (group === undefined) {
        group = { selection, watchers: new Set(), drafts: [] };
        groups.set(key, group);
        index.add(selection, group);
      }
      if (!group.watchers.has(watcher)) size++;
      group.watchers.add(watcher);
    },
    delete(selection, watcher) {
      const key = keyOf(selection);
      const group = groups.get(key);
      if (!group?.watchers.delete(watcher)) return;
      size--;
      if (group.watchers.size > 0) return;
      groups.delete(key);
      index.delete(selection, group);
    },
    push(event, bytes) {
      index.match(event, (group) => {
        if (!ofPriority(group.selection, event)) return;
        const last = group.drafts.at(-1);
        if (last === undefined) touched.push(group);
        if (last === undefined || last.events.length >= maxBatchEvents) {
          group.drafts.push({ events: [event], bytes });
          return;
        }
        last.events.push(event);
        last.bytes += bytes;
      });
    },
    flush(offer) {
      const concerned = touched;
      touched = [];
      const called: Watcher[] = [];
      for (const group of concerned) {
        const batches = group.drafts;
        group.drafts = [];
        for (const watcher of group.watchers) {
          called.push(watcher);
          for (const batch of batches) offer(watcher, batch);
        }
      }
      return called;
    },
  };
};
