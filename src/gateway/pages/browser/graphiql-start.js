/*
 * Starts GraphiQL on the hub that served the page. Queries and mutations are one request each; a subscription is a
 * stream of server-sent events (graphql-sse, distinct connections), so that the headers tab holds for it too.
 */
(() => {
  const starter = `# The hub asks for a token? Enter it below, under "Headers":
#   { "Authorization": "Bearer TOKEN" }
#
# A subscription goes on until it is stopped:
#   subscription { messages(topic: ">") { topic payload position } }

query Services {
  services {
    id
    name
    status
    capabilities
  }
}
`;

  const send = (params, headers, accept, signal) =>
    fetch('/graphql', {
      method: 'POST',
      headers: { ...headers, accept, 'content-type': 'application/json' },
      body: JSON.stringify(params),
      cache: 'no-store',
      credentials: 'omit',
      signal,
    });

  /** A refusal before GraphQL (a token that is missing, a limit) is a problem document: told as an error of GraphQL. */
  const resultOf = async (response) => {
    const body = await response.json();
    if (body.code === undefined || body.detail === undefined) return body;
    return { errors: [{ message: body.detail, extensions: { code: body.code, status: response.status } }] };
  };

  const isSubscription = (document, name) =>
    document?.definitions.some(
      (definition) =>
        definition.kind === 'OperationDefinition' &&
        definition.operation === 'subscription' &&
        (name === undefined || name === null || definition.name?.value === name),
    ) === true;

  async function* resultsOf(params, headers) {
    const stopped = new AbortController();
    try {
      const response = await send(params, headers, 'text/event-stream', stopped.signal);
      if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) {
        yield await resultOf(response);
        return;
      }
      let rest = '';
      for await (const chunk of chunksOf(response.body.pipeThrough(new TextDecoderStream()))) {
        rest += chunk;
        for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
          const lines = rest.slice(0, end).split('\n');
          rest = rest.slice(end + 2);
          if (!lines.includes('event: next')) continue;
          const data = lines.find((line) => line.startsWith('data: '));
          if (data !== undefined) yield JSON.parse(data.slice('data: '.length));
        }
      }
    } finally {
      stopped.abort();
    }
  }

  /** Streams are iterated by their reader, because not every browser iterates them by themselves. */
  async function* chunksOf(stream) {
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  }

  const fetcher = async (params, { headers = {}, documentAST } = {}) => {
    if (isSubscription(documentAST, params.operationName)) return resultsOf(params, headers);
    return resultOf(await send(params, headers, 'application/graphql-response+json, application/json;q=0.9'));
  };

  const { createElement } = globalThis.React;
  const place = document.getElementById('graphiql');
  const root = globalThis.ReactDOM.createRoot(place);
  root.render(
    createElement(globalThis.GraphiQL, {
      fetcher,
      // Null: nothing is asked for the schema.
      schema: place.dataset.schema === 'none' ? null : undefined,
      defaultQuery: starter,
      defaultEditorToolsVisibility: 'headers',
      // A token is not left behind in the browser's storage.
      shouldPersistHeaders: false,
    }),
  );
})();
