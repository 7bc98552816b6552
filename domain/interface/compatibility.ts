import type { Json } from '../event.ts';
import { sameJson } from '../json.ts';
import type { Methods } from '../service/policy.ts';
import { type Budget, type Misfit, misfitsOf } from './containment.ts';
import type { Difference, Signature, Signatures } from './interface.ts';

/** At most so many differences are told of a change. */
export const maxDifferences = 50;
const maxSteps = 50_000;
const maxShown = 200;

/** Of methods as they are registered what their callers rely on. */
export const signaturesOf = (methods: Methods): Signatures =>
  Object.fromEntries(
    Object.entries(methods).map(([name, { input, output, idempotent }]): [string, Signature] => [
      name,
      {
        ...(input === undefined ? {} : { input }),
        ...(output === undefined ? {} : { output }),
        ...(idempotent === true ? { idempotent } : {}),
      },
    ]),
  );

export const sameSignatures = (left: Signatures, right: Signatures): boolean =>
  sameJson(asJson(left), asJson(right));

/** As JSON: without properties that stand there as undefined. */
const asJson = (signatures: Signatures): Json =>
  Object.fromEntries(Object.entries(signatures).map(([name, signature]) => [name, { ...signature }]));

/** A value as a difference shows it: whole when it is short, else the beginning of its text. */
const cut = (value: Json): Json => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= maxShown ? value : `${text.slice(0, maxShown)}…`;
};

/**
 * What of `is` breaks those who rely on `was`, in the order of methods; nothing: it is compatible.
 *
 * Input may only accept more, and output promise more. A removed method breaks, an added one does not. What
 * cannot be judged counts as breaking, and says so (docs/adr/0026-interfaces.md).
 */
export const differencesBetween = (was: Signatures, is: Signatures): readonly Difference[] => {
  const budget: Budget = { steps: maxSteps };
  const differences: Difference[] = [];
  const add = (difference: Difference): void => {
    if (differences.length < maxDifferences)
      differences.push({ ...difference, was: cut(difference.was), is: cut(difference.is) });
  };
  for (const [method, old] of Object.entries(was)) {
    const now = Object.hasOwn(is, method) ? is[method] : undefined;
    if (now === undefined) {
      add({ method, pointer: '', was: method, is: null, why: 'the method was removed' });
      continue;
    }
    if (old.idempotent === true && now.idempotent !== true)
      add({
        method,
        pointer: '/idempotent',
        was: true,
        is: false,
        why: 'calls can no longer be repeated safely',
      });
    const told =
      (side: 'input' | 'output', why: string) =>
      ({ pointer, inner, outer, why: reason }: Misfit): Difference => ({
        method,
        pointer: `/${side}${pointer}`,
        was: side === 'input' ? inner : outer,
        is: side === 'input' ? outer : inner,
        why: `${why}: ${reason}`,
      });
    misfitsOf(old.input ?? true, now.input ?? true, budget)
      .map(told('input', 'it accepts less'))
      .forEach(add);
    misfitsOf(now.output ?? true, old.output ?? true, budget)
      .map(told('output', 'it promises less'))
      .forEach(add);
  }
  return differences;
};
