import type { RestContext } from './answer.ts';
import type { Query } from './query.ts';

export const eventStreamType = 'text/event-stream';

/** Where a live tail begins: a client that reconnects asks with the URL that it began with, so what it has seen counts. */
export const tailStart = (ctx: RestContext, query: Query): string | undefined => {
  const seen = ctx.req.headers['last-event-id'];
  // An empty one is what a client sends that has seen nothing.
  return typeof seen === 'string' && seen !== '' ? seen : query.text('after');
};
