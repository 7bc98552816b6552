import {
  buildSchema,
  type GraphQLFieldResolver,
  GraphQLObjectType,
  GraphQLScalarType,
  type GraphQLSchema,
} from 'graphql';
import { resolvers } from './resolvers.ts';
import type { ResolverContext } from './resolving.ts';
import { jsonOfLiteral } from './scalars.ts';
import { sdl } from './sdl.ts';

type Resolvers = Readonly<Record<string, GraphQLFieldResolver<unknown, ResolverContext>>>;

/** @throws {Error} when resolvers and schema do not name the same fields. */
const bindResolvers = (): GraphQLSchema => {
  const schema = buildSchema(sdl);
  const bind = (name: string, own: Resolvers, how: 'resolve' | 'subscribe'): void => {
    const type = schema.getType(name);
    if (!(type instanceof GraphQLObjectType)) throw new Error(`${name} is no object type of the schema`);
    const fields = type.getFields();
    const missing = Object.keys(own).find((field) => fields[field] === undefined);
    if (missing !== undefined) throw new Error(`${name}.${missing} is not in the schema`);
    for (const field of Object.values(fields)) {
      const resolver = own[field.name];
      if (resolver === undefined) throw new Error(`${name}.${field.name} has no resolver`);
      field[how] = resolver;
    }
  };
  bind('Query', resolvers.Query, 'resolve');
  bind('Mutation', resolvers.Mutation, 'resolve');
  bind('Subscription', resolvers.Subscription, 'subscribe');
  const json = schema.getType('JSON');
  if (!(json instanceof GraphQLScalarType)) throw new Error('JSON is no scalar of the schema');
  json.parseLiteral = jsonOfLiteral;
  return schema;
};

let bound: GraphQLSchema | undefined;

/**
 * The executable schema, which knows no hub: made at the first call, and the same for all. Fields without a resolver of
 * their own are properties.
 */
export const executableSchema = (): GraphQLSchema => {
  bound ??= bindResolvers();
  return bound;
};
