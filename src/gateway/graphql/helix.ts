import {
  type ExecutionResult,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  subscribe,
} from 'graphql';
import { processRequest } from 'graphql-helix';
import type { Logger } from '../../logger.ts';
import type { OperationRequest, Prepared } from './document.ts';
import { formatError } from './faults.ts';
import type { ResolverContext } from './resolving.ts';

/**
 * The one place that knows graphql-helix. It is handed documents that were parsed, bounded and validated before, so
 * that its own parsing (unbounded, and before anybody is authenticated) and its reading of headers are never used.
 */

export type HelixRequest = {
  readonly schema: GraphQLSchema;
  readonly prepared: Extract<Prepared, { readonly ok: true }>;
  readonly request: OperationRequest;
  readonly context: ResolverContext;
  readonly logger: Logger;
  /** Hand out results one by one, a query's included. */
  readonly stream: boolean;
  /** Awaited before each further result of a subscription is asked for. */
  readonly ready: () => Promise<void>;
};

export type HelixAnswer =
  | { readonly type: 'result'; readonly result: FormattedExecutionResult }
  | {
      readonly type: 'results';
      /** Resolves when the last result was handed to `emit`. */
      run(emit: (result: FormattedExecutionResult) => void): Promise<void>;
      stop(): void;
    };

export const runOperation = async (options: HelixRequest): Promise<HelixAnswer> => {
  const { schema, prepared, request, context, logger, stream, ready } = options;
  const format = (result: ExecutionResult): FormattedExecutionResult => formatResult(result, logger);
  const answer = await processRequest<ResolverContext, undefined>({
    schema,
    query: prepared.document,
    ...(request.operationName === undefined ? {} : { operationName: request.operationName }),
    ...(request.variables === undefined ? {} : { variables: request.variables }),
    request: {
      // What GET may do was decided before, and this Accept says which of helix's answers is wanted.
      method: 'POST',
      headers: { accept: stream ? 'text/event-stream' : 'application/json' },
      body: {},
      query: {},
    },
    validate: () => [],
    contextFactory: () => context,
    rootValueFactory: () => undefined,
    subscribe: async (args) => {
      const results = await subscribe(args);
      return Symbol.asyncIterator in results ? gated(results, ready) : results;
    },
    formatPayload: ({ payload }) => format(payload),
  });
  if (answer.type === 'RESPONSE') {
    const result = answer.payload;
    if (!stream) return { type: 'result', result };
    return { type: 'results', run: async (emit) => emit(result), stop: () => {} };
  }
  if (answer.type !== 'PUSH') throw new Error(`graphql-helix answered with ${answer.type}`);
  return { type: 'results', run: answer.subscribe, stop: answer.unsubscribe };
};

/** A result as graphql-js or graphql-ws has it. */
type Result = {
  readonly errors?: readonly GraphQLError[] | undefined;
  readonly data?: FormattedExecutionResult['data'] | undefined;
};

/** A result as clients get it; `data` is absent when nothing was executed. */
export const formatResult = ({ errors, data }: Result, logger: Logger): FormattedExecutionResult => ({
  ...(errors === undefined ? {} : { errors: errors.map((error) => formatError(error, logger)) }),
  ...(data === undefined ? {} : { data }),
});

/**
 * Waits for `ready` before each result, and turns an error of the source into a last result, as helix would tell the
 * client its raw message.
 */
const gated = (
  results: AsyncGenerator<ExecutionResult, void, void>,
  ready: () => Promise<void>,
): AsyncIterableIterator<ExecutionResult> => {
  let failed = false;
  const items: AsyncIterableIterator<ExecutionResult> = {
    next: async () => {
      if (failed) return { done: true, value: undefined };
      await ready();
      try {
        return await results.next();
      } catch (error) {
        failed = true;
        const originalError = error instanceof Error ? error : new Error(String(error));
        return {
          done: false,
          value: { errors: [new GraphQLError(originalError.message, { originalError })] },
        };
      }
    },
    return: async () => {
      await results.return();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => items,
  };
  return items;
};
