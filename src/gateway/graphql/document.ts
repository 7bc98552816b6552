import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  NoSchemaIntrospectionCustomRule,
  type OperationDefinitionNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { BoundedMap } from '../../bounded-map.ts';
import { type Problem, ProblemError, problem } from '../../errors.ts';
import { costOf, documentLimits, exceedsShape } from './limits.ts';

export type Prepared =
  | {
      readonly ok: true;
      readonly text: string;
      readonly document: DocumentNode;
      readonly operation: OperationDefinitionNode;
    }
  | { readonly ok: false; readonly errors: readonly GraphQLError[] };

/** An operation to prepare: what a client sent, its types checked. It has either of `query` and `documentId`. */
export type OperationRequest = {
  readonly query: string | undefined;
  readonly documentId: string | undefined;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
  readonly idempotencyKey: string | undefined;
};

/** A document that was parsed, is within the limits and valid. */
export type Understood = { readonly text: string; readonly document: DocumentNode };

export type DocumentOptions = {
  readonly schema: GraphQLSchema;
  /** Whether the schema is told, by introspection and by suggestions in errors. */
  readonly introspection: boolean;
};

const maxCached = 256;
/** Texts that are longer are parsed each time, so that the memory of the cache is bounded. */
const maxCachedLength = 2_048;

const fail = (code: string, message: string): readonly GraphQLError[] => [
  new GraphQLError(message, { extensions: { code } }),
];

const parseText = (query: string): DocumentNode | readonly GraphQLError[] => {
  if (query.length > documentLimits.maxTextBytes || Buffer.byteLength(query) > documentLimits.maxTextBytes) {
    return fail('too_large', `A document may have ${documentLimits.maxTextBytes} bytes`);
  }
  try {
    return parse(query, { maxTokens: documentLimits.maxTokens });
  } catch (error) {
    if (error instanceof GraphQLError) return [error];
    // The parser is recursive: a text of nothing but brackets exhausts the stack.
    return fail('invalid', 'The document is nested too deeply');
  }
};

/** The cost of an operation that has no variables is always the same. */
const costs = new WeakMap<OperationDefinitionNode, number>();
const knownCost = (
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: OperationRequest['variables'],
): number => {
  const known = costs.get(operation);
  if (known !== undefined) return known;
  const cost = costOf(document, operation, variables);
  if ((operation.variableDefinitions?.length ?? 0) === 0) costs.set(operation, cost);
  return cost;
};

export const isUnderstood = (value: Understood | readonly GraphQLError[]): value is Understood =>
  'document' in value;

/** Parses, bounds and validates a document before anything of it is executed. */
export const createUnderstand = ({ schema, introspection }: DocumentOptions) => {
  const rules = introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  const options = { maxErrors: 10, hideSuggestions: !introspection };
  return (text: string): Understood | readonly GraphQLError[] => {
    const document = parseText(text);
    if (!('kind' in document)) return document;
    const exceeded = exceedsShape(document);
    if (exceeded !== undefined) return [exceeded];
    const errors = validate(schema, document, rules, options);
    return errors.length > 0 ? errors : { text, document };
  };
};

/** The documents that clients may name instead of sending them. */
export type PersistedDocuments = {
  find(id: string): Understood | undefined;
  /** Whether no other document is run. */
  readonly only: boolean;
};

/** Prepares operations of documents that clients send, of which the valid ones are remembered, or name by their ids. */
export const createDocuments = (options: DocumentOptions, persisted: PersistedDocuments) => {
  const understand = createUnderstand(options);
  const cache = new BoundedMap<string, Understood>(maxCached);

  const ofText = (text: string): Understood | readonly GraphQLError[] => {
    const known = cache.get(text);
    if (known !== undefined) return known;
    const understood = understand(text);
    if (isUnderstood(understood) && text.length <= maxCachedLength) cache.set(text, understood);
    return understood;
  };

  const ofId = (id: string): Understood | readonly GraphQLError[] =>
    persisted.find(id) ?? [refusal(problem('not_found', 'No persisted document has this id'))];

  return {
    /** Why a request is refused before its document is looked at. */
    refused: ({ query }: OperationRequest): Problem | undefined =>
      query !== undefined && persisted.only
        ? problem('forbidden', 'This hub runs persisted documents alone: send the documentId of one')
        : undefined,

    prepare: ({ query, documentId, operationName, variables }: OperationRequest): Prepared => {
      const found = query === undefined ? ofId(documentId ?? '') : ofText(query);
      if (!isUnderstood(found)) return { ok: false, errors: found };
      const { text, document } = found;
      const operation = getOperationAST(document, operationName);
      if (operation === null || operation === undefined) {
        const which =
          operationName === undefined
            ? 'operationName must say which operation'
            : 'No operation has this name';
        return { ok: false, errors: fail('invalid', which) };
      }
      const cost = knownCost(document, operation, variables);
      if (cost > documentLimits.maxCost) {
        const message = `The operation costs ${cost} units, and ${documentLimits.maxCost} are allowed`;
        return { ok: false, errors: fail('invalid', message) };
      }
      return { ok: true, text, document, operation };
    },
  };
};

export type Documents = ReturnType<typeof createDocuments>;

/** A problem as an error of GraphQL; `formatError` tells its code and facts. */
export const refusal = (why: Problem): GraphQLError =>
  new GraphQLError(why.detail, { originalError: new ProblemError(why) });
