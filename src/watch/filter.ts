import { categoryOf, type LogEvent, type StreamId, streamId } from '../../domain/event.ts';
import type { Priority } from '../../domain/message/message.ts';
import { isPlainTopic, topicMatches } from '../../domain/names.ts';

/**
 * What a watcher wants to see. `topic` is a pattern, of whose messages `priority` selects those of one; `keyPrefix`
 * selects the state keys that begin with it.
 */
export type WatchFilter =
  | { readonly all: true }
  | { readonly stream: StreamId }
  | { readonly category: string }
  | { readonly topic: string; readonly priority?: Priority }
  | { readonly keyPrefix: string };

/** A filter in its simplest form: a plain topic is one stream, the empty prefix is a category. */
export type Selection =
  | { readonly type: 'all' }
  | { readonly type: 'stream'; readonly stream: StreamId; readonly priority?: Priority }
  | { readonly type: 'category'; readonly category: string }
  | { readonly type: 'topics'; readonly pattern: string; readonly priority?: Priority }
  | { readonly type: 'keys'; readonly prefix: string };

export const topicPrefix = 'topic-';
export const statePrefix = 'state-';

export const selectionOf = (filter: WatchFilter): Selection => {
  if ('all' in filter) return { type: 'all' };
  if ('stream' in filter) return { type: 'stream', stream: filter.stream };
  if ('category' in filter) return { type: 'category', category: filter.category };
  if ('topic' in filter) {
    const { topic, priority } = filter;
    const of = priority === undefined ? {} : { priority };
    return isPlainTopic(topic)
      ? { type: 'stream', stream: streamId('topic', topic), ...of }
      : { type: 'topics', pattern: topic, ...of };
  }
  return filter.keyPrefix === ''
    ? { type: 'category', category: 'state' }
    : { type: 'keys', prefix: filter.keyPrefix };
};

/** The category that all events of the selection are of, or undefined when it knows none. */
export const categoryOfSelection = (selection: Selection): string | undefined => {
  switch (selection.type) {
    case 'all':
      return undefined;
    case 'stream':
      return categoryOf(selection.stream);
    case 'category':
      return selection.category;
    case 'topics':
      return 'topic';
    case 'keys':
      return 'state';
  }
};

/** True when the selection asks for no priority, or for the event's. */
export const ofPriority = (selection: Selection, { data }: LogEvent): boolean => {
  if (!('priority' in selection)) return true;
  return (
    typeof data === 'object' && data !== null && 'priority' in data && data.priority === selection.priority
  );
};

export const selects = (selection: Selection, event: LogEvent): boolean => {
  switch (selection.type) {
    case 'all':
      return true;
    case 'stream':
      return event.stream === selection.stream && ofPriority(selection, event);
    case 'category':
      return categoryOf(event.stream) === selection.category;
    case 'topics':
      return (
        event.stream.startsWith(topicPrefix) &&
        topicMatches(selection.pattern, event.stream.slice(topicPrefix.length)) &&
        ofPriority(selection, event)
      );
    case 'keys':
      return (
        event.stream.startsWith(statePrefix) && event.stream.startsWith(selection.prefix, statePrefix.length)
      );
  }
};
