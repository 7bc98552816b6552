import type { Json } from '../../../domain/event.ts';
import { invalid, ok, type Result } from '../../errors.ts';
import { parseJson } from '../json.ts';
import type { OperationRequest } from './document.ts';

type Raw = {
  readonly query?: unknown;
  readonly operationName?: unknown;
  readonly variables?: unknown;
  readonly extensions?: unknown;
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The parameters of GraphQL over HTTP, their types checked; null is the same as leaving out, but for `query`. */
const parseParameters = ({ query, operationName, variables, extensions }: Raw): Result<OperationRequest> => {
  if (typeof query !== 'string') return invalid('/query', 'must be a string');
  if (operationName !== undefined && operationName !== null && typeof operationName !== 'string') {
    return invalid('/operationName', 'must be a string');
  }
  if (variables !== undefined && variables !== null && !isObject(variables)) {
    return invalid('/variables', 'must be an object');
  }
  if (extensions !== undefined && extensions !== null && !isObject(extensions)) {
    return invalid('/extensions', 'must be an object');
  }
  return ok({
    query,
    operationName: typeof operationName === 'string' && operationName !== '' ? operationName : undefined,
    variables: variables ?? undefined,
  });
};

/** Parameters of a POST: the JSON of its body. */
export const parseBody = (body: Json | undefined): Result<OperationRequest> =>
  isObject(body) ? parseParameters(body) : invalid('', 'must be a JSON object');

/** Parameters of a GET: those of the URL, `variables` and `extensions` as JSON text. */
export const parseQuery = (
  query: Readonly<Record<string, string | string[] | undefined>>,
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
  return parseParameters({ ...texts, ...parsed });
};
