import type { RequestContext } from './context.ts';
import { templateOf } from './operations/rest.ts';
import { isProxied } from './proxy.ts';

/** What is no route: an unknown path, or a request that was refused before it was looked for. */
export const noRoute = 'none';

const templates = new Map<string, string>();

/** The template of a route as the catalogue has it, made once for each. */
const knownTemplate = (route: string): string => {
  const known = templates.get(route);
  if (known !== undefined) return known;
  const template = templateOf(route);
  templates.set(route, template);
  return template;
};

/** The route that a request was answered by, as a template of the code's: never anything of the path that came. */
export const routeOf = (ctx: RequestContext & { readonly _matchedRoute?: unknown }): string => {
  const { _matchedRoute: route } = ctx;
  if (typeof route === 'string') return knownTemplate(route);
  if (ctx.path === '/graphql') return '/graphql';
  return isProxied(ctx.req.url) ? '/proxy/{name}/{path}' : noRoute;
};
