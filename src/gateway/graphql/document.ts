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
import { costOf, documentLimits, exceedsShape } from './limits.ts';

export type Prepared =
  | { readonly ok: true; readonly document: DocumentNode; readonly operation: OperationDefinitionNode }
  | { readonly ok: false; readonly errors: readonly GraphQLError[] };

/** An operation to prepare: what a client sent, its types checked. */
export type OperationRequest = {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
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

const isDocument = (value: DocumentNode | readonly GraphQLError[]): value is DocumentNode => 'kind' in value;

/** Parses, bounds and validates documents before anything of them is executed; what was valid is remembered. */
export const createDocuments = (schema: GraphQLSchema, introspection: boolean) => {
  const rules = introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  const cache = new BoundedMap<string, DocumentNode>(maxCached);

  const understand = (query: string): DocumentNode | readonly GraphQLError[] => {
    const known = cache.get(query);
    if (known !== undefined) return known;
    const document = parseText(query);
    if (!isDocument(document)) return document;
    const exceeded = exceedsShape(document);
    if (exceeded !== undefined) return [exceeded];
    const errors = validate(schema, document, rules, { maxErrors: 10 });
    if (errors.length > 0) return errors;
    if (query.length <= maxCachedLength) cache.set(query, document);
    return document;
  };

  return {
    prepare: ({ query, operationName, variables }: OperationRequest): Prepared => {
      const document = understand(query);
      if (!isDocument(document)) return { ok: false, errors: document };
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
      return { ok: true, document, operation };
    },
  };
};

export type Documents = ReturnType<typeof createDocuments>;
