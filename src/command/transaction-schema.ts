import * as z from 'zod';
import type { Requirement } from '../../domain/access.ts';
import { anyJson, stateKeySchema, stateSchemas } from './state-schemas.ts';

const maxItems = 128;
const { SetState, PatchState, IncrementState, DeleteState } = stateSchemas;
const [mergePatch, jsonPatch] = PatchState.options;

const compare = z
  .strictObject({
    key: stateKeySchema,
    version: DeleteState.shape.expectedVersion,
    exists: z.boolean().optional(),
    value: anyJson.optional(),
    atLeast: z.number().optional(),
    atMost: z.number().optional(),
  })
  .refine(
    ({ key: _key, ...conditions }) => Object.values(conditions).some((value) => value !== undefined),
    'must have version, exists, value, atLeast or atMost',
  );

/** As the commands of the same names; a conflict is not resolved, but refuses the transaction. */
const operation = z.discriminatedUnion('op', [
  SetState.omit({ resolver: true }).extend({ op: z.literal('set') }),
  z.discriminatedUnion('format', [
    mergePatch.omit({ resolver: true }).extend({ op: z.literal('patch') }),
    jsonPatch.omit({ resolver: true }).extend({ op: z.literal('patch') }),
  ]),
  IncrementState.extend({ op: z.literal('increment') }),
  DeleteState.extend({ op: z.literal('delete') }),
  z.strictObject({ op: z.literal('get'), key: stateKeySchema }),
]);

const branch = z
  .array(operation)
  .max(maxItems)
  .default([])
  .superRefine((operations, context) => {
    const keys = new Set<string>();
    for (const [index, { key }] of operations.entries()) {
      if (keys.has(key)) {
        context.addIssue({ code: 'custom', path: [index, 'key'], message: 'must come once in a branch' });
      }
      keys.add(key);
    }
  });

export const transactionSchemas = {
  TransactState: z
    .strictObject({
      compare: z.array(compare).max(maxItems).default([]),
      // biome-ignore lint/suspicious/noThenProperty: a list, and the name on the wire
      then: branch,
      else: branch,
    })
    .refine(
      (data) => data.compare.length + data.then.length > 0,
      'must have something to compare, or an operation in then',
    ),
} as const;

export type TransactionData = z.output<typeof transactionSchemas.TransactState>;
export type TransactionOperation = TransactionData['then'][number];

type Patch = Pick<z.output<typeof PatchState>, 'key'> &
  ({ readonly format: 'merge-patch' } | Pick<z.output<typeof jsonPatch>, 'format' | 'patch'>);

/** A `test` compares with what is there, and so reads it. */
export const patchRequirements = (data: Patch): readonly Requirement[] => {
  const { key } = data;
  const write = { scope: 'state:write', key } as const;
  const tests = data.format === 'json-patch' && data.patch.some(({ op }) => op === 'test');
  return tests ? [write, { scope: 'state:read', key }] : [write];
};

const requirementsOf = (operation: TransactionOperation): readonly Requirement[] => {
  const { op, key } = operation;
  if (op === 'patch') return patchRequirements(operation);
  return [{ scope: op === 'get' ? 'state:read' : 'state:write', key }];
};

/** Of all that may be read or written, in whichever branch. */
export const transactionRequirements = (data: TransactionData): readonly Requirement[] => [
  ...data.compare.map(({ key }) => ({ scope: 'state:read', key }) as const),
  ...[...data.then, ...data.else].flatMap(requirementsOf),
];

/** The keys that either branch may write. */
export const writtenKeys = (data: TransactionData): readonly string[] =>
  [...data.then, ...data.else].filter(({ op }) => op !== 'get').map(({ key }) => key);
