import type { GraphQLSchema } from 'graphql';
import type { ParameterizedContext as KoaContext } from 'koa';
import type { Config } from '../../config.ts';
import type { Logger } from '../../logger.ts';
import type { Meters } from '../../metrics/meters.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Askers } from '../askers.ts';
import type { Access } from '../auth/access.ts';
import { createGraphiqlPage } from '../pages/graphiql.ts';
import type { PageFiles } from '../pages/page-files.ts';
import type { SocketHost } from '../ws/attach.ts';
import { createDocuments, createUnderstand, type Documents } from './document.ts';
import { createGraphqlHttp } from './http.ts';
import { openPersistedDocuments } from './persisted.ts';
import { executableSchema } from './schema.ts';
import { createGraphqlSockets } from './socket.ts';
import type { Spend } from './spending.ts';

export type GraphqlOptions = {
  readonly core: NexusCore;
  readonly config: Pick<
    Config,
    'wsFramesPerSec' | 'graphqlIntrospection' | 'graphqlDocuments' | 'graphqlDocumentsOnly'
  >;
  readonly access: Access;
  readonly logger: Logger;
  readonly askers: Askers;
  /** Counts a request once its document is read (limits/rate-limit.ts). */
  readonly spend: Spend;
  readonly pages: PageFiles;
};

export type Graphql = {
  readonly schema: GraphQLSchema;
  /**
   * Answers a request of /graphql; the gate has put the subject into the context's state.
   *
   * @throws {ProblemError} for what is wrong with the request before it is one of GraphQL.
   */
  handle(ctx: KoaContext): Promise<void>;
  /** What speaks on WebSockets, by path (attachWebSockets' `hosts`). */
  readonly hosts: Readonly<Record<string, SocketHost>>;
  /** Completes the event streams; the sockets are closed by who attached them. */
  close(): void;
};

/**
 * GraphQL over HTTP, server-sent events and `graphql-transport-ws`, with one schema and the same limits.
 *
 * @throws {Error} when the file of persisted documents cannot be used.
 */
export const createGraphql = (options: GraphqlOptions): Graphql => {
  const { core, config, access, logger, askers, spend, pages } = options;
  const schema = executableSchema();
  const introspection = config.graphqlIntrospection;
  const understanding = { schema, introspection };
  const persisted = openPersistedDocuments({
    file: config.graphqlDocuments,
    only: config.graphqlDocumentsOnly,
    understand: createUnderstand(understanding),
    logger,
  });
  const documents = countOperations(createDocuments(understanding, persisted), core.meters.graphql);
  const shared = { schema, documents, core, logger, hideSuggestions: !introspection };
  const page = createGraphiqlPage({ introspection, documentsOnly: persisted.only });
  const http = createGraphqlHttp({ ...shared, askers, spend, pages, page, watch: access.watch });
  const sockets = createGraphqlSockets({ ...shared, access, framesPerSec: config.wsFramesPerSec });
  const close = (): void => {
    persisted.close();
    http.close();
  };
  return { schema, handle: http.handle, hosts: { '/graphql': sockets }, close };
};

const countOperations = (documents: Documents, counts: Meters['graphql']): Documents => ({
  ...documents,
  prepare: (request) => {
    const prepared = documents.prepare(request);
    counts.add(prepared.ok ? prepared.operation.operation : 'invalid');
    return prepared;
  },
});
