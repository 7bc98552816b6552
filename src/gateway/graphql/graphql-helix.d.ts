/** graphql-helix 1.13 ships types for `require` alone; these are of the one function that is used of it. */
declare module 'graphql-helix' {
  import type { DocumentNode, ExecutionResult, FormattedExecutionResult, GraphQLSchema } from 'graphql';

  export function processRequest<Context, Root>(options: {
    readonly schema: GraphQLSchema;
    readonly query: DocumentNode;
    readonly operationName?: string;
    readonly variables?: Readonly<Record<string, unknown>>;
    readonly request: {
      readonly method: 'GET' | 'POST';
      readonly headers: Readonly<Record<string, string>>;
      readonly body: object;
      readonly query: object;
    };
    readonly validate: () => readonly [];
    readonly contextFactory: () => Context;
    readonly rootValueFactory: () => Root;
    readonly subscribe: (
      args: import('graphql').SubscriptionArgs,
    ) => Promise<ExecutionResult | AsyncIterable<ExecutionResult>>;
    readonly formatPayload: (params: { readonly payload: ExecutionResult }) => FormattedExecutionResult;
  }): Promise<
    | { readonly type: 'RESPONSE'; readonly status: number; readonly payload: FormattedExecutionResult }
    | {
        readonly type: 'PUSH';
        readonly subscribe: (emit: (result: FormattedExecutionResult) => void) => Promise<void>;
        readonly unsubscribe: () => void;
      }
    | { readonly type: 'MULTIPART_RESPONSE' }
  >;
}
