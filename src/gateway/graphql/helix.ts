import { type ExecutionResult, GraphQLError, subscribe } from 'graphql';
import { processRequest } from 'graphql-helix';
import type { Operation, Results } from './execution.ts';
import { formatResult } from './faults.ts';
import type { ResolverContext } from './resolving.ts';

/**
 * The one place that knows graphql-helix: it turns a subscription into results that are pushed and can be stopped. It is
 * handed documents that were parsed, bounded and validated before, so that its own parsing (unbounded, and before
 * anybody is authenticated) and its reading of headers are never used.
 */
export const runSubscription = async (
  { schema, prepared, request, context, logger, hideSuggestions }: Operation,
  ready: () => Promise<void>,
): Promise<Results> => {
  const answer = await processRequest<ResolverContext, undefined>({
    schema,
    query: prepared.document,
    ...(request.operationName === undefined ? {} : { operationName: request.operationName }),
    ...(request.variables === undefined ? {} : { variables: request.variables }),
    // What GET may do was decided before, and this Accept says which of helix's answers is wanted.
    request: { method: 'POST', headers: { accept: 'text/event-stream' }, body: {}, query: {} },
    validate: () => [],
    contextFactory: () => context,
    rootValueFactory: () => undefined,
    subscribe: async (args) => {
      const results = await subscribe({ ...args, hideSuggestions });
      return Symbol.asyncIterator in results ? gated(results, ready) : results;
    },
    formatPayload: ({ payload }) => formatResult(payload, logger, false),
  });
  if (answer.type === 'RESPONSE') {
    const result = answer.payload;
    return { run: async (emit) => emit(result), stop: () => {} };
  }
  if (answer.type !== 'PUSH') throw new Error(`graphql-helix answered with ${answer.type}`);
  return { run: answer.subscribe, stop: answer.unsubscribe };
};

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
