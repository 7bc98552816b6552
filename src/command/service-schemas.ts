import validSemver from 'semver/functions/valid.js';
import * as z from 'zod';
import type { Json } from '../../domain/event.ts';
import { isMethod, isServiceId, isServiceName } from '../../domain/names.ts';
import { defaultPolicy, type Method, strategies } from '../../domain/service/policy.ts';
import { given } from '../given.ts';
import { isTargetHost } from '../registry/target/targets.ts';
import { roughBytes } from '../rough-bytes.ts';
import { healthCheckUrlFault } from './health-check-url.ts';

/** Input of the commands on services, and of what services and their callers do that is no command. */

const json = z.custom<Json>((value) => value !== undefined, 'is required');
const text = (max: number) => z.string().min(1).max(max);
const whole = (min: number, max: number) => z.number().int().min(min).max(max);
const list = z.array(text(64)).max(64);

export const serviceNameSchema = z
  .string()
  .refine(isServiceName, 'must match [a-z0-9][a-z0-9._-]{0,63}')
  .meta({ pattern: '^[a-z0-9][a-z0-9._-]{0,63}$' });
export const serviceIdSchema = z
  .string()
  .refine(isServiceId, 'must match [A-Za-z0-9._-]{1,128}')
  .meta({ pattern: '^[A-Za-z0-9._-]{1,128}$' });
const methodName = z
  .string()
  .refine(isMethod, 'must be 1 to 8 segments of [A-Za-z0-9_-]{1,64} joined by /')
  .meta({ pattern: '^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}$' });
const timeoutMs = whole(1, 300_000);
const strategy = z.enum(strategies);

/** As domain/interface/version.ts names them. */
const majorSchema = z
  .string()
  .max(64)
  .regex(
    /^(?:[1-9]\d*|0\.[1-9]\d*|0\.0\.(?:0|[1-9]\d*))$/,
    'must be a major version: 1, or 0.3 of 0.x, or 0.0.3',
  );
/** Not looked into: what is said of it that makes no sense constrains nothing. */
const jsonSchema = json.refine(
  (value) =>
    typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value)),
  'must be a JSON Schema: an object or a boolean',
);

/** Every list of services shows them whole. */
const maxDocumentBytes = 65_536;
const isSmall = (value: unknown): boolean => roughBytes(value, maxDocumentBytes) < maxDocumentBytes;
const small = 'must be at most 32 KiB in all';

const { healthCheck, balancing } = defaultPolicy;
const healthCheckSchema = z
  .strictObject({
    intervalMs: whole(500, 3_600_000).default(healthCheck.intervalMs),
    timeoutMs: whole(50, 60_000).optional(),
    healthyThreshold: whole(1, 100).default(healthCheck.healthyThreshold),
    unhealthyThreshold: whole(1, 100).default(healthCheck.unhealthyThreshold),
    graceMs: whole(0, 3_600_000).default(healthCheck.graceMs),
  })
  .refine(({ intervalMs, timeoutMs: limitMs }) => limitMs === undefined || limitMs <= intervalMs, {
    path: ['timeoutMs'],
    error: 'must be at most intervalMs',
  })
  .transform(({ timeoutMs: limitMs, ...rest }) => ({
    ...rest,
    timeoutMs: limitMs ?? Math.min(healthCheck.timeoutMs, rest.intervalMs),
  }));

const balancingSchema = z.strictObject({
  strategy: strategy.default(balancing.strategy),
  slowStartSec: whole(0, 3_600).default(balancing.slowStartSec),
  maxEjectedPercent: whole(0, 100).default(balancing.maxEjectedPercent),
  panicPercent: whole(0, 100).default(balancing.panicPercent),
  maxInFlight: whole(1, 100_000).default(balancing.maxInFlight),
});

const maxMethods = 256;
const methodsSchema = z
  .record(
    methodName,
    z
      .strictObject({
        input: jsonSchema.optional(),
        output: jsonSchema.optional(),
        idempotent: z.boolean().optional(),
        strategy: strategy.optional(),
        timeoutMs: timeoutMs.optional(),
      })
      .transform((method): Method => given(method)),
  )
  .refine((methods) => Object.keys(methods).length <= maxMethods, `must have at most ${maxMethods} methods`)
  .refine(isSmall, small);

