import type { Requirement } from '../../domain/access.ts';
import {
  asStreamId,
  categories,
  type LogEvent,
  type Position,
  streamId,
  streamKey,
} from '../../domain/event.ts';
import { isServiceName, isStateKey, isStatePrefix, isTopicPattern } from '../../domain/names.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import { invalid, ok, type Result } from '../errors.ts';
import { isStreamName } from '../log/encode.ts';
import type {
  Context,
  Message,
  ServiceChange,
  StateChange,
  Watch,
  Watched,
  WatchInput,
} from '../nexus-core.ts';
import { markWatched } from '../tracing/deliveries.ts';
import type { WatchFilter } from '../watch/filter.ts';
import { positionOf } from './as-of.ts';
import { demand } from './demand.ts';
import { messagesFrom, streamRequirement, streamRule } from './logs.ts';
import type { Parts } from './parts.ts';
import { serviceView } from './services.ts';
import { createStateChanges, readModelsMs } from './state-changes.ts';

const changeNames: Readonly<Record<string, ServiceChange['change']>> = {
  ServiceRegistered: 'registered',
  ServiceUpdated: 'updated',
  ServiceStatusChanged: 'status',
  ServiceDeregistered: 'deregistered',
  CircuitOpened: 'circuit',
  CircuitClosed: 'circuit',
};

/** What is watched, as the metrics name it. */
type WatchKind = 'messages' | 'state' | 'services' | 'events';

export const createWatches = ({ log, hub, runner, registry, meters, tracing }: Parts) => {
  /** Where the watch begins: what the client says, or the newest event that the log has now. */
  const startOf = async (after: string | undefined): Promise<Result<Position>> => {
    if (after === 'start') return ok(log.start);
    if (after !== undefined) return positionOf(log, 'after', after);
    if (log.reachable) return ok(await log.position());
    // A log that this process has not met yet: what the read models have of it is not new.
    return ok(hub.position > runner.position ? hub.position : runner.position);
  };

  type Mapping<Item> = (
    events: readonly LogEvent[],
    position: Position,
  ) => readonly Item[] | Promise<readonly Item[]>;

  /** Turns batches of events into batches of what the watcher is of; events that are none of it leave only their place. */
  const mapped = <Item>(
    source: AsyncIterable<Watched<LogEvent>, undefined, undefined>,
    map: Mapping<Item>,
    kind: WatchKind,
  ): AsyncIterable<Watched<Item>, undefined, undefined> => ({
    [Symbol.asyncIterator]: () => {
      const iterator = source[Symbol.asyncIterator]();
      const finished: IteratorResult<Watched<Item>, undefined> = { done: true, value: undefined };
      type Step = IteratorResult<Watched<Item>, undefined>;
      // By hand: a generator costs each of a thousand watchers three more turns of the queue for each batch.
      const mapStep = (step: IteratorResult<Watched<LogEvent>, undefined>): Step | Promise<Step> => {
        if (step.done === true) return finished;
        const part = step.value;
        if (part.type !== 'items') return { done: false, value: part };
        const { position } = part;
        const items = map(part.items, position);
        const withItems = (value: readonly Item[]): Step => {
          meters.watched.add(kind, value.length);
          if (tracing !== undefined) markWatched(tracing, kind, part.items);
          return { done: false, value: { type: 'items', items: value, position } };
        };
        return items instanceof Promise ? items.then(withItems) : withItems(items);
      };
      return {
        next: () => iterator.next().then(mapStep),
        return: async () => {
          await iterator.return?.();
          return finished;
        },
      };
    },
  });

  const begin = async <Item>(
    requirement: Requirement,
    filter: WatchFilter,
    { after, signal }: WatchInput,
    context: Context,
    map: Mapping<Item>,
    kind: WatchKind,
  ): Promise<Result<Watch<Item>>> => {
    const denied = demand(context, requirement);
    if (denied !== undefined) return denied;
    const start = await startOf(after);
    if (!start.ok) return start;
    const items = mapped(hub.watch({ filter, after: start.value, signal }), map, kind);
    return ok({ position: start.value, items });
  };

  const stateChanges = createStateChanges({ log, runner });

  /** Whoever watches a name is told of an instance that takes another one. */
  const hadName = (name: string, { type, stream, position }: LogEvent): boolean => {
    if (type !== 'ServiceUpdated') return false;
    for (const { document } of runner.store.history<ServiceDocument>('services', streamKey(stream), position))
      return document.name === name;
    return false;
  };

  const serviceChanges =
    (name: string | undefined) =>
    async (events: readonly LogEvent[], position: Position): Promise<readonly ServiceChange[]> => {
      await runner.reached(position, readModelsMs);
      const changes: ServiceChange[] = [];
      for (const event of events) {
        const change = changeNames[event.type];
        const document = runner.store.at<ServiceDocument>(
          'services',
          streamKey(event.stream),
          event.position,
        )?.document;
        if (change === undefined || document === undefined) continue;
        if (name !== undefined && document.name !== name && !hadName(name, event)) continue;
        changes.push({ change, service: serviceView(registry, document), position: event.position });
      }
      return changes;
    };

  return {
    watchMessages: async (
      topic: string,
      input: WatchInput,
      context: Context,
    ): Promise<Result<Watch<Message>>> => {
      if (!isTopicPattern(topic))
        return invalid('/topic', 'must be a topic, in which a segment may be * and the last one >');
      return begin({ scope: 'events:read', topic }, { topic }, input, context, messagesFrom, 'messages');
    },

    watchState: async (
      selector: { readonly key: string } | { readonly prefix: string },
      input: WatchInput,
      context: Context,
    ): Promise<Result<Watch<StateChange>>> => {
      const rule = 'must be 1 to 512 bytes of UTF-8 without control characters';
      if ('key' in selector) {
        const { key } = selector;
        if (!isStateKey(key)) return invalid('/key', rule);
        return begin(
          { scope: 'state:read', key },
          { stream: streamId('state', key) },
          input,
          context,
          stateChanges,
          'state',
        );
      }
      const { prefix } = selector;
      if (!isStatePrefix(prefix)) return invalid('/prefix', rule);
      return begin(
        { scope: 'state:read', prefix },
        { keyPrefix: prefix },
        input,
        context,
        stateChanges,
        'state',
      );
    },

    watchServices: async (
      name: string | undefined,
      input: WatchInput,
      context: Context,
    ): Promise<Result<Watch<ServiceChange>>> => {
      if (name !== undefined && !isServiceName(name))
        return invalid('/name', 'must match [a-z0-9][a-z0-9._-]{0,63}');
      return begin(
        { scope: 'services:read' },
        { category: 'service' },
        input,
        context,
        serviceChanges(name),
        'services',
      );
    },

    watchEvents: async (
      selector: { readonly stream: string } | { readonly category: string } | { readonly all: true },
      input: WatchInput,
      context: Context,
    ): Promise<Result<Watch<LogEvent>>> => {
      const same = (events: readonly LogEvent[]) => events;
      if ('stream' in selector) {
        const { stream } = selector;
        if (!isStreamName(stream)) return invalid('/stream', streamRule);
        return begin(
          streamRequirement(stream),
          { stream: asStreamId(stream) },
          input,
          context,
          same,
          'events',
        );
      }
      if ('category' in selector) {
        const { category } = selector;
        if (!categories.some((known) => known === category)) {
          return invalid('/category', `must be one of ${categories.join(', ')}`);
        }
        return begin({ scope: 'log:read' }, { category }, input, context, same, 'events');
      }
      return begin({ scope: 'log:read' }, { all: true }, input, context, same, 'events');
    },
  };
};
