import { categoryOf, type LogEvent, type StreamId, streamId } from '../../domain/event.ts';
import { isPlainTopic, topicMatches } from '../../domain/names.ts';

/** What a watcher wants to see. `topic` is a pattern; `keyPrefix` selects the state keys that begin with it. */
export type WatchFilter =
  | { readonly all: true }
  | { readonly stream: StreamId }
  | { readonly category: string }
  | { readonly topic: string }
  | { readonly keyPrefix: string };

/** A filter in its simplest form: a plain topic is one stream, the empty prefix is a category. */
export type Selection =
  | { readonly type: 'all' }
  | { readonly type: 'stream'; readonly stream: StreamId }
  | { readonly type: 'category'; readonly category: string }
  | { readonly type: 'topics'; readonly pattern: string }
  | { readonly type: 'keys'; readonly prefix: string };

export const topicPrefix = 'topic-';
export const statePrefix = 'state-';

export const selectionOf = (filter: WatchFilter): Selection => {
  if ('all' in filter) return { type: 'all' };
  if ('stream' in filter) return { type: 'stream', stream: filter.stream };
  if ('category' in filter) return { type: 'category', category: filter.category };
  if ('topic' in filter) {
    return isPlainTopic(filter.topic)
      ? { type: 'stream', stream: streamId('topic', filter.topic) }
      : { type: 'topics', pattern: filter.topic };
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

export const selects = (selection: Selection, event: LogEvent): boolean => {
  switch (selection.type) {
    case 'all':
      return true;
    case 'stream':
      return event.stream === selection.stream;
    case 'category':
      return categoryOf(event.stream) === selection.category;
    case 'topics':
      return (
        event.stream.startsWith(topicPrefix) &&
        topicMatches(selection.pattern, event.stream.slice(topicPrefix.length))
      );
    case 'keys':
      return (
        event.stream.startsWith(statePrefix) && event.stream.startsWith(selection.prefix, statePrefix.length)
      );
  }
};
