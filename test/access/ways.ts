import { GraphQLObjectType, type GraphQLSchema, isNonNullType } from 'graphql';
import { eventsOf } from '../support/graphql.ts';
import type { Hub } from '../support/hub.ts';
import { openWs } from '../support/ws-client.ts';

/** How the hub answered: `code` undefined for what was done. */
export type Outcome = {
  readonly code: string | undefined;
  /** What `forbidden` names. */
  readonly scope: unknown;
  /** Of the HTTP answer; 0 where there is none. */
  readonly status: number;
};

type Body = Readonly<Record<string, unknown>>;
const bodyOf = (text: string): Body => {
  const parsed: unknown = text === '' ? {} : JSON.parse(text.split('\n', 1)[0] ?? '');
  return typeof parsed === 'object' && parsed !== null ? (parsed as Body) : {};
};
const texted = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

export type RestRequest = {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** One request; of an answer that does not end only its head is looked at. */
export const overRest = async (
  { url }: Hub,
  token: string | undefined,
  { method, path, body, headers = {} }: RestRequest,
): Promise<Outcome> => {
  const gone = new AbortController();
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    signal: gone.signal,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { status } = response;
  if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) {
    gone.abort();
    return { code: undefined, scope: undefined, status };
  }
  const text = await response.text();
  if (status < 400) return { code: undefined, scope: undefined, status };
  const { code, scope } = bodyOf(text);
  return { code: texted(code) ?? `status ${status}`, scope, status };
};

type Errors = readonly { readonly extensions?: Body; readonly message?: string }[];
const errorOf = (errors: Errors | undefined, status: number): Outcome => {
  const [first] = errors ?? [];
  if (first === undefined) return { code: undefined, scope: undefined, status };
  return { code: texted(first.extensions?.code) ?? first.message, scope: first.extensions?.scope, status };
};

/** A document that asks for one root field, with each argument that there is a value for as a variable. */
export const documentOf = (schema: GraphQLSchema, type: string, field: string, args: Body): string => {
  const root = schema.getType(type);
  const found = root instanceof GraphQLObjectType ? root.getFields()[field] : undefined;
  if (found === undefined) throw new Error(`there is no ${type}.${field}`);
  const used = found.args.filter(({ name }) => args[name] !== undefined);
  const missing = found.args.filter((arg) => isNonNullType(arg.type) && args[arg.name] === undefined);
  if (missing.length > 0) throw new Error(`${type}.${field} needs ${missing.map(({ name }) => name)}`);
  const unknown = Object.keys(args).find((name) => !found.args.some((arg) => arg.name === name));
  if (unknown !== undefined) throw new Error(`${type}.${field} has no argument ${unknown}`);
  const variables = used.map(({ name, type: of }) => `$${name}: ${of}`).join(', ');
  const call = used.map(({ name }) => `${name}: $${name}`).join(', ');
  const head = variables === '' ? '' : `(${variables})`;
  return `${type.toLowerCase()}${head} { ${field}${call === '' ? '' : `(${call})`} { __typename } }`;
};

export type Asked = { readonly query: string; readonly variables: Body };

export const overGraphql = async ({ url }: Hub, token: string, asked: Asked): Promise<Outcome> => {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(asked),
  });
  const body = (await response.json()) as { readonly errors?: Errors; readonly code?: string };
  return texted(body.code) === undefined
    ? errorOf(body.errors, response.status)
    : { code: body.code, scope: undefined, status: response.status };
};

/** A subscription by server-sent events, and its first result. */
export const overEventStream = async (
  { url }: Hub,
  token: string,
  { query, variables }: Asked,
): Promise<Outcome> => {
  const gone = new AbortController();
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({ query, variables }),
    signal: gone.signal,
  });
  try {
    for await (const { data } of eventsOf(response)) {
      if (data === '') continue;
      const { errors } = JSON.parse(data) as { readonly errors?: Errors };
      return errorOf(errors, response.status);
    }
    return { code: 'ended', scope: undefined, status: response.status };
  } finally {
    gone.abort();
  }
};

/** A document by graphql-transport-ws, and its first result. */
export const overTransport = async (
  hub: Hub,
  token: string,
  { query, variables }: Asked,
): Promise<Outcome> => {
  const client = await openWs(hub.url, { path: '/graphql', protocols: ['graphql-transport-ws'] });
  client.send({ type: 'connection_init', payload: { token } });
  await client.waitForType('connection_ack');
  client.send({ type: 'subscribe', id: 'o', payload: { query, variables } });
  const { type, payload } = await client.waitForMessage(({ id }) => id === 'o');
  client.socket.terminate();
  const result = payload as { readonly errors?: Errors } & Errors;
  return errorOf(type === 'error' ? result : result.errors, 0);
};

export const outcomeOfFrame = ({ type, code, scope }: Body): Outcome =>
  type === 'error'
    ? { code: texted(code) ?? 'error', scope, status: 0 }
    : { code: undefined, scope: undefined, status: 0 };
