import type { LogEvent } from '../../domain/event.ts';
import { traceparentOf } from '../core/logs.ts';
import type { Delivery } from '../nexus-subscriptions.ts';
import { destinationOf, messagingSystem } from './messaging.ts';
import type { Tracing } from './tracing.ts';

const delivering = {
  ...messagingSystem,
  'messaging.operation.name': 'deliver',
  'messaging.operation.type': 'receive',
};

/** A span for each event that a watcher takes, the child of what made the event. */
export const markWatched = (tracing: Tracing, kind: string, events: readonly LogEvent[]): void => {
  for (const { stream, metadata } of events) {
    const { traceparent } = metadata;
    if (traceparent === undefined) continue;
    const attributes =
      kind === 'messages'
        ? { ...delivering, ...destinationOf(stream.slice('topic-'.length)) }
        : { 'nexus.watch': kind };
    tracing.mark('deliver', { kind: 'consumer', parent: traceparent, attributes });
  }
};

/** The same for each message that a consumer of a durable subscription takes, further attempts included. */
export const markDelivered = (
  tracing: Tracing,
  subscription: string,
  deliveries: readonly Delivery[],
): void => {
  for (const { message, attempt } of deliveries) {
    const parent = traceparentOf(message);
    if (parent === undefined) continue;
    const attributes = {
      ...delivering,
      ...destinationOf(message.topic),
      'messaging.destination.subscription.name': subscription,
      'nexus.delivery.attempt': attempt,
    };
    tracing.mark('deliver', { kind: 'consumer', parent, attributes });
  }
};
