import type { Attributes } from '@opentelemetry/api';

const maxTopicLength = 256;

export const messagingSystem = { 'messaging.system': 'nexus' } as const;

/** What a message is published to, as the semantic conventions of messaging have it. */
export const destinationOf = (topic: string | undefined): Attributes =>
  topic === undefined ? {} : { 'messaging.destination.name': topic.slice(0, maxTopicLength) };