const host = text(253).refine(isTargetHost, 'must be a plain host name or an IP address');
const port = whole(1, 65_535);
const healthCheckUrl = z
  .string()
  .max(2_048)
  .superRefine((value, context) => {
    const message = healthCheckUrlFault(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
const shape = {
  name: serviceNameSchema,
  version: z
    .string()
    .max(128)
    .refine((value) => validSemver(value) !== null, 'must be a semantic version'),
  protocol: z.enum(['http', 'https']),
  capabilities: list,
  healthCheckUrl: healthCheckUrl.nullable(),
  ttlSec: whole(1, 86_400).nullable(),
  weight: whole(1, 1_000),
  tags: list,
  metadata: z.record(text(128), json).refine(isSmall, small),
  healthCheck: healthCheckSchema,
  removeAfterSec: whole(10, 31_536_000).nullable(),
  balancing: balancingSchema,
  methods: methodsSchema,
};

/** Where an instance stands that is called over its own WebSocket: nowhere that a connection could be made to. */
const noAddress = { host: 'socket', port: 0 };

const registerService = z
  .strictObject({
    id: serviceIdSchema.optional(),
    name: shape.name,
    version: shape.version,
    host: host.optional(),
    port: port.optional(),
    protocol: shape.protocol.default('http'),
    capabilities: shape.capabilities.default([]),
    healthCheckUrl: shape.healthCheckUrl.default(null),
    ttlSec: shape.ttlSec.default(null),
    weight: shape.weight.default(1),
    tags: shape.tags.default([]),
    metadata: shape.metadata.default({}),
    healthCheck: shape.healthCheck.default(healthCheck),
    removeAfterSec: shape.removeAfterSec.default(defaultPolicy.removeAfterSec),
    balancing: shape.balancing.default(balancing),
    methods: shape.methods.default({}),
    reach: z.enum(['direct', 'socket']).default('direct'),
  })
  .check(({ value, issues }) => {
    const isSocket = value.reach === 'socket';
    const add = (field: 'host' | 'port' | 'healthCheckUrl', message: string): void => {
      issues.push({ code: 'custom', path: [field], message, input: value[field] });
    };
    for (const field of ['host', 'port'] as const) {
      if (!isSocket && value[field] === undefined) add(field, 'is required');
      if (isSocket && value[field] !== undefined)
        add(field, 'is not for an instance that is called over its WebSocket');
    }
    if (isSocket && value.healthCheckUrl !== null)
      add('healthCheckUrl', 'is not for an instance that is called over its WebSocket');
  })
  .transform(({ host: place, port: number, ...rest }) => ({
    ...rest,
    host: place ?? noAddress.host,
    port: number ?? noAddress.port,
  }));

const updateService = z.strictObject({
  id: serviceIdSchema,
  status: z.enum(['draining', 'maintenance', 'healthy']).optional(),
  reason: text(512).optional(),
  ...z.object({ ...shape, host, port }).partial().shape,
});

export const serviceSchemas = {
  RegisterService: registerService,
  UpdateService: updateService,
  DeregisterService: z.strictObject({ id: serviceIdSchema, reason: text(512).optional() }),
  RetireInterface: z.strictObject({
    name: serviceNameSchema,
    major: majorSchema,
    reason: text(512).optional(),
  }),
} as const;

/** What of a registration may be changed on its way. */
export const registrationChange = z
  .strictObject({ metadata: shape.metadata, tags: shape.tags, weight: shape.weight })
  .partial();

export const heartbeatSchema = z.strictObject({
  load: z.number().min(0).max(1).optional(),
  status: z.enum(['healthy', 'degraded', 'unhealthy']).optional(),
  metrics: z.record(text(128), json).optional(),
});

export const invokeSchema = z.strictObject({
  method: methodName,
  data: json.optional(),
  strategy: strategy.optional(),
  /** What `consistent-hash` and `sticky` go by. */
  key: text(256).optional(),
  capability: text(64).optional(),
  timeoutMs: timeoutMs.optional(),
  /** The call may be repeated when nobody knows whether it has arrived. */
  idempotent: z.boolean().optional(),
});

/** Of a connection over which an instance is called. */
export const serveSchema = z.strictObject({
  service: serviceIdSchema,
  /** Calls at a time. */
  max: whole(1, 1_000).default(64),
});

/** Of a request through the proxy, by the header fields that say it. */
export const proxySchema = z.strictObject({
  'X-Nexus-Strategy': strategy.optional(),
  'X-Nexus-Key': text(256).optional(),
  'X-Nexus-Capability': text(64).optional(),
  'X-Nexus-Timeout-Ms': z
    .string()
    .regex(/^[0-9]{1,9}$/, 'must be a number of milliseconds')
    .transform(Number)
    .pipe(timeoutMs)
    .optional(),
});
