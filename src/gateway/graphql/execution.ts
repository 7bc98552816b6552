import { type ExecutionResult, execute, type FormattedExecutionResult, type GraphQLSchema } from 'graphql';
import type { Logger } from '../../logger.ts';
import type { OperationRequest, Prepared } from './document.ts';
import { formatResult } from './faults.ts';
import { runSubscription } from './helix.ts';
import type { ResolverContext } from './resolving.ts';

export type Operation = {
  readonly schema: GraphQLSchema;
  readonly prepared: Extract<Prepared, { readonly ok: true }>;
  readonly request: OperationRequest;
  readonly context: ResolverContext;
  readonly logger: Logger;
  /** Whether errors keep names of the schema to themselves. */
  readonly hideSuggestions: boolean;
};

/** Results one by one. */
export type Results = {
  /** Resolves when the last result was handed to `emit`. */
  run(emit: (result: FormattedExecutionResult) => void): Promise<void>;
  stop(): void;
};

/** Runs a query or a mutation: graphql-js by itself, because what stands around it was decided before. */
export const runOnce = (
  operation: Operation,
): FormattedExecutionResult | Promise<FormattedExecutionResult> => {
  const { schema, prepared, request, context, logger, hideSuggestions } = operation;
  const done = execute({
    schema,
    document: prepared.document,
    operationName: request.operationName,
    variableValues: request.variables,
    contextValue: context,
    hideSuggestions,
  });
  const format = (result: ExecutionResult): FormattedExecutionResult =>
    formatResult(result, logger, context.executing.replayed);
  return done instanceof Promise ? done.then(format) : format(done);
};

/**
 * Runs any operation as a stream of results; of a query or a mutation there is one.
 *
 * @param ready Awaited before each further result of a subscription is asked for.
 */
export const runAsStream = async (operation: Operation, ready: () => Promise<void>): Promise<Results> => {
  if (operation.prepared.operation.operation === 'subscription') return runSubscription(operation, ready);
  const result = await runOnce(operation);
  return { run: async (emit) => emit(result), stop: () => {} };
};
