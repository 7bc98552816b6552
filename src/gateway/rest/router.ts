import Router, { type RouterMiddleware } from '@koa/router';
import type { Config } from '../../config.ts';
import { ProblemError, problem } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Askers } from '../askers.ts';
import type { CredentialWatch } from '../auth/credential-watch.ts';
import type { RequestState } from '../context.ts';
import type { Tails } from '../tails.ts';
import type { RestContext } from './answer.ts';
import { credentialRoutes } from './credentials.ts';
import { documentRoutes } from './documents.ts';
import { eventRoutes } from './events.ts';
import { healthRoutes } from './health.ts';
import { interfaceRoutes } from './interfaces.ts';
import { lockRoutes } from './locks.ts';
import { logRoutes } from './log.ts';
import { metricsRoutes } from './metrics.ts';
import { pluginRoutes } from './plugins.ts';
import { requestRoutes } from './requests.ts';
import { retentionRoutes } from './retention.ts';
import { serviceRoutes } from './services.ts';
import { snapshotRoutes } from './snapshot.ts';
import { stateRoutes } from './state.ts';
import { statePolicyRoutes } from './state-policies.ts';
import { subscriptionRoutes } from './subscriptions.ts';

export type RestRouter = Router<RequestState>;

export type RestOptions = {
  readonly core: NexusCore;
  readonly config: Config;
  readonly logger: Logger;
  readonly tails: Tails;
  readonly askers: Askers;
  readonly whileGood: CredentialWatch['whileGood'];
  /** True once the hub is shutting down. */
  readonly isDraining: () => boolean;
};

/** Paths are taken as they are written: case and a slash at the end count. */
export const createRouter = (): RestRouter => new Router<RequestState>({ strict: true, sensitive: true });

/**
 * The routers by the first segment of the paths that they are for, so that a request is matched against the few routes
 * that it can be for.
 */
export const createSections = (options: RestOptions): ReadonlyMap<string, RestRouter> => {
  const log = logRoutes(options);
  const events = eventRoutes(options);
  const requests = requestRoutes(options);
  const credentials = credentialRoutes(options);
  const documents = documentRoutes();
  return new Map<string, RestRouter>([
    ['services', serviceRoutes(options)],
    ['interfaces', interfaceRoutes(options)],
    ['state', stateRoutes(options)],
    ['snapshot', snapshotRoutes(options)],
    ['locks', lockRoutes(options)],
    ['events', events],
    ['topics', events],
    ['messages', events],
    ['requests', requests],
    ['replies', requests],
    ['subscriptions', subscriptionRoutes(options)],
    ['retention', retentionRoutes(options)],
    ['state-policies', statePolicyRoutes(options)],
    ['api-keys', credentials],
    ['revoked-tokens', credentials],
    ['plugins', pluginRoutes(options)],
    ['streams', log],
    ['log', log],
    ['commands', log],
    ['health', healthRoutes(options)],
    ['metrics', metricsRoutes(options)],
    ['openapi.json', documents],
    ['asyncapi.json', documents],
  ]);
};

/** All of REST as one middleware. */
export const createRest = (options: RestOptions): RouterMiddleware<RequestState> => {
  const sections = new Map<string, ReturnType<RestRouter['routes']>>();
  for (const [segment, router] of createSections(options)) sections.set(segment, router.routes());

  return async (ctx) => {
    const { path } = ctx;
    const end = path.indexOf('/', 1);
    const section = sections.get(end < 0 ? path.slice(1) : path.slice(1, end));
    if (section === undefined) throw nothingHere(path);
    await section(ctx, nothing);
    if (ctx.routeMatched !== true) unmatched(ctx);
  };
};

const nothing = async (): Promise<void> => {};

const nothingHere = (path: string): ProblemError =>
  new ProblemError(problem('not_found', `There is nothing at ${path.slice(0, 256)}`));

/** The path is unknown, or known for other methods: OPTIONS asks which. */
const unmatched = (ctx: RestContext): void => {
  const allowed = new Set(ctx.matched?.flatMap((layer) => layer.methods));
  if (allowed.size === 0) throw nothingHere(ctx.path);
  ctx.res.setHeader('Allow', [...allowed, 'OPTIONS'].join(', '));
  if (ctx.method === 'OPTIONS') {
    ctx.status = 204;
    return;
  }
  throw new ProblemError(
    problem('method_not_allowed', `${ctx.method} is not among ${[...allowed].join(', ')}`),
  );
};
