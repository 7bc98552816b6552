import * as z from 'zod';
import { commandDone, event, eventPage, graphqlAnswer, health, live, streamPage } from '../answers/log.ts';
import { command } from '../command.ts';
import { answer, jsonType, type Parameter, type Section } from '../describe.ts';
import { after, limit } from './parameters.ts';

const time = z.iso.datetime({ offset: true });
const ndjson = 'application/x-ndjson';
const stream: Parameter = { schema: z.string().min(1), about: 'Its name.', example: 'state-app_config' };

const graphqlRequest = z.object({
  query: z.string().max(32_768).optional(),
  operationName: z.string().nullable().optional(),
  variables: z.looseObject({}).nullable().optional(),
  extensions: z.looseObject({}).nullable().optional(),
});
const query = 'query { state(key: "app_config") { key value version } }';
const graphqlContent = {
  [jsonType]: graphqlAnswer,
  'application/graphql-response+json': graphqlAnswer,
  'text/event-stream': graphqlAnswer,
};

const graphqlAnswers = {
  200: { about: 'Data, errors or both.', content: graphqlContent },
  400: { about: 'A request that was not executed.', content: graphqlContent },
};

export const hub: Section = {
  name: 'Hub',
  about: 'The log of all events, commands by their type, GraphQL, and how the hub is.',
  operations: {
    'POST /commands': {
      id: 'execute',
      summary: 'Run any command',
      notes: '`data` is the body of the matching route and its path parameters by name.',
      bodies: [
        {
          schema: command,
          examples: {
            set: { type: 'SetState', data: { key: 'greeting', value: 'hello' }, commandId: 'greet-1' },
            publish: { type: 'PublishMessage', data: { topic: 'greetings', payload: 'hello' } },
          },
        },
      ],
      answers: { 200: answer('The events that it made.', commandDone, 'X-Nexus-Position') },
      codes: [
        'not_found',
        'version_conflict',
        'revision_conflict',
        'patch_failed',
        'not_a_number',
        'lock_held',
        'lock_lost',
        'not_a_lock',
        'id_taken',
        'breaking_change',
        'interface_in_use',
        'quota_exceeded',
        'plugin_rejected',
        'plugin_in_use',
        'not_supported',
      ],
    },
    'GET /log': {
      id: 'readLog',
      summary: 'Read everything that happened, in order',
      query: {
        after,
        limit,
        type: { schema: z.string(), about: 'Events of this type.', example: 'StateSet' },
        category: { schema: z.string(), about: 'Of streams of this category.', example: 'state' },
        stream: { ...stream, about: 'Of this stream.' },
        correlationId: { schema: z.string(), about: 'With this correlation id.', example: 'r-1' },
        from: { schema: time, about: 'Recorded at this time or later.', example: '2026-01-01T00:00:00Z' },
        to: { schema: time, about: 'Recorded at this time or before.', example: '2099-01-01T00:00:00Z' },
      },
      answers: {
        200: {
          about: 'A page; as NDJSON one event a line, up to `limit` or the end of the log.',
          content: { [jsonType]: eventPage, [ndjson]: event },
        },
      },
    },
    'GET /streams/{stream}': {
      id: 'readStream',
      summary: 'Read the events of one stream',
      path: { stream },
      query: {
        from: { schema: z.number().int().min(0), about: 'From this revision on.', example: 0 },
        limit,
        direction: {
          schema: z.enum(['forwards', 'backwards']),
          about: 'In this order.',
          example: 'backwards',
        },
      },
      answers: { 200: answer('A page.', streamPage) },
      codes: ['not_found'],
    },
    'POST /graphql': {
      id: 'graphql',
      summary: 'Ask or change by GraphQL',
      notes:
        'GraphQL over HTTP; subscriptions by server-sent events, or over a WebSocket (docs/protocol.md).',
      idempotencyKey: false,
      bodies: [
        {
          schema: graphqlRequest,
          examples: {
            query: { query },
            variables: {
              query: 'query ($key: String!) { state(key: $key) { version } }',
              variables: { key: 'app_config' },
            },
            mutation: {
              query:
                'mutation { publishEvent(topic: "test.event", payload: "{\\"data\\": \\"test\\"}") { success messageId } }',
            },
          },
        },
      ],
      answers: graphqlAnswers,
    },
    'GET /graphql': {
      id: 'graphqlQuery',
      summary: 'Ask by GraphQL',
      notes: 'No mutations.',
      query: {
        query: {
          schema: z.string(),
          about: 'The document.',
          required: true,
          example: '{ health { status } }',
        },
        operationName: { schema: z.string(), about: 'Of several operations this one.' },
        variables: { schema: z.string(), about: 'As JSON.', example: '{}' },
      },
      answers: graphqlAnswers,
    },
    'GET /health': {
      id: 'readHealth',
      summary: 'Read how the hub is',
      answers: {
        200: answer('It serves, if `degraded` with delay.', health),
        503: answer('It is `down`.', health),
      },
    },
    'GET /health/live': {
      id: 'probeLive',
      summary: 'Ask whether the process answers',
      answers: { 200: answer('It does.', live) },
    },
    'GET /health/ready': {
      id: 'probeReady',
      summary: 'Ask whether reads are served',
      answers: { 200: answer('They are.', live) },
      codes: ['not_ready', 'shutting_down'],
    },
    'GET /metrics': {
      id: 'readMetrics',
      summary: 'Read figures of the hub, for Prometheus',
      answers: { 200: { about: 'The text format of Prometheus.', content: { 'text/plain': z.string() } } },
    },
    'GET /openapi.json': {
      id: 'readOpenapi',
      summary: 'Read this document',
      headers: ['If-None-Match'],
      answers: {
        200: answer('OpenAPI 3.1.', z.looseObject({ openapi: z.string() }), 'ETag'),
        304: { about: 'The client has it.', headers: ['ETag'] },
      },
    },
    'GET /asyncapi.json': {
      id: 'readAsyncapi',
      summary: 'Read what WebSocket, server-sent events and ZeroMQ take and send',
      headers: ['If-None-Match'],
      answers: {
        200: answer('AsyncAPI 3.', z.looseObject({ asyncapi: z.string() }), 'ETag'),
        304: { about: 'The client has it.', headers: ['ETag'] },
      },
    },
  },
};
