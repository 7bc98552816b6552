import { fault, invalidAt, ProblemError, problem, type Result } from '../../errors.ts';
import { digestOf } from '../../ids.ts';
import type { CommandDone, CommandInput, NexusCore } from '../../nexus-core.ts';
import { contextOf } from '../context.ts';
import type { RestContext } from './answer.ts';

// 1 to 255 visible characters, as draft-ietf-httpapi-idempotency-key-header leaves to the server.
const keyForm = /^[\x21-\x7e]{1,255}$/;

const keyOf = (ctx: RestContext): string | undefined => {
  const key = ctx.req.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && keyForm.test(key)) return key;
  throw new ProblemError(invalidAt('/Idempotency-Key', 'must be 1 to 255 visible characters'));
};

/**
 * The id of the command that an Idempotency-Key stands for; undefined without one.
 *
 * @param part Of a request that makes several commands: each has an id of its own.
 */
export const commandIdOf = (ctx: RestContext, ...part: readonly number[]): string | undefined => {
  const key = keyOf(ctx);
  return key === undefined ? undefined : digestOf(JSON.stringify([ctx.method, ctx.path, key, ...part]));
};

/**
 * Runs a command, once for each Idempotency-Key of a subject, method and path: the key becomes the command's id, and the
 * log knows what that has done. A command with an id of its own keeps it.
 */
export const executeOnce = async (
  ctx: RestContext,
  core: NexusCore,
  input: CommandInput,
): Promise<Result<CommandDone>> => {
  const commandId = commandIdOf(ctx);
  if (commandId === undefined || input.commandId !== undefined) return core.execute(input, contextOf(ctx));
  const result = await core.execute({ ...input, commandId }, contextOf(ctx));
  if (!result.ok) return result;
  if (!result.value.duplicate) return result;
  ctx.res.setHeader('Idempotent-Replayed', 'true');
  // The first answer again: a message that was published by this key was created by it.
  return {
    ok: true,
    value: { ...result.value, created: result.value.created || input.type === 'PublishMessage' },
  };
};

/** For what leaves no event: a key that cannot be kept is refused, never taken and forgotten. */
export const refuseKey = (ctx: RestContext): Result<undefined> =>
  keyOf(ctx) === undefined
    ? { ok: true, value: undefined }
    : fault(
        problem('not_supported', 'an Idempotency-Key is kept for commands; what a service answers is not'),
      );
