import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
  visit,
} from 'graphql';
import { defaultLimit, maxLimit } from '../../core/reads.ts';

/** What a document may ask for. Introspection is bounded by graphql-js's own rule and costs a flat price here. */
export const documentLimits = {
  maxTextBytes: 32 * 1024,
  maxTokens: 5_000,
  maxDepth: 12,
  maxAliases: 16,
  maxFields: 500,
  /** Of one response name in one selection set: validation compares each with each other. */
  maxRepeats: 16,
  maxFragments: 50,
  /** Fragments that are spread, inline ones included. */
  maxSpreads: 200,
  maxDirectives: 100,
  maxVariables: 100,
  maxCost: 1_000,
} as const;

const refuse = (message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code: 'invalid' } });

const fragmentsOf = (document: DocumentNode): ReadonlyMap<string, FragmentDefinitionNode> => {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  return fragments;
};

const isIntrospection = (name: string): boolean => name.startsWith('__');

const responseName = (node: FieldNode): string => node.alias?.value ?? node.name.value;

/** How often the name that is there most often is there. */
const most = (names: Iterable<string>): number => {
  const counts = new Map<string, number>();
  let worst = 0;
  for (const name of names) {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    worst = Math.max(worst, count);
  }
  return worst;
};

const exceedsWidth = (document: DocumentNode): GraphQLError | undefined => {
  const aliased: string[] = [];
  let fields = 0;
  let repeats = 0;
  let spreads = 0;
  let directives = 0;
  let variables = 0;
  visit(document, {
    Field: (node) => {
      fields++;
      if (node.alias !== undefined) aliased.push(node.name.value);
    },
    SelectionSet: ({ selections }) => {
      const names = selections.filter((one) => one.kind === Kind.FIELD).map(responseName);
      repeats = Math.max(repeats, most(names));
      spreads += selections.length - names.length;
    },
    Directive: () => {
      directives++;
    },
    VariableDefinition: () => {
      variables++;
    },
  });
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).length;
  const aliases = most(aliased);
  const { maxAliases, maxFields, maxRepeats, maxFragments, maxSpreads, maxDirectives, maxVariables } =
    documentLimits;
  if (aliases > maxAliases) return refuse(`One field may have ${maxAliases} aliases, and one has ${aliases}`);
  const counted: readonly (readonly [count: number, max: number, what: string])[] = [
    [fields, maxFields, 'fields'],
    [fragments, maxFragments, 'fragments'],
    [spreads, maxSpreads, 'spreads of fragments'],
    [directives, maxDirectives, 'directives'],
    [variables, maxVariables, 'variables'],
  ];
  for (const [count, max, what] of counted) {
    if (count > max) return refuse(`A document may have ${max} ${what}, and this one has ${count}`);
  }
  return repeats > maxRepeats
    ? refuse(`A name may stand ${maxRepeats} times in one place, and one stands there ${repeats} times`)
    : undefined;
};

/**
 * Checks depth and width before validation, which takes time that grows with both. Undefined when the document is
 * within the limits; one with cyclic fragments is left to validation, each fragment counted once.
 */
export const exceedsShape = (document: DocumentNode): GraphQLError | undefined => {
  const wide = exceedsWidth(document);
  if (wide !== undefined) return wide;
  const fragments = fragmentsOf(document);
  const heights = new Map<string, number>();
  const heightOf = (set: SelectionSetNode | undefined): number => {
    let height = 0;
    for (const selection of set?.selections ?? []) {
      if (selection.kind === Kind.FIELD) {
        if (isIntrospection(selection.name.value)) continue;
        height = Math.max(height, 1 + heightOf(selection.selectionSet));
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        height = Math.max(height, heightOf(selection.selectionSet));
      } else {
        height = Math.max(height, fragmentHeight(selection.name.value));
      }
    }
    return height;
  };
  const fragmentHeight = (name: string): number => {
    const known = heights.get(name);
    if (known !== undefined) return known;
    heights.set(name, 0);
    const height = heightOf(fragments.get(name)?.selectionSet);
    heights.set(name, height);
    return height;
  };
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const height = heightOf(definition.selectionSet);
    if (height > documentLimits.maxDepth) {
      return refuse(`A document may be ${documentLimits.maxDepth} fields deep, and this one is ${height}`);
    }
  }
  return undefined;
};

const rootCost = 10;
const introspectionCost = 100;
/** So many items of a list cost as much as one field that is no list. */
const itemsPerUnit = 50;
/** Root fields that answer lists, and the argument that says how long. */
const lists: Readonly<Record<string, string | undefined>> = {
  services: 'first',
  serviceInterfaces: 'first',
  topics: '',
  subscriptions: '',
  deadLetters: 'first',
  apiKeys: 'first',
  revokedTokens: 'first',
  retention: '',
  statePolicies: '',
  plugins: '',
  replays: '',
  states: 'first',
  events: 'first',
  stateHistory: 'last',
};

/**
 * The units that an operation of a valid document costs: 10 for each root field (100 for introspection), 1 for each
 * field below, as often as each 50 items of the list that it stands in.
 */
export const costOf = (
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>> | null | undefined,
): number => {
  const fragments = fragmentsOf(document);
  const known = new Map<string, number>();
  const costOfSet = (set: SelectionSetNode | undefined, root: boolean): number => {
    let cost = 0;
    for (const selection of set?.selections ?? []) {
      if (selection.kind === Kind.FIELD) {
        if (!root) cost += 1 + costOfSet(selection.selectionSet, false);
        else if (isIntrospection(selection.name.value)) cost += introspectionCost;
        else {
          const items = itemsOf(selection.name.value, selection.arguments ?? []);
          cost +=
            rootCost +
            costOfSet(selection.selectionSet, false) * Math.max(1, Math.ceil(items / itemsPerUnit));
        }
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        cost += costOfSet(selection.selectionSet, root);
      } else {
        cost += costOfFragment(selection.name.value, root);
      }
    }
    return cost;
  };
  const costOfFragment = (name: string, root: boolean): number => {
    const memo = `${root}${name}`;
    const before = known.get(memo);
    if (before !== undefined) return before;
    const cost = costOfSet(fragments.get(name)?.selectionSet, root);
    known.set(memo, cost);
    return cost;
  };
  const itemsOf = (
    field: string,
    given: readonly { readonly name: { readonly value: string }; readonly value: ValueNode }[],
  ): number => {
    const argument = lists[field];
    if (argument === undefined || operation.operation === 'subscription') return 1;
    const value = given.find((one) => one.name.value === argument)?.value;
    if (value?.kind === Kind.INT) return Math.min(Number(value.value), maxLimit);
    const variable = value?.kind === Kind.VARIABLE ? variables?.[value.name.value] : undefined;
    // Without a value the variable's own default may hold: the longest list is assumed.
    if (value?.kind === Kind.VARIABLE)
      return typeof variable === 'number' ? Math.min(variable, maxLimit) : maxLimit;
    return defaultLimit;
  };
  return costOfSet(operation.selectionSet, true);
};
