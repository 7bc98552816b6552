import * as z from 'zod';
import { commandSchemas } from '../../../command/catalog.ts';
import {
  heartbeatSchema,
  invokeSchema,
  serviceIdSchema,
  serviceNameSchema,
} from '../../../command/service-schemas.ts';
import {
  heard,
  interfaceList,
  invoked,
  registered,
  service,
  serviceInterface,
  serviceList,
  serviceStatus,
} from '../answers/services.ts';
import { type Answer, answer, nothing, type Parameter, type Section } from '../describe.ts';
import { asOf, cursor, limit } from './parameters.ts';

const id: Parameter = { schema: serviceIdSchema, about: 'Id of the instance.', example: 'adder-1' };
const name: Parameter = { schema: serviceNameSchema, about: 'Name of the service.', example: 'adder' };
const major: Parameter = {
  schema: commandSchemas.RetireInterface.shape.major,
  about: 'The major version: `1`; `0.3` of 0.x.',
  example: '2',
};
const path: Parameter = {
  schema: z.string(),
  about: 'What follows is passed on as it is, slashes and query included.',
  example: 'add',
};
const addition = {
  input: {
    type: 'object',
    properties: { a: { type: 'number' }, b: { type: 'number' } },
    required: ['a', 'b'],
  },
  output: { type: 'number' },
  idempotent: true,
};

