import { type FormattedExecutionResult, GraphQLError, type GraphQLFormattedError } from 'graphql';
import { type Problem, ProblemError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { problemOf } from '../problem.ts';

/** Throws a fault out of a resolver; `formatError` turns it into `extensions`. */
export const raise = (fault: Problem): never => {
  throw new ProblemError(fault);
};

/**
 * What a client is told of an error: a problem's code and facts in `extensions`, the words of graphql-js for faults of
 * the document or its variables (`invalid`), and nothing of what nobody expected (`internal`, logged).
 */
export const formatError = (error: GraphQLError, logger: Logger): GraphQLFormattedError => {
  const { originalError, locations, path } = error;
  const place = {
    ...(locations === undefined ? {} : { locations }),
    ...(path === undefined ? {} : { path }),
  };
  if (originalError === undefined || originalError instanceof GraphQLError) {
    const { code, ...facts } = { ...originalError?.extensions, ...error.extensions };
    return { message: error.message, ...place, extensions: { ...facts, code: code ?? 'invalid' } };
  }
  const fault = problemOf(originalError, logger);
  return { message: fault.detail, ...place, extensions: { ...fault.facts, code: fault.code } };
};

/** A result as graphql-js or graphql-ws has it. */
type Result = {
  readonly errors?: readonly GraphQLError[] | undefined;
  readonly data?: FormattedExecutionResult['data'] | undefined;
};

/**
 * A result as clients get it; `data` is absent when nothing was executed.
 *
 * @param replayed Whether all that it tells of had been done before, by the same key of idempotency.
 */
export const formatResult = (
  { errors, data }: Result,
  logger: Logger,
  replayed: boolean,
): FormattedExecutionResult => ({
  ...(errors === undefined ? {} : { errors: errors.map((error) => formatError(error, logger)) }),
  ...(data === undefined ? {} : { data }),
  ...(replayed ? { extensions: { idempotentReplayed: true } } : {}),
});
