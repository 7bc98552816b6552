import * as z from 'zod';
import { isServicePattern } from '../../domain/access.ts';
import { prefixOf } from '../../domain/names.ts';
import { type hookNames, isPluginName } from '../../domain/plugin/manifest.ts';
import { isResolverName } from '../../domain/state/resolvers.ts';
import { statePatternSchema } from './policy-schemas.ts';
import { anyJson } from './state-schemas.ts';
import { topicPatternSchema } from './subscription-schemas.ts';

/** Inputs of the commands on plugins. Permissions and limits are those of `plugin.json` too. */

const whole = (min: number, max: number) => z.number().int().min(min).max(max);

export const pluginNameSchema = z
  .string()
  .refine(isPluginName, 'must match [a-z][a-z0-9-]{0,63}')
  .meta({ pattern: '^[a-z][a-z0-9-]{0,63}$' });

const hash = z
  .string()
  .regex(/^sha256-[A-Za-z0-9_-]{43}$/, 'must be sha256- and 43 characters of base64url')
  .meta({ description: 'Of all that the folder holds.' });

const servicePattern = z
  .string()
  .refine(isServicePattern, 'must be the name of a service, or a prefix of names and * behind it')
  .meta({ minLength: 1, maxLength: 65 });

const isPathPattern = (text: string): boolean =>
  text.length <= 1_024 && text.startsWith('/') && !(prefixOf(text) ?? text).includes('*');
const pathPattern = z
  .string()
  .refine(isPathPattern, 'must be a path that begins with /, or a prefix of paths and * behind it')
  .meta({ minLength: 1, maxLength: 1_024 });

/** An origin as URLs tell it: scheme, host, and a port that is not the scheme's own. */
const isOrigin = (text: string): boolean => {
  const url = text.length <= 512 ? URL.parse(text) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
};
const origin = z
  .string()
  .refine(isOrigin, 'must be an origin such as https://api.example.com')
  .meta({ minLength: 1, maxLength: 512 });

const resolverName = z
  .string()
  .refine(
    isResolverName,
    'must be the name of a resolver: a lower-case letter, then letters, digits and hyphens',
  )
  .meta({ minLength: 1, maxLength: 64 });

const hook = (match: z.ZodType<string>) =>
  z.strictObject({
    match: z.array(match).min(1).max(32),
    order: whole(-1_000, 1_000).default(0),
    timeoutMs: whole(1, 10_000).default(1_000),
    onFailure: z.enum(['skip', 'refuse']).default('skip'),
  });
const ofService = hook(servicePattern).exactOptional();
const ofTopic = hook(topicPatternSchema).exactOptional();
const ofKey = hook(statePatternSchema).exactOptional();

const hooks = z.strictObject({
  before_service_register: ofService,
  before_service_invoke: ofService,
  after_service_invoke: ofService,
  before_publish: ofTopic,
  after_publish: ofTopic,
  before_state_change: ofKey,
  after_state_change: ofKey,
  on_request: hook(pathPattern).exactOptional(),
} satisfies Record<(typeof hookNames)[number], z.ZodType>);

const list = <Item extends z.ZodType>(item: Item) => z.array(item).max(64).default([]);
const stateLists = z.strictObject({ read: list(statePatternSchema), write: list(statePatternSchema) });
const serviceRights = z.strictObject({ list: z.boolean().default(false), invoke: list(servicePattern) });

const permissions = <Origin extends z.ZodType>(fetched: Origin) =>
  z.strictObject({
    publish: list(topicPatternSchema),
    subscribe: list(topicPatternSchema),
    state: stateLists.default({ read: [], write: [] }),
    services: serviceRights.default({ list: false, invoke: [] }),
    fetch: list(fetched),
    hooks: hooks.default({}),
    resolvers: list(resolverName),
  });

/** What an operator grants. */
export const grantedPermissionsSchema = permissions(origin);
/** What a manifest asks for: any origin that the operator names, by `*`. */
export const requestedPermissionsSchema = permissions(z.union([z.literal('*'), origin]));

const limitRanges = {
  memoryMb: whole(8, 512),
  cpuMsPerCall: whole(1, 10_000),
  timeoutMs: whole(1, 30_000),
  callsPerSec: whole(1, 100_000),
  messageBytes: whole(1_024, 1_048_576),
} as const;
/** Each of them may be left out. */
export const pluginLimitsSchema = z.strictObject(limitRanges).partial();

const reason = z.string().min(1).max(512).optional();
const name = { name: pluginNameSchema };

export const pluginSchemas = {
  EnablePlugin: z.strictObject({
    ...name,
    permissions: z.union([z.literal('requested'), grantedPermissionsSchema]).optional(),
    limits: pluginLimitsSchema.optional(),
    config: anyJson.optional(),
    hash: hash.nullable().optional(),
  }),
  DisablePlugin: z.strictObject({ ...name, reason }),
  ReloadPlugin: z.strictObject({ ...name, hash: hash.optional() }),
} as const;

/** `POST /plugins/{name}/shadow`: minutes of what the running version was called for. */
export const shadowSchema = z.strictObject({ minutes: whole(1, 60).default(10) });
