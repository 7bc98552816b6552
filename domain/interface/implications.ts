import type { Json } from '../event.ts';
import { sameJson } from '../json.ts';
import { commonTypes, isList, member, type Node, numberOf, type TypeName, valuesOf } from './schema-node.ts';

/**
 * Keywords whose meaning does not lead into other schemas: whether what holds of every value of `inner` (all its nodes
 * hold at once) implies the keyword with `value`. Undefined: it cannot be told.
 */
type Implied = (value: Json, inner: readonly Node[]) => boolean | undefined;

const some = (inner: readonly Node[], name: string, holds: (own: number) => boolean): boolean =>
  inner.some((node) => {
    const own = numberOf(node, name);
    return own !== undefined && holds(own);
  });

const ofNumber =
  (implied: (value: number, inner: readonly Node[]) => boolean): Implied =>
  (value, inner) =>
    typeof value === 'number' ? implied(value, inner) : undefined;

const atLeast = (name: string): Implied =>
  ofNumber((value, inner) => value <= 0 || some(inner, name, (own) => own >= value));
const atMost = (name: string): Implied =>
  ofNumber((value, inner) => some(inner, name, (own) => own <= value));

const isMultiple = (own: number, of: number): boolean =>
  own === of || (Number.isSafeInteger(own) && Number.isSafeInteger(of) && of !== 0 && own % of === 0);

const multipleOf = ofNumber(
  (value, inner) =>
    some(inner, 'multipleOf', (own) => isMultiple(own, value)) ||
    (value === 1 && !commonTypes(inner).has('number')),
);

const sameText =
  (name: string): Implied =>
  (value, inner) =>
    inner.some((node) => member(node, name) === value);

const among: Implied = (value, inner) => {
  if (!isList(value)) return undefined;
  return inner.some((node) =>
    valuesOf(node)?.every((own) => value.some((allowed) => sameJson(own, allowed))),
  );
};

const required: Implied = (value, inner) =>
  isList(value)
    ? value.every((name) =>
        inner.some((node) => {
          const own = member(node, 'required');
          return isList(own) && own.includes(name);
        }),
      )
    : undefined;

const numbers: readonly TypeName[] = ['number', 'integer'];

/** By keyword: the types that it says something of (all when empty), and the rule. */
export const implications: ReadonlyMap<
  string,
  { readonly of: readonly TypeName[]; readonly implied: Implied }
> = new Map<string, { readonly of: readonly TypeName[]; readonly implied: Implied }>([
  ['enum', { of: [], implied: among }],
  ['const', { of: [], implied: (value, inner) => among([value], inner) }],
  [
    'minimum',
    {
      of: numbers,
      implied: ofNumber(
        (value, inner) =>
          some(inner, 'minimum', (own) => own >= value) ||
          some(inner, 'exclusiveMinimum', (own) => own >= value),
      ),
    },
  ],
  [
    'exclusiveMinimum',
    {
      of: numbers,
      implied: ofNumber(
        (value, inner) =>
          some(inner, 'minimum', (own) => own > value) ||
          some(inner, 'exclusiveMinimum', (own) => own >= value),
      ),
    },
  ],
  [
    'maximum',
    {
      of: numbers,
      implied: ofNumber(
        (value, inner) =>
          some(inner, 'maximum', (own) => own <= value) ||
          some(inner, 'exclusiveMaximum', (own) => own <= value),
      ),
    },
  ],
  [
    'exclusiveMaximum',
    {
      of: numbers,
      implied: ofNumber(
        (value, inner) =>
          some(inner, 'maximum', (own) => own < value) ||
          some(inner, 'exclusiveMaximum', (own) => own <= value),
      ),
    },
  ],
  ['multipleOf', { of: numbers, implied: multipleOf }],
  ['minLength', { of: ['string'], implied: atLeast('minLength') }],
  ['maxLength', { of: ['string'], implied: atMost('maxLength') }],
  ['pattern', { of: ['string'], implied: sameText('pattern') }],
  ['format', { of: [], implied: sameText('format') }],
  ['minItems', { of: ['array'], implied: atLeast('minItems') }],
  ['maxItems', { of: ['array'], implied: atMost('maxItems') }],
  [
    'uniqueItems',
    {
      of: ['array'],
      implied: (value, inner) =>
        value === false || inner.some((node) => member(node, 'uniqueItems') === true),
    },
  ],
  ['minProperties', { of: ['object'], implied: atLeast('minProperties') }],
  ['maxProperties', { of: ['object'], implied: atMost('maxProperties') }],
  ['required', { of: ['object'], implied: required }],
]);
