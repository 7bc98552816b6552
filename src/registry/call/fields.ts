/** Header fields as Node and undici have them: names and values in turn. */
export type Fields = readonly string[];

/** RFC 9110, section 7.6.1: they are between two neighbours, and no part of the message. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/**
 * Fields that `Connection` may name without effect: without them the message would mean something else, and whoever
 * can make a proxy drop them can use it to do so.
 */
const protectedFields = new Set([
  'accept',
  'accept-encoding',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-security-policy',
  'content-type',
  'date',
  'etag',
  'idempotency-key',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'origin',
  'range',
  'retry-after',
  'vary',
  'www-authenticate',
]);

type Rule = { readonly names: ReadonlySet<string>; readonly prefixes: readonly string[] };

const ofRequest: Rule = {
  names: new Set([
    ...hopByHop,
    // The instance's own, and framing, which each connection has of its own.
    'host',
    'content-length',
    'expect',
    'http2-settings',
    // The hub's: the token is for the hub alone, and cookies of its origin are for nobody.
    'authorization',
    'cookie',
    // What the hub says itself.
    'forwarded',
    'traceparent',
    'tracestate',
    'x-correlation-id',
    'x-request-id',
    // Other names for the same claim as X-Forwarded-For.
    'cf-connecting-ip',
    'fastly-client-ip',
    'fly-client-ip',
    'true-client-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'x-envoy-external-address',
    'x-original-forwarded-for',
    'x-original-host',
    'x-real-ip',
  ]),
  prefixes: ['x-forwarded', 'x-nexus-'],
};

const ofAnswer: Rule = {
  names: new Set([
    ...hopByHop,
    'content-length',
    // What holds for a whole origin, which is the hub's.
    'alt-svc',
    'clear-site-data',
    'expect-ct',
    'nel',
    'origin-agent-cluster',
    'public-key-pins',
    'report-to',
    'reporting-endpoints',
    'service-worker-allowed',
    'set-cookie',
    'strict-transport-security',
    // What the hub says itself.
    'x-content-type-options',
    'x-request-id',
  ]),
  prefixes: ['access-control-', 'ratelimit-', 'x-nexus-'],
};

const passes = (name: string, { names, prefixes }: Rule): boolean => {
  if (names.has(name)) return false;
  for (const prefix of prefixes) if (name.startsWith(prefix)) return false;
  return true;
};

/** The fields that go on: all but those of the rule and those that `Connection` names. */
const filtered = (fields: Fields, rule: Rule): string[] => {
  let named: Set<string> | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() !== 'connection') continue;
    named ??= new Set();
    for (const option of fields[at + 1]?.split(',') ?? []) named.add(option.trim().toLowerCase());
  }
  const passed: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const field = fields[at] ?? '';
    const name = field.toLowerCase();
    if (!passes(name, rule) || (named?.has(name) && !protectedFields.has(name))) continue;
    passed.push(field, fields[at + 1] ?? '');
  }
  return passed;
};

/** Of a client's request, what an instance gets. */
export const requestFields = (fields: Fields): string[] => filtered(fields, ofRequest);

/** Of an instance's answer, what a client gets; its length stands apart. */
export const answerFields = (fields: Fields): string[] => filtered(fields, ofAnswer);

/** The one length that the fields tell, when it is a number. */
export const lengthOf = (fields: Fields): number | undefined => {
  let length: number | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() !== 'content-length') continue;
    const text = fields[at + 1] ?? '';
    if (length !== undefined || !/^[0-9]{1,15}$/.test(text)) return undefined;
    length = Number(text);
  }
  return length;
};

/** Raw fields as undici hands them out: bytes of Latin-1. */
export const textOf = (raw: readonly (Buffer | string)[] | null): string[] =>
  (raw ?? []).map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
