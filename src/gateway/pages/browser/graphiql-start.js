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

  /** A refusal before GraphQL (a token that is missing, a limit) is a problem document: told as an error of GraphQL. */
  const resultOf = async (response) => {
    const body = await response.json();
    if (body.code === undefined || body.detail === undefined) return body;
    return { errors: [{ message: body.detail, extensions: { code: body.code, status: response.status } }] };
  };

  async function* textOf(stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value;
  }

  async function* eventsOf(stream, signal) {
    let rest = '';
    try {
      for await (const text of textOf(stream)) {
        rest += text;
        for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
          const lines = rest.slice(0, end).split('\n');
          rest = rest.slice(end + 2);
          const data = lines.find((line) => line.startsWith('data: '));
          if (lines.includes('event: next') && data !== undefined)
            yield JSON.parse(data.slice('data: '.length));
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** The results of a stream; `return` ends it while the next one is being waited for. */
  const resultsOf = (response, stopped) => {
    const events = eventsOf(response.body, stopped.signal);
    const results = {
      next: () => events.next(),
      return: async () => {
        stopped.abort();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => results,
    };
    return results;
  };

  /** The hub answers a subscription with the one of these types that can carry it. */
  const accept = 'application/graphql-response+json, application/json;q=0.9, text/event-stream;q=0.8';

  const fetcher = async (params, { headers = {} } = {}) => {
    const stopped = new AbortController();
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: { ...headers, accept, 'content-type': 'application/json' },
      body: JSON.stringify(params),
      cache: 'no-store',
      credentials: 'omit',
      signal: stopped.signal,
    });
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    return isStream ? resultsOf(response, stopped) : resultOf(response);
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
