import type * as z from 'zod';
import { jsonPointer } from '../../domain/json-pointer.ts';
import { fault, ok, problem, type Result } from '../errors.ts';

const maxFaults = 20;

/** The checked input, or `invalid` with a JSON pointer per fault (20 at most). */
export const validate = <Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
): Result<z.output<Schema>> => {
  const parsed = schema.safeParse(input);
  if (parsed.success) return ok(parsed.data);
  const errors = parsed.error.issues.slice(0, maxFaults).map((issue) => ({
    pointer: jsonPointer(issue.path),
    detail: issue.message,
  }));
  const first = errors[0];
  const where =
    first === undefined ? '' : `: ${first.pointer === '' ? 'the input' : first.pointer} ${first.detail}`;
  return fault(problem('invalid', `the input has the wrong shape${where}`, { errors }));
};
