import type { RouterContext } from '@koa/router';
import type { Json } from '../../../domain/event.ts';
import { ProblemError, problem, type Result } from '../../errors.ts';
import type { CommandDone } from '../../nexus-core.ts';
import { readJson } from '../body.ts';
import type { RequestState } from '../context.ts';

export type RestContext = RouterContext<RequestState>;

/** The value of a result; a problem crosses Koa as an exception and becomes an answer in gate.ts. */
export const unwrap = <Value>(result: Result<Value>): Value => {
  if (result.ok) return result.value;
  throw new ProblemError(result.problem);
};

export const sendJson = (ctx: RestContext, status: number, value: unknown): void => {
  ctx.res.setHeader('Content-Type', 'application/json');
  ctx.status = status;
  ctx.body = JSON.stringify(value);
};

export const sendNothing = (ctx: RestContext): void => {
  ctx.status = 204;
};

/** Where the effect of a mutation stands in the log: a read that names it sees it. */
export const markPosition = (ctx: RestContext, done: Pick<CommandDone, 'position'>): void => {
  ctx.res.setHeader('X-Nexus-Position', done.position);
};

/** A parameter of the path, decoded by the router; gate.ts has refused what cannot be decoded. */
export const pathText = (ctx: RestContext, name: string): string => ctx.params[name] ?? '';

/**
 * The input of a command: the body's members and the path's. A body that names the same thing otherwise than the path
 * is `invalid`; no body at all is no members.
 */
export const commandData = async (
  ctx: RestContext,
  path: Readonly<Record<string, string>>,
): Promise<Record<string, Json>> => {
  const body = await readJson(ctx.req);
  if (body === undefined) return { ...path };
  if (typeof body !== 'object' || body === null || isArray(body)) throw shapeFault('', 'must be an object');
  for (const name in path) {
    const named = body[name];
    if (named !== undefined && named !== path[name])
      throw shapeFault(`/${name}`, 'is not what the path says');
  }
  return { ...body, ...path };
};

const isArray = (value: object): value is readonly Json[] => Array.isArray(value);

/** @param pointer JSON pointer (RFC 6901) into the body. */
export const shapeFault = (pointer: string, detail: string): ProblemError =>
  new ProblemError(
    problem('invalid', `The input has the wrong shape: ${pointer === '' ? 'the body' : pointer} ${detail}`, {
      errors: [{ pointer, detail }],
    }),
  );

const jsonType = 'application/json';

/**
 * Which of `types` the request accepts most, the first one when it does not care.
 *
 * @throws {ProblemError} `not_acceptable`.
 */
export const negotiate = (ctx: RestContext, types: readonly string[] = [jsonType]): string => {
  const { accept } = ctx.req.headers;
  const [preferred = jsonType] = types;
  if (accept === undefined || accept === '*/*' || accept === preferred) return preferred;
  const best = ctx.accepts([...types]);
  if (typeof best === 'string') return best;
  throw new ProblemError(
    problem('not_acceptable', `The answer can be ${types.join(' or ')}`, { available: types }),
  );
};
