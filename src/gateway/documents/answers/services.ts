import * as z from 'zod';
import { strategies } from '../../../../domain/service/policy.ts';
import { serviceStatuses, statusCauses } from '../../../../domain/service/service.ts';
import { component } from '../json-schema.ts';
import { count, cursor, json, position, texts, time } from './common.ts';

const circuit = component(
  'OpenCircuit',
  z
    .object({
      reason: z.string(),
      since: time,
      until: time,
      openings: z.number().int().min(1).describe('How often it opened since it was last closed.'),
    })
    .describe('Nobody calls the instance before `until`; then one call at a time tries it, on each node.'),
);

const method = z.object({
  input: json.optional(),
  output: json.optional(),
  idempotent: z.boolean().optional(),
  strategy: z.enum(strategies).optional(),
  timeoutMs: count.optional(),
});

export const serviceStatus = z.enum(serviceStatuses);

export const service = component(
  'Service',
  z
    .object({
      id: z.string(),
      name: z.string(),
      version: z.string().describe('Semantic version.'),
      host: z.string(),
      port: count,
      protocol: z.enum(['http', 'https']),
      capabilities: texts,
      healthCheckUrl: z.string().nullable(),
      ttlSec: z.number().nullable(),
      status: serviceStatus,
      statusReason: z.string(),
      statusCause: z.enum(statusCauses).nullable(),
      statusSince: time,
      load: z.number().min(0).max(1).nullable().describe('As its last heartbeat said.'),
      inFlight: count.describe('Calls that run now, of this node.'),
      weight: z.number(),
      tags: texts,
      metadata: z.record(z.string(), json),
      healthCheck: z.object({
        intervalMs: count,
        timeoutMs: count,
        healthyThreshold: count,
        unhealthyThreshold: count,
        graceMs: count,
      }),
      removeAfterSec: z.number().nullable(),
      balancing: z.object({
        strategy: z.enum(strategies),
        slowStartSec: count,
        maxEjectedPercent: count,
        panicPercent: count,
        maxInFlight: count,
      }),
      methods: z.record(z.string(), method),
      reach: z.enum(['direct', 'socket']),
      circuit: circuit.nullable(),
      registeredAt: time,
      lastSeenAt: time,
      revision: count,
    })
    .describe('One instance of a service.'),
);

export const registered = component('RegisteredService', z.object({ service, position }));
export const serviceList = component(
  'ServiceList',
  z.object({ services: z.array(service), position, cursor }),
);
export const heard = component('Heard', z.object({ ttlSec: z.number().nullable(), status: serviceStatus }));
export const invoked = component(
  'Invoked',
  z.object({
    result: json,
    instance: z.string().describe('Id of the instance that answered.'),
    attempts: z.number().int().min(1),
    durationMs: z.number().min(0),
  }),
);

const interfaceVersion = z.object({
  major: z.string(),
  version: z.string(),
  methods: z.record(
    z.string(),
    z.object({ input: json.optional(), output: json.optional(), idempotent: z.literal(true).optional() }),
  ),
  declaredBy: z.string(),
  declaredAt: time,
  position,
});
export const serviceInterface = component(
  'ServiceInterface',
  z
    .object({ name: z.string(), interfaces: z.array(interfaceVersion) })
    .describe('The newest interface of each major version of a service.'),
);
export const interfaceList = component(
  'InterfaceList',
  z.object({ interfaces: z.array(serviceInterface), position, cursor }),
);
