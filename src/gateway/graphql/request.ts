import type { Json } from '../../../domain/event.ts';
import { invalid, ok, type Result } from '../../errors.ts';
import { idempotencyKeyRule, isIdempotencyKey } from '../idempotency.ts';
import { parseJson } from '../json.ts';
import type { OperationRequest } from './document.ts';

type Raw = {
  readonly query?: unknown;
  readonly documentId?: unknown;
  readonly operationName?: unknown;
  readonly variables?: unknown;
  readonly extensions?: unknown;
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A parameter that is text, if it is there; null is the same as leaving it out. */
const textOf = (pointer: string, value: unknown): Result<string | undefined> => {
  if (value === undefined || value === null) return ok(undefined);
  return typeof value === 'string' ? ok(value) : invalid(pointer, 'must be a string');
};

/**
 * The key of idempotency that stands in `extensions`, or in the header `Idempotency-Key` of the request.
 *
 * @param header undefined where there is none.
 */
export const idempotencyKeyOf = (
  extensions: Readonly<Record<string, unknown>> | null | undefined,
  header: string | string[] | undefined,
): Result<string | undefined> => {
  const key = extensions?.idempotencyKey ?? undefined;
  if (key !== undefined && !isIdempotencyKey(key)) {
    return invalid('/extensions/idempotencyKey', idempotencyKeyRule);
  }
  if (header === undefined) return ok(key);
  if (!isIdempotencyKey(header)) return invalid('/Idempotency-Key', idempotencyKeyRule);
  return key === undefined || key === header
    ? ok(header)
    : invalid('/extensions/idempotencyKey', 'is not what the header Idempotency-Key says');
};

/** The parameters of GraphQL over HTTP, their types checked; null is the same as leaving out. */
const parseParameters = (
  { query, documentId, operationName, variables, extensions }: Raw,
  header: string | string[] | undefined,
): Result<OperationRequest> => {
  const text = textOf('/query', query);
  if (!text.ok) return text;
  const id = textOf('/documentId', documentId);
  if (!id.ok) return id;
  if ((text.value === undefined) === (id.value === undefined)) {
    return invalid('/query', 'must be a string, or a documentId must stand in its place');
  }
  const name = textOf('/operationName', operationName);
  if (!name.ok) return name;
  if (variables !== undefined && variables !== null && !isObject(variables)) {
    return invalid('/variables', 'must be an object');
  }
  if (extensions !== undefined && extensions !== null && !isObject(extensions)) {
    return invalid('/extensions', 'must be an object');
  }
  const key = idempotencyKeyOf(extensions, header);
  if (!key.ok) return key;
  return ok({
    query: text.value,
    documentId: id.value,
    operationName: name.value === '' ? undefined : name.value,
    variables: variables ?? undefined,
    idempotencyKey: key.value,
  });
};

/**
 * Parameters of a POST: the JSON of its body.
 *
 * @param header `Idempotency-Key`.
 */
export const parseBody = (
  body: Json | undefined,
  header: string | string[] | undefined,
): Result<OperationRequest> =>
  isObject(body) ? parseParameters(body, header) : invalid('', 'must be a JSON object');

/** Parameters of a GET: those of the URL, `variables` and `extensions` as JSON text. */
export const parseQuery = (
  query: Readonly<Record<string, string | string[] | undefined>>,
  header: string | string[] | undefined,
): Result<OperationRequest> => {
  const { variables, extensions, ...texts } = query;
  const parsed: Record<string, unknown> = {};
  for (const [name, text] of Object.entries({ variables, extensions })) {
    if (text === undefined || text === '') continue;
    if (typeof text !== 'string') return invalid(`/${name}`, 'must stand once');
    const json = parseJson(text);
    if (!json.ok) return json;
    parsed[name] = json.value;
  }
  return parseParameters({ ...texts, ...parsed }, header);
};

type Message = Pick<Raw, 'operationName' | 'variables'> & {
  readonly query: string;
  readonly extensions?: Readonly<Record<string, unknown>> | null | undefined;
};

/**
 * Parameters of a `subscribe` message of graphql-transport-ws. It always has a `query`: an empty one, and a `documentId` in
 * `extensions`, is a persisted document.
 */
export const parseMessage = ({
  query,
  operationName,
  variables,
  extensions,
}: Message): Result<OperationRequest> => {
  const documentId = extensions?.documentId ?? undefined;
  return parseParameters(
    {
      query: query === '' && documentId !== undefined ? undefined : query,
      documentId,
      operationName,
      variables,
      extensions,
    },
    undefined,
  );
};
