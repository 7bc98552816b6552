import { type ErrorCode, errorTable } from '../../errors.ts';
import type { RestOperation } from '../operations/rest.ts';
import type { Description } from './describe.ts';
import type { JsonSchema } from './json-schema.ts';

const always: readonly ErrorCode[] = [
  'bad_request',
  'protected_mode',
  'request_timeout',
  'uri_too_long',
  'headers_too_large',
  'internal',
  'overloaded',
  'shutting_down',
];
const authorised: readonly ErrorCode[] = [
  'unauthorized',
  'forbidden',
  'rate_limited',
  'invalid',
  'not_acceptable',
];
const withBody: readonly ErrorCode[] = ['bad_json', 'too_large', 'unsupported_media_type'];
const reads: readonly ErrorCode[] = ['not_caught_up', 'not_ready', 'log_unavailable'];
const writes: readonly ErrorCode[] = ['not_caught_up', 'not_ready', 'log_unavailable', 'log_full', 'busy'];

export const isPublicOperation = ({ needs }: Pick<RestOperation, 'needs'>): boolean =>
  needs.some(({ scope }) => scope === 'public');

/** True for an operation that keeps an Idempotency-Key. */
export const takesKey = (operation: RestOperation, { idempotencyKey }: Description): boolean =>
  operation.kind === 'write' && idempotencyKey !== false;

/** Every code that the operation may be answered with. */
const codesOf = (operation: RestOperation, description: Description): ReadonlySet<ErrorCode> => {
  const codes = new Set<ErrorCode>([...always, ...(description.codes ?? [])]);
  const add = (more: readonly ErrorCode[]): void => {
    for (const code of more) codes.add(code);
  };
  if (!isPublicOperation(operation)) {
    add(authorised);
    add(operation.kind === 'write' ? writes : reads);
  }
  if (description.bodies !== undefined || operation.command !== undefined) add(withBody);
  if (takesKey(operation, description)) codes.add('idempotency_mismatch');
  else if (description.idempotencyKey === false) codes.add('not_supported');
  if (description.headers?.includes('If-Match')) codes.add('precondition_failed');
  return codes;
};

/** By status; a header's precondition that does not hold has 412 in place of the table's status. */
export const problemsOf = (
  operation: RestOperation,
  description: Description,
): ReadonlyMap<number, readonly ErrorCode[]> => {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codesOf(operation, description)) {
    const { status } = errorTable[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
    if (code === 'version_conflict' && description.headers?.includes('If-Match'))
      byStatus.set(412, [...(byStatus.get(412) ?? []), code]);
  }
  return new Map(
    [...byStatus].sort(([left], [right]) => left - right).map(([status, codes]) => [status, codes.sort()]),
  );
};

/** The answers that tell of problems, each once, by name. */
export type ProblemAnswers = {
  /** A reference to the answer of these codes. */
  refTo(status: number, codes: readonly ErrorCode[]): JsonSchema;
  readonly all: () => Readonly<Record<string, JsonSchema>>;
};

export const problemType = 'application/problem+json';

export const problemContent = (codes: readonly ErrorCode[]): JsonSchema => ({
  [problemType]: {
    schema: {
      allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: { enum: [...codes] } } }],
    },
  },
});

const fields: Readonly<Record<number, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  429: ['Retry-After', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
  503: ['Retry-After'],
};

export const createProblemAnswers = (): ProblemAnswers => {
  const known = new Map<string, JsonSchema>();
  return {
    refTo: (status, codes) => {
      const name = `${status}.${codes.join('.')}`;
      if (!known.has(name)) {
        known.set(name, {
          description: codes.map((code) => `\`${code}\`: ${errorTable[code].title}.`).join(' '),
          headers: headerRefs(['X-Request-Id', ...(fields[status] ?? [])]),
          content: problemContent(codes),
        });
      }
      return { $ref: `#/components/responses/${name}` };
    },
    all: () => Object.fromEntries([...known].sort(([left], [right]) => (left < right ? -1 : 1))),
  };
};

export const headerRefs = (names: readonly string[]): JsonSchema =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
