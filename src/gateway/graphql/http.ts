import type { ServerResponse } from 'node:http';
import type { FormattedExecutionResult, GraphQLError, GraphQLSchema } from 'graphql';
import type { ParameterizedContext as KoaContext } from 'koa';
import { type Problem, problem } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import type { Askers } from '../askers.ts';
import type { CredentialWatch } from '../auth/credential-watch.ts';
import { readJson } from '../body.ts';
import { contextOf, type RequestState } from '../context.ts';
import { asksForGraphiql } from '../pages/graphiql.ts';
import type { Page, PageFiles } from '../pages/page-files.ts';
import { respondProblem, statusOf } from '../problem.ts';
import { type Documents, type OperationRequest, refusal } from './document.ts';
import { createEventStreams } from './event-stream.ts';
import { type Operation, runAsStream, runOnce } from './execution.ts';
import { formatError } from './faults.ts';
import { createExecuting, keyFault } from './keyed.ts';
import { parseBody, parseQuery } from './request.ts';
import { type Spend, spendingsOf } from './spending.ts';

const json = 'application/json';
const graphqlJson = 'application/graphql-response+json';
const eventStream = 'text/event-stream';

export type GraphqlHttpOptions = {
  readonly schema: GraphQLSchema;
  readonly documents: Documents;
  readonly core: NexusCore;
  readonly logger: Logger;
  readonly askers: Askers;
  readonly spend: Spend;
  readonly watch: CredentialWatch['watch'];
  readonly pages: PageFiles;
  readonly page: Page;
  readonly hideSuggestions: boolean;
};

/**
 * GraphQL over HTTP, and subscriptions by server-sent events. `handle` answers a request whose subject the gateway has
 * put into the context's state.
 */
export const createGraphqlHttp = (options: GraphqlHttpOptions) => {
  const { schema, documents, core, logger, askers, spend, watch, pages, page, hideSuggestions } = options;
  const streams = createEventStreams(watch);

  const respond = (
    ctx: KoaContext,
    media: SingleMedia,
    status: number,
    result: FormattedExecutionResult,
  ): void => {
    ctx.res.setHeader('Content-Type', contentTypes[media]);
    ctx.status = status;
    ctx.body = JSON.stringify(result);
  };

  const errorsOf = (errors: readonly GraphQLError[]): FormattedExecutionResult => ({
    errors: errors.map((error) => formatError(error, logger)),
  });

  /** A request that is not one of GraphQL over HTTP, or that nothing is run for: the same status in both media types. */
  const refuse = (ctx: KoaContext, why: Problem, status = 400): void =>
    respond(ctx, singleMedia(ctx) || json, status, errorsOf([refusal(why)]));

  /** The same of a request whose document was not looked at: it is counted too, or nonsense would cost nothing. */
  const refuseUnread = async (ctx: KoaContext, why: Problem, status?: number): Promise<void> => {
    await spend(ctx, 'reads');
    refuse(ctx, why, status);
  };

  const answer = async (ctx: KoaContext, request: OperationRequest): Promise<void> => {
    const refused = documents.refused(request);
    if (refused !== undefined) return refuseUnread(ctx, refused, statusOf(refused));
    const prepared = documents.prepare(request);
    for (const spending of spendingsOf(prepared)) await spend(ctx, spending);
    const media = singleMedia(ctx);
    if (!prepared.ok) {
      const failed = media || json;
      // Without data: 4xx in the media type of its own, and 200 where any 4xx may be a proxy's (GraphQL over HTTP, 6.4).
      return respond(ctx, failed, failed === json ? 200 : 400, errorsOf(prepared.errors));
    }
    const kind = prepared.operation.operation;
    if (kind === 'mutation' && ctx.method === 'GET') {
      ctx.set('allow', 'POST');
      return respondProblem(ctx, problem('method_not_allowed', 'A mutation needs POST'));
    }
    const unkept = keyFault(request, prepared);
    if (unkept !== undefined) return refuse(ctx, unkept);
    const stream = kind === 'subscription' || media === false;
    if (stream && ctx.accepts(eventStream) === false) {
      const what = kind === 'subscription' ? eventStream : `${json}, ${graphqlJson} or ${eventStream}`;
      return respondProblem(ctx, problem('not_acceptable', `The answer can be had as ${what}`));
    }
    const state: RequestState = ctx.state;
    const context = {
      core,
      context: togetherOf(contextOf(ctx)),
      executing: createExecuting(core, request, prepared),
      whileAsked: <Value>(ask: (signal: AbortSignal) => Promise<Value>) =>
        askers.whileOpen({ res: ctx.res, state }, ask),
    };
    const operation: Operation = { schema, prepared, request, context, logger, hideSuggestions };
    if (!stream) {
      const result = await runOnce(operation);
      const failed = result.data === undefined && media === graphqlJson;
      return respond(ctx, media || json, failed ? 400 : 200, result);
    }
    const opened = streams.open(state.subject);
    if (opened === undefined) {
      return respondProblem(ctx, problem('overloaded', 'The hub has as many event streams as it may'));
    }
    const results = await runAsStream(operation, opened.ready).catch((error: unknown) => {
      opened.body.destroy();
      throw error;
    });
    ctx.status = 200;
    ctx.set({
      // A connection that was kept alive behind the stream would hold up the hub's end.
      connection: 'close',
      'content-type': `${eventStream}; charset=utf-8`,
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    ctx.body = opened.body;
    opened.send(results);
  };

  return {
    handle: async (ctx: KoaContext): Promise<void> => {
      varyByAccept(ctx.res);
      if (asksForGraphiql(ctx.req)) return pages.respond(ctx, page);
      if (ctx.method !== 'GET' && ctx.method !== 'POST') {
        ctx.set('allow', 'GET, POST');
        return respondProblem(ctx, problem('method_not_allowed', `The path does not take ${ctx.method}`));
      }
      if (ctx.method === 'GET') {
        const request = parseQuery(ctx.query, ctx.req.headers['idempotency-key']);
        return request.ok ? answer(ctx, request.value) : refuseUnread(ctx, request.problem);
      }
      const request = parseBody(await readJson(ctx.req), ctx.req.headers['idempotency-key']);
      return request.ok ? answer(ctx, request.value) : refuseUnread(ctx, request.problem);
    },
    /** Completes the open streams. */
    close: (): void => streams.close(),
  };
};

/** The fields of one document are reads of one moment, and one look at the log is enough for all of them. */
const togetherOf = (context: Context): Context =>
  context.consistency === undefined ? context : { ...context, together: true };

type SingleMedia = typeof json | typeof graphqlJson;

const contentTypes = {
  [json]: `${json}; charset=utf-8`,
  [graphqlJson]: `${graphqlJson}; charset=utf-8`,
} as const;

/** Which of the two media types of one result the client wants; false for neither. */
const singleMedia = (ctx: KoaContext): SingleMedia | false => {
  const { accept } = ctx.req.headers;
  // What clients send; anything else is weighed.
  if (accept === undefined || accept === '*/*' || accept === json) return json;
  if (accept === graphqlJson) return graphqlJson;
  const best = ctx.accepts(json, graphqlJson);
  return best === json || best === graphqlJson ? best : false;
};

/** Beside what the answer varies by already. */
const varyByAccept = (response: ServerResponse): void => {
  const before = response.getHeader('vary');
  response.setHeader('Vary', before === undefined ? 'Accept' : `${before}, Accept`);
};
