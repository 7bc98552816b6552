import type { Problem } from '../errors.ts';
import type { Context } from '../nexus-core.ts';

/** Told of each operation that did not go well; `context` is that of whoever asked. */
export type OnProblem = (problem: Problem, context: Context | undefined) => void;

const isContext = (value: unknown): value is Context =>
  typeof value === 'object' && value !== null && 'subject' in value && 'correlationId' in value;

const isRefused = (value: unknown): value is { readonly ok: false; readonly problem: Problem } =>
  typeof value === 'object' && value !== null && 'ok' in value && value.ok === false && 'problem' in value;

const ignore = (): void => {};

/**
 * The same operations; what they answer with is looked at, whatever protocol asked: the one seam at which refusals are seen.
 * Nothing waits for that. An operation's context stands behind its input, so the last argument that looks like one is it.
 */
export const tellProblems = <Operations extends object>(
  operations: Operations,
  onProblem: OnProblem,
): Operations => {
  const look = (answer: unknown, args: readonly unknown[]): void => {
    if (!isRefused(answer)) return;
    const context = args.findLast(isContext);
    if (context?.tentative !== true) onProblem(answer.problem, context);
  };
  const told: Record<string, unknown> = {};
  for (const [name, operation] of Object.entries(operations)) {
    told[name] =
      typeof operation !== 'function'
        ? operation
        : (...args: readonly unknown[]): unknown => {
            const answer: unknown = operation(...args);
            if (answer instanceof Promise) answer.then((settled) => look(settled, args), ignore);
            else look(answer, args);
            return answer;
          };
  }
  // Each function was replaced by one that takes and answers the same.
  return told as Operations;
};
