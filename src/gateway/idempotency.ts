import { type Problem, problem, type Result } from '../errors.ts';
import { digestOf } from '../ids.ts';
import type { CommandDone, CommandInput, Context, NexusCore } from '../nexus-core.ts';

// 1 to 255 visible characters, as draft-ietf-httpapi-idempotency-key-header leaves to the server.
const keyForm = /^[\x21-\x7e]{1,255}$/;

/** What a key of idempotency may be, in every protocol. */
export const isIdempotencyKey = (given: unknown): given is string =>
  typeof given === 'string' && keyForm.test(given);

export const idempotencyKeyRule = 'must be 1 to 255 visible characters';

/**
 * The id of the command that a key stands for (docs/adr/0041-idempotency-everywhere.md).
 *
 * @param place What the key belongs to besides its subject: in another place the same key is another one.
 * @param part Of a request that makes several commands: each has an id of its own.
 */
export const commandIdOf = (place: readonly string[], key: string, ...part: readonly (number | string)[]) =>
  digestOf(JSON.stringify([...place, key, ...part]));

/**
 * Runs a command by the id that its key stands for: the log knows what that has done. `duplicate` of the result says that
 * it came before; the rest of it is the first answer again.
 *
 * @param commandId of `commandIdOf`; a command with an id of its own keeps that.
 */
export const executeOnce = async (
  core: Pick<NexusCore, 'execute'>,
  input: CommandInput,
  context: Context,
  commandId: string,
): Promise<Result<CommandDone>> => {
  if (input.commandId !== undefined) return core.execute(input, context);
  const result = await core.execute({ ...input, commandId }, context);
  if (!result.ok || !result.value.duplicate || input.type !== 'PublishMessage') return result;
  // A message that was published by this key was created by it.
  return { ok: true, value: { ...result.value, created: true } };
};

/** Why what leaves no event takes no key: one that cannot be kept is refused, never taken and forgotten. @param why one clause. */
export const keyRefused = (why: string): Problem =>
  problem('not_supported', `an idempotency key is kept for commands; ${why}`);
