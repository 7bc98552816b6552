import { isCommandType } from '../command/catalog.ts';
import type { CommandInput, NexusCore } from '../nexus-core.ts';
import { destinationOf, messagingSystem } from './messaging.ts';
import type { ActivityOptions, Tracing } from './tracing.ts';

type Execute = NexusCore['execute'];

const topicOf = (data: unknown): string | undefined =>
  typeof data === 'object' && data !== null && 'topic' in data && typeof data.topic === 'string'
    ? data.topic
    : undefined;

const optionsOf = ({ type, data }: CommandInput): ActivityOptions => {
  const command = isCommandType(type) ? type : 'unknown';
  if (command !== 'PublishMessage') return { kind: 'internal', attributes: { 'nexus.command': command } };
  return {
    kind: 'producer',
    attributes: {
      'nexus.command': command,
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      ...messagingSystem,
      ...destinationOf(topicOf(data)),
    },
  };
};

/** A span for each command; its events carry that span as their `traceparent`. */
export const traceCommands = (execute: Execute, tracing: Tracing | undefined): Execute => {
  if (tracing === undefined) return execute;
  return async (input, context) => {
    const options = optionsOf(input);
    const name = options.kind === 'producer' ? 'publish' : `command ${options.attributes?.['nexus.command']}`;
    const activity = tracing.start(name, { ...options, parent: context.traceparent });
    try {
      const done = await execute(input, { ...context, traceparent: activity.traceparent });
      activity.end(done.ok ? undefined : done.problem.code);
      return done;
    } catch (error) {
      activity.end('thrown');
      throw error;
    }
  };
};
