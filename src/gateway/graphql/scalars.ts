import { GraphQLError, Kind, type ValueNode } from 'graphql';
import type { Json } from '../../../domain/event.ts';
import { maxJsonDepth, refusedKeys } from '../json.ts';

const refuse = (reason: string, node: ValueNode): never => {
  throw new GraphQLError(`JSON: ${reason}`, { nodes: node, extensions: { code: 'bad_json' } });
};

/** The value of a literal, under the rules of JSON bodies: depth, refused keys, numbers that a double holds. */
export const jsonOfLiteral = (
  node: ValueNode,
  variables: Readonly<Record<string, unknown>> | null | undefined,
  depth = 1,
): Json => {
  const isContainer = node.kind === Kind.LIST || node.kind === Kind.OBJECT;
  if (isContainer && depth > maxJsonDepth) refuse(`nested deeper than ${maxJsonDepth} levels`, node);
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.STRING:
    case Kind.ENUM:
    case Kind.BOOLEAN:
      return node.value;
    case Kind.INT:
    case Kind.FLOAT: {
      const number = Number(node.value);
      return Number.isFinite(number) ? number : refuse('a number is out of range', node);
    }
    case Kind.LIST:
      return node.values.map((value) => jsonOfLiteral(value, variables, depth + 1));
    case Kind.OBJECT: {
      const object: Record<string, Json> = {};
      for (const field of node.fields) {
        if (refusedKeys.has(field.name.value)) refuse(`the key ${field.name.value} is refused`, field.value);
        object[field.name.value] = jsonOfLiteral(field.value, variables, depth + 1);
      }
      return object;
    }
    case Kind.VARIABLE:
      // Variables came in a body that passed parseJson, and an absent one is no value.
      return (variables?.[node.name.value] ?? null) as Json;
  }
};
