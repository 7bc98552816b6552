import * as z from 'zod';
import { component } from '../json-schema.ts';
import { count, json, more, position, time } from './common.ts';

export const eventFields = {
  id: z.string(),
  stream: z.string(),
  revision: count,
  position,
  data: json,
  metadata: z.object({
    recordedAt: time,
    actor: z.string(),
    correlationId: z.string(),
    causationId: z.string().nullable(),
    commandId: z.string().optional(),
    commandHash: z.string().optional(),
    traceparent: z.string().optional(),
    transaction: z
      .object({ index: count, count, succeeded: z.boolean() })
      .describe('The events of one transaction stand one behind the other.')
      .optional(),
    node: z.string(),
    schema: z.number().int().min(1).describe('Version of the shape of `data`.'),
  }),
};
export const event = component('Event', z.object({ type: z.string(), ...eventFields }));
export const eventPage = component('EventPage', z.object({ events: z.array(event), position, more }));
export const streamPage = component(
  'StreamPage',
  z.object({ stream: z.string(), events: z.array(event), more }),
);

export const receipt = z.object({
  id: z.string(),
  type: z.string(),
  stream: z.string(),
  revision: count,
  position,
});
export const commandDone = component(
  'CommandDone',
  z.object({
    commandId: z.string(),
    events: z.array(receipt),
    result: json.describe('What the route of the command answers with.'),
  }),
);

export const health = component(
  'Health',
  z.object({
    status: z.enum(['ok', 'degraded', 'down']),
    version: z.string(),
    uptimeSec: z.number().min(0),
    node: z.string(),
    log: z.object({
      kind: z.enum(['embedded', 'redis', 'eventstoredb']),
      reachable: z.boolean(),
      position: position.nullable(),
      durability: json.describe('What an acknowledged write has survived (docs/guarantees.md).'),
    }),
    projections: z.array(z.object({ name: z.string(), position: position.nullable(), lagEvents: count })),
  }),
);
export const live = component('Alive', z.object({ status: z.enum(['ok', 'ready']) }));

export const graphqlAnswer = component(
  'GraphqlAnswer',
  z.looseObject({
    data: z.looseObject({}).nullable().optional(),
    errors: z.array(z.looseObject({ message: z.string() })).optional(),
  }),
);
