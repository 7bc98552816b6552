import type { Json } from '../../../domain/event.ts';
import { problem, type Result } from '../../errors.ts';
import type { CommandDone, Context, NexusCore } from '../../nexus-core.ts';
import { keyRefused } from '../idempotency.ts';
import { parseJson } from '../json.ts';
import { raise } from './faults.ts';
import type { Executing } from './keyed.ts';

/** What resolvers get: the hub, and who asks. */
export type ResolverContext = {
  readonly core: NexusCore;
  readonly context: Context;
  readonly executing: Executing;
  /** Runs what waits for somebody else, with a signal that aborts when the asker is gone. */
  readonly whileAsked: <Value>(ask: (signal: AbortSignal) => Promise<Value>) => Promise<Value>;
};

/** Arguments as graphql-js hands them over: an absent one is undefined, and null may stand for it. */
export type Args<Shape> = { readonly [Key in keyof Shape]?: Shape[Key] | null };

export type Resolve<Shape, Out> = (source: unknown, args: Args<Shape>, at: ResolverContext) => Promise<Out>;

/** The arguments that were given, so that null means the same as leaving out. */
export const given = <Shape>(args: Args<Shape>): Partial<Shape> => {
  const present: Partial<Shape> = {};
  for (const key in args) {
    const value = args[key];
    if (value !== null && value !== undefined) present[key] = value;
  }
  return present;
};

export const got = <Value>(result: Result<Value>): Value =>
  result.ok ? result.value : raise(result.problem);

/** Null for what is not there. */
export const gotOrNull = <Value>(result: Result<Value>): Value | null =>
  !result.ok && result.problem.code === 'not_found' ? null : got(result);

/** One page may be shorter than what was asked for, and is never longer. */
export const limitOf = (pointer: string, value: number | undefined): { readonly limit?: number } => {
  if (value === undefined) return {};
  return value >= 1 ? { limit: value } : raise(problem('invalid', `${pointer} must be at least 1`));
};

/** Runs a command; what its REST route would answer with is spread into the answer. */
export const command = async (
  type: string,
  data: object,
  { executing, context }: ResolverContext,
): Promise<object> => {
  const done: CommandDone = got(await executing.execute({ type, data }, context));
  return { ...objectOf(done.result), success: true, position: done.position, created: done.created };
};

/** For what leaves no event of its own. @param why one clause. */
export const refuseKey = ({ executing }: ResolverContext, why: string): void => {
  if (executing.key !== undefined) raise(keyRefused(why));
};

const objectOf = (value: Json): object => (typeof value === 'object' && value !== null ? value : {});

/** The value of an argument that is JSON text. */
export const jsonText = (name: string, text: string): Json => {
  const parsed = parseJson(text);
  return parsed.ok
    ? parsed.value
    : raise(problem('bad_json', `${name} must be JSON text: ${parsed.problem.detail}`));
};
