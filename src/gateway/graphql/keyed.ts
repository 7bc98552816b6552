import { type Problem, problem, type Result } from '../../errors.ts';
import { digestOf } from '../../ids.ts';
import type { CommandDone, CommandInput, Context, NexusCore } from '../../nexus-core.ts';
import { commandIdOf, executeOnce } from '../idempotency.ts';
import type { OperationRequest, Prepared } from './document.ts';

/** Runs the commands of one operation. */
export type Executing = {
  execute(input: CommandInput, context: Context): Promise<Result<CommandDone>>;
  /** The key of idempotency that the operation came with. */
  readonly key: string | undefined;
  /** True when there were commands, and all of them had come before by this key. */
  readonly replayed: boolean;
};

/**
 * What an operation runs its commands by. With a key each of them has an id: the n-th of a mutation is always the same
 * one, because its fields are run one behind the other and end at the first that fails. Document and variables stand
 * with the command in the log, so that the same key with others is `idempotency_mismatch`, whatever they would do.
 */
export const createExecuting = (
  core: Pick<NexusCore, 'execute'>,
  { idempotencyKey: key, operationName, variables }: OperationRequest,
  { text }: Extract<Prepared, { readonly ok: true }>,
): Executing => {
  if (key === undefined) return { execute: core.execute, key, replayed: false };
  const requestHash = digestOf(JSON.stringify([text, operationName ?? null, variables ?? {}]));
  let begun = 0;
  let repeated = 0;
  return {
    key,
    execute: async (input, context) => {
      const commandId = commandIdOf(['graphql'], key, begun++);
      const result = await executeOnce(core, { ...input, requestHash }, context, commandId);
      if (result.ok && result.value.duplicate) repeated++;
      return result;
    },
    get replayed() {
      return begun > 0 && repeated === begun;
    },
  };
};

/** A key is kept with what a mutation writes: what only reads has no place for it. */
export const keyFault = (
  { idempotencyKey }: OperationRequest,
  { operation }: Extract<Prepared, { readonly ok: true }>,
): Problem | undefined =>
  idempotencyKey === undefined || operation.operation === 'mutation'
    ? undefined
    : problem('not_supported', 'an idempotency key is kept for mutations alone');
