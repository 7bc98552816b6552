import type { Json } from '../../../domain/event.ts';
import { type Args, command, given, type Resolve } from './resolving.ts';

export const transactionTypes = /* GraphQL */ `enum StateOp { SET PATCH INCREMENT DELETE GET }

"All that is named must hold. version 0: the key must not exist. value: the key exists and has this value, null included."
input StateCompare {
  key: String!
  version: Int
  exists: Boolean
  value: JSON
  "The value is a number, and not less."
  atLeast: Float
  "The value is a number, and not more."
  atMost: Float
}

"SET takes value and ttlMs; PATCH takes patch and format; INCREMENT takes by and ttlMs; all but GET take expectedVersion."
input StateOperation {
  op: StateOp!
  key: String!
  value: JSON
  patch: JSON
  format: PatchFormat
  by: Float
  ttlMs: Float
  expectedVersion: Int
}

type StateOperationResult {
  op: StateOp!
  key: String!
  "What the transaction has left or found; null for DELETE."
  value: JSON
  version: Int!
  "Of GET."
  exists: Boolean
  "Of DELETE: false when there was nothing to delete."
  deleted: Boolean
  expiresAt: String
}

type StateTransaction {
  success: Boolean!
  "Whether the conditions held: then was done, else otherwise."
  succeeded: Boolean!
  "Of the operations that were done, in order."
  results: [StateOperationResult!]!
  "Everything was like this as of this position."
  position: String!
}
`;

export const transactionMutationFields = /* GraphQL */ `  "Does all of then when everything in compare holds, or else all of else, in one commit; at most 128 of each, a key once in each."
  transactState(compare: [StateCompare!], then: [StateOperation!], else: [StateOperation!]): StateTransaction!
`;

type Compare = Args<{
  key: string;
  version: number;
  exists: boolean;
  value: Json;
  atLeast: number;
  atMost: number;
}>;
type Operation = Args<{
  op: 'SET' | 'PATCH' | 'INCREMENT' | 'DELETE' | 'GET';
  key: string;
  value: Json;
  patch: Json;
  format: 'MERGE_PATCH' | 'JSON_PATCH';
  by: number;
  ttlMs: number;
  expectedVersion: number;
}>;

/** A value of null is a value; of the other arguments null is as if they were not there. */
const compareOf = ({ value, ...rest }: Compare) => ({
  ...given(rest),
  ...(value === undefined ? {} : { value }),
});

const operationOf = ({ op, value, patch, format, ...rest }: Operation) => ({
  op: op?.toLowerCase(),
  ...given(rest),
  ...(value === undefined ? {} : { value }),
  ...(patch === undefined ? {} : { patch }),
  ...(op === 'PATCH' ? { format: format === 'JSON_PATCH' ? 'json-patch' : 'merge-patch' } : {}),
});

type TransactArgs = {
  compare: readonly Compare[];
  then: readonly Operation[];
  else: readonly Operation[];
};

const transactState: Resolve<TransactArgs, object> = async (_, args, at) => {
  const data = {
    compare: args.compare?.map(compareOf) ?? [],
    // biome-ignore lint/suspicious/noThenProperty: a list, and the name on the wire
    then: args.then?.map(operationOf) ?? [],
    else: args.else?.map(operationOf) ?? [],
  };
  return withOps(await command('TransactState', data, at));
};

/** Each result with the name that its operation has here. */
const withOps = (answer: object): object => {
  if (!('results' in answer) || !Array.isArray(answer.results)) return answer;
  const results = answer.results.map((result: { readonly op: string }) => ({
    ...result,
    op: result.op.toUpperCase(),
  }));
  return { ...answer, results };
};

export const transactionMutations = { transactState } as const;
