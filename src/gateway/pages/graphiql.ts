import type { IncomingMessage } from 'node:http';
import type { Page } from './page-files.ts';

/**
 * True when a browser asks for the page of GraphiQL: GET or HEAD of exactly /graphql, without a query, by an Accept that
 * names HTML. Everything else at the path is an operation and needs a token.
 */
export const asksForGraphiql = ({ method, url, headers }: IncomingMessage): boolean =>
  url === '/graphql' &&
  (method === 'GET' || method === 'HEAD') &&
  headers.accept?.toLowerCase().includes('text/html') === true;

/** Nothing of another host, and no script that stands in the page. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  'font-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export type GraphiqlOptions = {
  readonly introspection: boolean;
  /** Whether the hub runs persisted documents alone. */
  readonly documentsOnly: boolean;
};

/** The page says what the hub does not do, because GraphiQL itself would look broken. */
const noticeOf = ({ introspection, documentsOnly }: GraphiqlOptions): string => {
  if (documentsOnly) return 'This hub runs persisted documents alone: what is typed here is refused.';
  return introspection ? '' : 'Introspection is turned off: there are no docs and no completion.';
};

export const createGraphiqlPage = (options: GraphiqlOptions): Page => ({
  contentSecurityPolicy,
  files: [
    '/pages/react.js',
    '/pages/react-dom.js',
    '/pages/graphiql.js',
    '/pages/graphiql.css',
    '/pages/graphiql-start.js',
    '/pages/graphiql-start.css',
  ],
  html: (urlOf) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GraphiQL - NEXUS</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${urlOf('/pages/graphiql.css')}">
<link rel="stylesheet" href="${urlOf('/pages/graphiql-start.css')}">
</head>
<body>
<p id="notice">${noticeOf(options)}</p>
<div id="graphiql" data-schema="${options.introspection && !options.documentsOnly ? 'ask' : 'none'}">GraphiQL needs JavaScript.</div>
<script src="${urlOf('/pages/react.js')}"></script>
<script src="${urlOf('/pages/react-dom.js')}"></script>
<script src="${urlOf('/pages/graphiql.js')}"></script>
<script src="${urlOf('/pages/graphiql-start.js')}"></script>
</body>
</html>
`,
});
