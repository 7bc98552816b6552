import { commandOperations } from '../../src/gateway/operations/commands.ts';
import {
  commandSocketFrames,
  publishSocketFrames,
  socketFrames,
  upgrades,
} from '../../src/gateway/operations/frames.ts';
import { graphqlOperations } from '../../src/gateway/operations/graphql.ts';
import type { Need, Operation } from '../../src/gateway/operations/operation.ts';
import { restOperations } from '../../src/gateway/operations/rest.ts';

const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``;

const needText = ({ scope, or, when }: Need): string => {
  const own = scope === 'any' || scope === 'public' ? scope : code(scope);
  const either = or === undefined ? own : `${own} or ${code(or)}`;
  return when === undefined ? either : `${either} (${when})`;
};

const row = (name: string, { kind, needs, besides = '' }: Operation): string =>
  `| ${code(name)} | ${kind} | ${needs.map(needText).join('; ')} | ${besides} |`;

const rows = (operations: Readonly<Record<string, Operation>>): readonly string[] =>
  Object.entries(operations).map(([name, operation]) => row(name, operation));

/** The rows of docs/access.md under each of its headings. */
export const tables: Readonly<Record<string, readonly string[]>> = {
  'REST routes': restOperations.map((operation) => row(`${operation.method} ${operation.path}`, operation)),
  Commands: rows(commandOperations),
  'GraphQL queries': rows(graphqlOperations.Query),
  'GraphQL mutations': rows(graphqlOperations.Mutation),
  'GraphQL subscriptions': rows(graphqlOperations.Subscription),
  'Upgrades to WebSockets': upgrades.map((operation) => row(operation.path, operation)),
  'Frames of /ws': rows(socketFrames),
  'Frames of the ZeroMQ command socket': rows(commandSocketFrames),
  'ZeroMQ publish socket': rows(publishSocketFrames),
};

export const head = '| operation | kind | needs | and |\n|---|---|---|---|';
