import type { IncomingMessage, ServerResponse } from 'node:http';

const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const allowedHeaders = [
  'Authorization',
  'Content-Type',
  'If-Match',
  'If-None-Match',
  'Idempotency-Key',
  'Last-Event-ID',
  'Traceparent',
  'Tracestate',
  'X-Causation-Id',
  'X-Correlation-Id',
  'X-Nexus-Capability',
  'X-Nexus-Consistency',
  'X-Nexus-Deadline',
  'X-Nexus-Key',
  'X-Nexus-Min-Position',
  'X-Nexus-Strategy',
  'X-Nexus-Timeout-Ms',
  'X-Request-Id',
].join(', ');
const exposedHeaders = [
  'ETag',
  'Idempotent-Replayed',
  'Link',
  'Location',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Retry-After',
  'X-Nexus-Instance',
  'X-Nexus-Position',
  'X-Request-Id',
].join(', ');
const maxAgeSec = '600';

/** What the pages of foreign sites may do (fetch standard, CORS protocol): those of `corsOrigins` everything, others nothing. */
export type Cors = {
  /** Sets the header fields of an answer to a page of a listed origin. */
  mark(request: IncomingMessage, response: ServerResponse): void;
  /** True for a preflight, which carries no token and is answered here. */
  isPreflight(request: IncomingMessage): boolean;
  /** Sets the header fields of the answer to a preflight, 204. */
  answerPreflight(request: IncomingMessage, response: ServerResponse): void;
};

export const createCors = (corsOrigins: readonly string[]): Cors => {
  const origins = new Set(corsOrigins);
  const isListed = (request: IncomingMessage): boolean =>
    request.headers.origin !== undefined && origins.has(request.headers.origin);
  return {
    mark: (request, response) => {
      if (origins.size === 0) return;
      response.setHeader('Vary', 'Origin');
      if (!isListed(request)) return;
      response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '');
      response.setHeader('Access-Control-Expose-Headers', exposedHeaders);
    },
    isPreflight: (request) =>
      request.method === 'OPTIONS' &&
      request.headers.origin !== undefined &&
      request.headers['access-control-request-method'] !== undefined,
    answerPreflight: (request, response) => {
      if (!isListed(request)) return;
      response.setHeader('Access-Control-Allow-Methods', allowedMethods);
      response.setHeader('Access-Control-Allow-Headers', allowedHeaders);
      response.setHeader('Access-Control-Max-Age', maxAgeSec);
    },
  };
};