export const services: Section = {
  name: 'Services',
  about: 'The registry: instances, their health, what they can do, and calls to them.',
  operations: {
    'POST /services': {
      id: 'registerService',
      summary: 'Register an instance of a service',
      notes:
        'Again with the same id it replaces what was registered. Without `healthCheckUrl` and `ttlSec` the instance is healthy at once; with `reach: "socket"` it has neither `host` nor `port`, and is called over the WebSocket that it opens.',
      bodies: [
        {
          examples: {
            plain: {
              id: 'adder-1',
              name: 'adder',
              version: '1.0.0',
              host: '127.0.0.1',
              port: 9000,
              capabilities: ['arithmetic'],
              tags: ['example'],
              metadata: { team: 'sums' },
            },
            methods: {
              id: 'adder-2',
              name: 'adder',
              version: '2.0.0',
              host: '127.0.0.1',
              port: 9000,
              methods: { add: addition },
            },
            socket: { id: 'adder-3', name: 'hidden-adder', version: '1.0.0', reach: 'socket', ttlSec: 30 },
          },
        },
      ],
      answers: {
        201: answer('Registered.', registered, 'Location'),
        200: answer('It was known, and has these fields now.', registered, 'Location'),
      },
      codes: ['id_taken', 'breaking_change'],
    },
    'GET /services': {
      id: 'listServices',
      summary: 'List instances',
      notes: 'Whole, by id; with `limit` or `cursor` in pages.',
      query: {
        name: { schema: serviceNameSchema, about: 'Of this service.', example: 'adder' },
        capability: {
          schema: z.array(z.string()),
          about: 'Each that is named must be there.',
          example: 'arithmetic',
          repeatable: true,
        },
        status: { schema: serviceStatus, about: 'In this status.', example: 'healthy' },
        version: { schema: z.string(), about: 'In this semver range.', example: '^1.0.0' },
        tag: { schema: z.string(), about: 'With this tag.', example: 'example' },
        reach: { schema: z.enum(['direct', 'socket']), about: 'Called in this way.', example: 'direct' },
        asOf,
        limit,
        cursor,
      },
      answers: { 200: answer('The instances that match all filters.', serviceList) },
      codes: ['too_large'],
    },
    'GET /services/{id}': {
      id: 'readService',
      summary: 'Read an instance',
      path: { id },
      query: { asOf },
      answers: { 200: answer('The instance.', service) },
      codes: ['not_found'],
    },
    'PATCH /services/{id}': {
      id: 'updateService',
      summary: 'Change an instance, or take it out of service',
      path: { id },
      bodies: [
        {
          examples: {
            draining: { status: 'draining', reason: 'a new version comes' },
            healthy: { status: 'healthy' },
            fields: { weight: 2, tags: ['example', 'large'] },
          },
        },
      ],
      answers: { 200: answer('The instance as it is now.', service) },
      codes: ['not_found', 'id_taken', 'breaking_change'],
    },
    'POST /services/{id}/heartbeat': {
      id: 'heartbeat',
      summary: 'Say that an instance lives',
      notes: 'Counted apart from other requests. No event is made of it; what it changes is one.',
      path: { id },
      idempotencyKey: false,
      bodies: [
        {
          schema: heartbeatSchema,
          required: false,
          examples: { load: { load: 0.25, metrics: { queue: 3 } }, empty: {} },
        },
      ],
      answers: { 200: answer('When the next is due, and what the hub holds of it.', heard) },
      codes: ['not_found', 'id_taken'],
    },
    'POST /services/{name}/invoke': {
      id: 'invokeService',
      summary: 'Call a method of a service',
      notes:
        'The hub chooses an instance, and calls `POST {protocol}://{host}:{port}/{method}` with `data` as JSON. What may be repeated safely is tried again elsewhere when it fails.',
      path: { name },
      headers: ['X-Nexus-Timeout-Ms', 'X-Nexus-Deadline'],
      idempotencyKey: false,
      bodies: [
        {
          schema: invokeSchema,
          examples: {
            plain: { method: 'add', data: { a: 1, b: 2 } },
            choosing: {
              method: 'add',
              data: { a: 1, b: 2 },
              capability: 'arithmetic',
              strategy: 'round-robin',
              timeoutMs: 5000,
              idempotent: true,
            },
          },
        },
      ],
      answers: { 200: answer('What the instance answered.', invoked, 'X-Nexus-Instance') },
      codes: [
        'service_not_found',
        'no_healthy_instance',
        'upstream_failed',
        'target_refused',
        'upstream_timeout',
      ],
    },
    ...proxied(),
    'GET /interfaces': {
      id: 'listInterfaces',
      summary: 'List the interfaces of all services',
      query: { limit, cursor },
      answers: { 200: answer('By name.', interfaceList) },
    },
    'GET /interfaces/{name}': {
      id: 'readInterface',
      summary: 'Read what a service’s methods take and answer, by major version',
      path: { name },
      answers: { 200: answer('The newest of each major version.', serviceInterface) },
      codes: ['not_found'],
    },
    'DELETE /services/{id}': {
      id: 'deregisterService',
      summary: 'Deregister an instance',
      path: { id: { ...id, example: 'adder-2' } },
      bodies: [{ required: false, examples: { reason: { reason: 'it moved' } } }],
      answers: { 204: nothing },
      codes: ['not_found', 'id_taken'],
    },
    'DELETE /interfaces/{name}/{major}': {
      id: 'retireInterface',
      summary: 'Forget the interface of a major version',
      path: { name, major },
      bodies: [{ required: false, examples: { reason: { reason: 'nobody uses it' } } }],
      answers: { 204: nothing },
      codes: ['not_found', 'interface_in_use'],
    },
  },
};

/** One route takes every method; each is written out, as OpenAPI has no word for that. */
function proxied(): Section['operations'] {
  const passed: Answer = {
    about: 'Whatever the instance answers, its status included.',
    content: { '*/*': z.unknown() },
    headers: ['X-Nexus-Instance'],
  };
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
  return Object.fromEntries(
    methods.map((method) => [
      `${method} /proxy/{name}/{path}`,
      {
        id: `proxy${method.charAt(0)}${method.slice(1).toLowerCase()}`,
        summary: `Pass a ${method} on to a service`,
        notes: 'Streamed both ways. WebSockets are passed through, too.',
        path: { name, path },
        headers: ['X-Nexus-Timeout-Ms', 'X-Nexus-Deadline'],
        idempotencyKey: false,
        ...(method === 'GET' || method === 'DELETE'
          ? {}
          : {
              bodies: [
                { type: '*/*', schema: z.unknown(), required: false, examples: {} },
                { schema: z.unknown(), required: false, examples: { sum: { a: 1, b: 2 } } },
              ],
            }),
        answers: { 200: passed },
        codes: [
          'service_not_found',
          'no_healthy_instance',
          'upstream_failed',
          'target_refused',
          'upstream_timeout',
        ],
      } as const,
    ]),
  );
}
