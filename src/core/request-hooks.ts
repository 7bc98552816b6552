import * as z from 'zod';
import { ok } from '../errors.ts';
import type { HookApi, HookedFields, HookedRequest } from '../nexus-hooks.ts';
import { verdicts } from '../plugin/hooks/answers.ts';
import type { Hooks } from '../plugin/hooks/hooks.ts';

const maxFields = 16;
const maxValueLength = 1_024;

/** What the hub says itself, what proxies and browsers act on, and what carries secrets. */
const ownNames: ReadonlySet<string> = new Set([
  'x-request-id',
  'x-correlation-id',
  'x-content-type-options',
  'x-frame-options',
  'x-xss-protection',
  'x-sendfile',
  'x-dns-prefetch-control',
  'x-permitted-cross-domain-policies',
  'accept-patch',
  'accept-ranges',
  'age',
  'allow',
  'alt-svc',
  'authorization',
  'cache-control',
  'clear-site-data',
  'edge-control',
  'connection',
  'cookie',
  'date',
  'etag',
  'expires',
  'host',
  'idempotent-replayed',
  'keep-alive',
  'last-modified',
  'link',
  'location',
  'nel',
  'origin-agent-cluster',
  'permissions-policy',
  'pragma',
  'referrer-policy',
  'refresh',
  'report-to',
  'reporting-endpoints',
  'retry-after',
  'server',
  'service-worker-allowed',
  'set-cookie',
  'sourcemap',
  'status',
  'strict-transport-security',
  'te',
  'timing-allow-origin',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'via',
  'www-authenticate',
]);
const ownPrefixes = [
  'access-control-',
  'content-',
  'cross-origin-',
  'proxy-',
  'ratelimit',
  'sec-',
  'surrogate-',
  'x-accel-',
  'x-nexus-',
];

const fieldName = z
  .string()
  .regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'must be a token in lower case')
  .refine(
    (name) =>
      !ownNames.has(name) &&
      !ownPrefixes.some((prefix) => name.startsWith(prefix)) &&
      // `cdn-cache-control` and its like, by which proxies keep what is for one client for all.
      !name.endsWith('cache-control'),
    'is a header field of the hub’s own',
  );
const fieldValue = z
  .string()
  .max(maxValueLength)
  .regex(/^[\x20-\x7e]*$/, 'must be visible ASCII');
const fieldsSchema = z
  .record(fieldName, fieldValue)
  .refine((fields) => Object.keys(fields).length <= maxFields, `must be ${maxFields} at most`);
const answers = verdicts(z.strictObject({ headers: fieldsSchema }));

/** The hook `on_request`, for those who take requests. */
export const createRequestHooks = (hooks: Hooks): HookApi => {
  const ask = (request: HookedRequest) =>
    hooks.ask<HookedFields, { readonly headers: HookedFields }>({
      hook: 'on_request',
      name: request.path,
      subject: request.subject,
      value: {},
      answers,
      input: () => ({ ...request }),
      change: (fields, { headers }) => ok({ ...fields, ...headers }),
    });
  return {
    requestHooks: {
      get ask() {
        return hooks.on_request === undefined ? undefined : ask;
      },
    },
  };
};
