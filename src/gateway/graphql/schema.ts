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

/**
 * The executable schema. Fields without a resolver of their own are properties.
 *
 * @throws {Error} when resolvers and schema do not name the same fields.
 */
export const createSchema = (): GraphQLSchema => {
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
