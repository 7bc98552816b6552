import type { Json } from '../../../domain/event.ts';
import { BoundedMap } from '../../bounded-map.ts';
import { steadyNow } from '../../clock.ts';
import { fault, invalidAt, ProblemError, problem, type Result } from '../../errors.ts';
import { given } from '../../given.ts';
import { digestOf } from '../../ids.ts';
import type { CommandDone, CommandInput, NexusCore } from '../../nexus-core.ts';
import { roughBytes } from '../../rough-bytes.ts';
import { contextOf } from '../context.ts';
import {
  executeOnce as executeById,
  idempotencyKeyRule,
  commandIdOf as idOfKey,
  isIdempotencyKey,
  keyRefused,
} from '../idempotency.ts';
import type { RestContext } from './answer.ts';

const keyOf = (ctx: RestContext): string | undefined => {
  const key = ctx.req.headers['idempotency-key'];
  if (key === undefined || isIdempotencyKey(key)) return key;
  throw new ProblemError(invalidAt('/Idempotency-Key', idempotencyKeyRule));
};

/**
 * The id of the command that an Idempotency-Key stands for, which belongs to method and path; undefined without one.
 *
 * @param part Of a request that makes several commands: each has an id of its own.
 */
export const commandIdOf = (ctx: RestContext, ...part: readonly number[]): string | undefined => {
  const key = keyOf(ctx);
  return key === undefined ? undefined : idOfKey([ctx.method, ctx.path], key, ...part);
};

/**
 * Runs a command, once for each Idempotency-Key of a subject, method and path. A command with an id of its own keeps it.
 *
 * @param signal As in `Context`.
 */
export const executeOnce = async (
  ctx: RestContext,
  core: NexusCore,
  input: CommandInput,
  signal?: AbortSignal,
): Promise<Result<CommandDone>> => {
  const commandId = commandIdOf(ctx);
  const context = { ...contextOf(ctx), ...given({ signal }) };
  if (commandId === undefined || input.commandId !== undefined) return core.execute(input, context);
  const result = await executeById(core, input, context, commandId);
  if (result.ok && result.value.duplicate) ctx.res.setHeader('Idempotent-Replayed', 'true');
  return result;
};

/** For what leaves no event. @param why one clause. */
export const refuseKey = (ctx: RestContext, why: string): Result<undefined> =>
  keyOf(ctx) === undefined ? { ok: true, value: undefined } : fault(keyRefused(why));

export type Answers<Value> = {
  /**
   * Runs `run`, once for each Idempotency-Key of a subject, method and path. Only a good answer is kept; a call with the
   * same key that comes meanwhile waits for the first.
   */
  once(ctx: RestContext, body: Json, run: () => Promise<Result<Value>>): Promise<Result<Value>>;
};

type Kept<Value> = { readonly body: string; readonly atMs: number; readonly answer: Promise<Result<Value>> };

const keptForMs = 86_400_000;
const maxAnswers = 10_000;
/** Of an answer that is kept; a larger one is not. */
const maxAnswerBytes = 2_048;

/**
 * The answers to calls that leave no event but are over once they were made, as what they settle is: kept in memory for
 * 24 h, the newest 10,000. After a restart nothing of what they settled is there to be settled twice.
 */
export const createAnswers = <Value>(nowMs: () => number = steadyNow): Answers<Value> => {
  const kept = new BoundedMap<string, Kept<Value>>(maxAnswers);
  return {
    once: async (ctx, body, run) => {
      const key = keyOf(ctx);
      if (key === undefined) return run();
      const name = digestOf(JSON.stringify([ctx.state.subject.id, ctx.method, ctx.path, key]));
      const hash = digestOf(JSON.stringify(body));
      const before = kept.get(name);
      if (before !== undefined && nowMs() - before.atMs < keptForMs) {
        if (before.body !== hash) {
          return fault(problem('idempotency_mismatch', 'this key was used with another body', { key }));
        }
        const again = await before.answer;
        if (again.ok) ctx.res.setHeader('Idempotent-Replayed', 'true');
        return again;
      }
      const answer = run();
      kept.set(name, { body: hash, atMs: nowMs(), answer });
      const forget = (): void => {
        if (kept.get(name)?.answer === answer) kept.delete(name);
      };
      answer.then((result) => {
        if (!result.ok || roughBytes(result.value, maxAnswerBytes) >= maxAnswerBytes) forget();
      }, forget);
      return answer;
    },
  };
};
