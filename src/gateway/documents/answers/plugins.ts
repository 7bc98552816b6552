import * as z from 'zod';
import { grantedPermissionsSchema, pluginLimitsSchema } from '../../../command/plugin-schemas.ts';
import { component } from '../json-schema.ts';
import { position, time } from './common.ts';

const counts = z.record(z.string(), z.number());
const limits = component('PluginLimits', pluginLimitsSchema.required());
const permissions = component('PluginPermissions', grantedPermissionsSchema.required());
const hash = z.string().describe('Of all that a folder holds: `sha256-` and base64url.');
const fields = {
  name: z.string(),
  version: z.string(),
  description: z.string(),
  status: z.enum(['available', 'disabled', 'starting', 'enabled', 'quarantined', 'failed', 'missing']),
  statusReason: z.string(),
  bundled: z.boolean().describe('Whether it comes with the hub.'),
  trust: z.enum(['low', 'normal', 'trusted']),
  hash,
  signedBy: z.string().nullable().describe('Name of the key of a good signature.'),
  offered: z
    .object({ version: z.string(), hash })
    .describe('What the folder holds when that is another version.')
    .optional(),
  permissions: permissions.describe('What it may do: asked for, and granted.'),
  requested: permissions.describe('What its manifest asks for.'),
  limits,
  dependencies: z.record(z.string(), z.string()).describe('Semver ranges by name.'),
  metrics: z.object({
    calls: z.number(),
    failures: counts,
    wishes: z.number().describe('Calls that it made of the hub.'),
    refused: counts.describe('What it asked for and was not granted, by operation.'),
    limited: counts,
    restarts: z.number(),
    heapBytes: z.number(),
    cpuMs: z.number(),
    p50Ms: z.number().nullable(),
    p99Ms: z.number().nullable(),
  }),
  lastError: z.object({ at: time, reason: z.string() }).optional(),
};

export const plugin = component('Plugin', z.object(fields));
export const pluginDone = component('PluginDone', z.object({ ...fields, position }));
export const pluginList = component('PluginList', z.object({ plugins: z.array(plugin), position }));

const version = z.object({ version: z.string(), hash });
const latency = z.object({ p50: z.number().nullable(), p99: z.number().nullable() });
const any = z.unknown();
export const shadowReport = component(
  'ShadowReport',
  z.object({
    name: z.string(),
    running: version,
    shadow: version,
    minutes: z.number(),
    calls: z.number().describe('Shown to it.'),
    notShown: z.number().describe('Recorded, and not shown to it: too many, too slow, or it died.'),
    differentAnswers: z.number(),
    missingWishes: z.number().describe('Of the running version alone.'),
    additionalWishes: z.number(),
    differentWishes: z.number(),
    wishesLeftOut: z
      .number()
      .describe(
        'Of the shadow, too many or too large to be kept: not compared, or not seen by its later reads.',
      ),
    refused: counts,
    failures: counts,
    latencyMs: z.object({ running: latency, shadow: latency }),
    differences: z.array(z.object({ target: z.string(), input: any, running: any, shadow: any })),
    wishes: z.array(z.object({ operation: z.string(), running: any, shadow: any })),
  }),
);
