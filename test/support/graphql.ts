import type { Hub } from './hub.ts';

export type GraphqlAnswer = {
  readonly status: number;
  readonly type: string;
  readonly allow: string | null;
  readonly data: Readonly<Record<string, unknown>> | null | undefined;
  readonly errors: readonly GraphqlErrorBody[];
  readonly body: Readonly<Record<string, unknown>>;
};

export type GraphqlErrorBody = {
  readonly message: string;
  readonly path?: readonly unknown[];
  readonly extensions: Readonly<Record<string, unknown>>;
};

export const graphqlJson = 'application/graphql-response+json';

const read = async (response: Response): Promise<GraphqlAnswer> => {
  const body = (await response.json()) as Readonly<Record<string, unknown>>;
  return {
    status: response.status,
    type: response.headers.get('content-type')?.split(';')[0] ?? '',
    allow: response.headers.get('allow'),
    data: body.data as GraphqlAnswer['data'],
    errors: (body.errors ?? []) as GraphqlAnswer['errors'],
    body,
  };
};

/** Sends a document to a hub by POST, and reads the whole answer. */
export const askGraphql = async (
  hub: Pick<Hub, 'url'>,
  query: string,
  variables?: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<GraphqlAnswer> =>
  postGraphql(hub, JSON.stringify({ query, ...(variables === undefined ? {} : { variables }) }), headers);

/** Sends any text as a JSON body. */
export const postGraphql = async (
  hub: Pick<Hub, 'url'>,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<GraphqlAnswer> =>
  read(
    await fetch(`${hub.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    }),
  );

export const getGraphql = async (
  hub: Pick<Hub, 'url'>,
  parameters: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<GraphqlAnswer> =>
  read(await fetch(`${hub.url}/graphql?${new URLSearchParams(parameters)}`, { headers }));

/** Events of a stream of server-sent events, as they come; comments are left out. Abort the fetch to end it. */
export async function* eventsOf(
  response: Response,
): AsyncGenerator<{ readonly event: string; readonly data: string }> {
  if (response.body === null) return;
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    rest += chunk;
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const lines = rest.slice(0, end).split('\n');
      rest = rest.slice(end + 2);
      const field = (name: string): string | undefined =>
        lines
          .find((line) => line.startsWith(`${name}:`))
          ?.slice(name.length + 1)
          .trim();
      const data = field('data');
      if (data !== undefined) yield { event: field('event') ?? 'message', data };
    }
  }
}
