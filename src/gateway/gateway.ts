import type { RequestListener } from 'node:http';
import Koa from 'koa';
import { nodePath } from '../bus/remote/protocol.ts';
import type { Config } from '../config.ts';
import type { Counters } from '../log/counters.ts';
import type { Logger } from '../logger.ts';
import type { NexusCore } from '../nexus-core.ts';
import { createAskers } from './askers.ts';
import { createAccess } from './auth/access.ts';
import { openKeySets } from './auth/key-sets.ts';
import { createCors } from './cors.ts';
import { createBudgetOf, createGate } from './gate.ts';
import { createGraphql } from './graphql/graphql.ts';
import { createHotReads } from './hot-reads.ts';
import { createClientAddress, createClientIp, createCountedAddress } from './limits/client-address.ts';
import { createOverload } from './limits/overload.ts';
import { createRateLimit } from './limits/rate-limit.ts';
import { createNodeLink } from './node-link.ts';
import { createPageFiles } from './pages/page-files.ts';
import { shells } from './pages/shells.ts';
import { createProxyRoute, type Forwarding } from './proxy.ts';
import { createRequestEnd } from './request-end.ts';
import { createRequestHooks } from './request-hooks.ts';
import { createRequestLog } from './request-log.ts';
import { createRest } from './rest/router.ts';
import { standingFields } from './security-headers.ts';
import { createWebServer, defaultTimeouts, type Timeouts } from './server.ts';
import { createTails } from './tails.ts';
import { attachWebSockets } from './ws/attach.ts';

export type GatewayOptions = {
  readonly core: NexusCore;
  readonly config: Config;
  readonly logger: Logger;
  /** Where the nodes of the log count their clients' requests together; closed with the gateway. */
  readonly counters?: Counters;
  readonly timeouts?: Partial<Timeouts>;
};

export type Gateway = {
  /** `http://HOST:PORT`, the host as a client on this machine can reach it. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Takes no new connections, finishes what is in flight, ends tails and sockets; within 10 s. The core stays open. */
  close(): Promise<void>;
};

/** What follows, the snapshot of the state and the end of the log, has its place within the 10 s too. */
const drainLimitMs = 6_000;

/**
 * Serves the hub over HTTP: REST, GraphQL, server-sent events and WebSockets on one port.
 *
 * @throws {Error} when the port cannot be bound, jwtSecret is too short, or the TLS files or jwksFile cannot be used.
 */
export const openGateway = async (options: GatewayOptions): Promise<Gateway> => {
  const { core, config, logger, counters } = options;
  const keys = await openKeySets({ config, logger });
  const access = createAccess(config, { keys, credentials: core.credentials });
  const clientAddress = createClientAddress(config.trustedProxies);
  const rateLimit = createRateLimit(config, counters === undefined ? undefined : { counters, logger });
  const budgetOf = createBudgetOf(access, clientAddress);
  const tails = createTails({
    logger,
    watch: access.watch,
    counted: (more) => {
      core.meters.http.openTails += more;
    },
  });
  const askers = createAskers(access.watch);
  let draining = false;
  const isDraining = (): boolean => draining;

  const standing = standingFields(config);

  const requestLog = createRequestLog(config.logLevel, logger);

  const app = new Koa();
  app.on('error', (error: unknown) => logger.debug({ err: error }, 'a connection broke'));
  const gate = createGate({
    access,
    cors: createCors(config.corsOrigins),
    rateLimit,
    budgetOf,
    clientAddress,
    logger,
    standing,
    isDraining,
    tracing: core.tracing,
    ended: createRequestEnd({ core, clientAddress, log: requestLog }),
  });
  for (const middleware of gate) app.use(middleware);
  const requestHooks = createRequestHooks({ core, clientAddress });
  app.use(requestHooks.middleware);
  const pages = createPageFiles();
  const graphql = createGraphql({ core, config, access, logger, askers, pages, spend: rateLimit.spend });
  app.use((ctx, next) => (ctx.path === '/graphql' ? graphql.handle(ctx) : next()));
  app.use((ctx, next) => {
    if (pages.has(ctx.path)) return pages.serve(ctx, ctx.path);
    const shell = shells.get(ctx.path);
    return shell === undefined ? next() : pages.respond(ctx, shell);
  });
  const forwarding: Forwarding = {
    scheme: config.tlsCert === null ? 'http' : 'https',
    clientIp: createClientIp(config.trustedProxies),
  };
  app.use(createProxyRoute(core, forwarding, access.whileGood));
  app.use(createRest({ core, config, logger, tails, askers, whileGood: access.whileGood, isDraining }));

  const overload = createOverload({
    config,
    logger,
    onRefused: () => core.meters.http.problems.add('overloaded'),
  });
  const ordinary = app.callback();
  const hotRead = createHotReads({
    core,
    access,
    rateLimit,
    budgetOf,
    standing: config.corsOrigins.length === 0 ? standing : [...standing, 'Vary', 'Origin'],
    isDraining,
  });
  const listener: RequestListener = (request, response) => {
    if (overload.refuses(request, response)) return;
    // Where every request is told, all go the one way that tells them.
    if (!requestLog.tellsAll && hotRead(request, response)) return;
    overload.serve(request, () => ordinary(request, response));
  };
  const web = createWebServer(config, listener, logger, { ...defaultTimeouts, ...options.timeouts });
  const sockets = attachWebSockets({
    app,
    server: web.server,
    core,
    config,
    logger,
    access,
    forwarding,
    onRefused: requestLog.upgradeRefused,
    admitted: requestHooks.admitted,
    nameOf: clientAddress,
    addressOf: createCountedAddress(config.trustedProxies),
    hosts: { ...graphql.hosts, [nodePath]: createNodeLink({ core, access, logger }) },
  });
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    draining = true;
    core.quiesce();
    const drained = web.drain(drainLimitMs);
    keys?.close();
    tails.close();
    askers.drain();
    graphql.close();
    await Promise.all([sockets.close(), drained]);
    counters?.close();
    access.close();
  };
  let port: number;
  try {
    port = await web.listen(config.apiHost, config.apiPort);
  } catch (error) {
    await close();
    throw error;
  }
  const scheme = config.tlsCert === null ? 'http' : 'https';

  return {
    url: `${scheme}://${urlHost(config.apiHost)}:${port}`,
    host: config.apiHost,
    port,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
};

/** An address that listens everywhere is reached on this machine by its loopback address. */
const urlHost = (host: string): string => {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
};
