import { type DocumentNode, Kind, type SelectionSetNode } from 'graphql';
import type { RequestContext } from '../context.ts';
import type { Prepared } from './document.ts';

/** What a document is counted for: a query as a read, each field of a mutation as a write or an invoke. */
export type Spending = 'reads' | 'writes' | 'invokes';

/** @throws {ProblemError} `rate_limited`. */
export type Spend = (ctx: RequestContext, spending: Spending) => Promise<void>;

const reading: readonly Spending[] = ['reads'];

/** What cannot be read is counted too, or nonsense would cost nothing. */
export const spendingsOf = (prepared: Prepared): readonly Spending[] => {
  if (!prepared.ok || prepared.operation.operation !== 'mutation') return reading;
  const { document, operation } = prepared;
  return rootFields(document, operation.selectionSet).map((name) =>
    name === 'invokeService' ? 'invokes' : 'writes',
  );
};

/** Names of the fields of an operation, once for each time that one is asked for; fragments were found free of circles. */
const rootFields = (document: DocumentNode, { selections }: SelectionSetNode): readonly string[] =>
  selections.flatMap((selection): readonly string[] => {
    if (selection.kind === Kind.FIELD) return [selection.name.value];
    if (selection.kind === Kind.INLINE_FRAGMENT) return rootFields(document, selection.selectionSet);
    const name = selection.name.value;
    const fragment = document.definitions.find(
      (one) => one.kind === Kind.FRAGMENT_DEFINITION && one.name.value === name,
    );
    return fragment?.kind === Kind.FRAGMENT_DEFINITION ? rootFields(document, fragment.selectionSet) : [];
  });
