import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { nodePath } from '../bus/remote/protocol.ts';
import { ProblemError } from '../errors.ts';
import type { HookApi, HookedRequest } from '../nexus-hooks.ts';
import type { Admitted, Verified } from './auth/access.ts';
import { isProbe } from './auth/authenticate.ts';
import { nobody, type RequestState } from './context.ts';

export type RequestHooksOptions = {
  readonly core: HookApi;
  readonly clientAddress: (request: IncomingMessage) => string;
};

/** Asks plugins about what was let in (docs/adr/0052-hooks.md). */
export type RequestHooks = {
  /** Behind the gate, in front of every route. */
  readonly middleware: Middleware<RequestState>;
  /** Whom an upgrade was admitted for, or why plugins keep it out. */
  admitted(request: IncomingMessage, found: Verified<Admitted | undefined>): Verified<Admitted | undefined>;
};

/** Parts of the names of fields that hold what is nobody's to see. */
const secretParts = [
  'auth',
  'cookie',
  'token',
  'secret',
  'password',
  'credential',
  'session',
  'api-key',
  'apikey',
  'signature',
];
const isSecret = (name: string): boolean =>
  name === 'sec-websocket-protocol' ||
  name === 'sec-websocket-key' ||
  name.startsWith('proxy-') ||
  secretParts.some((part) => name.includes(part));

const shownFields = (headers: IncomingHttpHeaders): Record<string, string> => {
  const shown: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || isSecret(name)) continue;
    shown[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return shown;
};

/** Operators can always come to the plugins, probes tell of the hub alone, and nodes of one log to each other. */
const isExempt = (path: string): boolean =>
  path === '/plugins' || path.startsWith('/plugins/') || path === nodePath || isProbe(path);

export const createRequestHooks = ({ core, clientAddress }: RequestHooksOptions): RequestHooks => {
  const questionOf = (request: IncomingMessage, subject: string): HookedRequest => {
    const url = request.url ?? '';
    const mark = url.indexOf('?');
    return {
      method: request.method ?? '',
      path: mark < 0 ? url : url.slice(0, mark),
      query: mark < 0 ? '' : url.slice(mark + 1),
      headers: shownFields(request.headers),
      subject,
      address: clientAddress(request),
    };
  };

  const ask = async (request: IncomingMessage, subject: string) => {
    const question = questionOf(request, subject);
    return isExempt(question.path) ? undefined : core.requestHooks.ask?.(question);
  };

  const hooked: Middleware<RequestState> = async (ctx, next) => {
    const asked = await ask(ctx.req, ctx.state.subject.id);
    if (asked?.ok === false) throw new ProblemError(asked.problem);
    for (const [name, value] of Object.entries(asked?.value ?? {})) ctx.res.setHeader(name, value);
    return next();
  };

  return {
    middleware: (ctx, next) => (core.requestHooks.ask === undefined ? next() : hooked(ctx, next)),
    admitted: (request, found) => {
      if (core.requestHooks.ask === undefined) return found;
      const admit = async (): Promise<Awaited<typeof found>> => {
        const result = await found;
        if (!result.ok) return result;
        const asked = await ask(request, (result.value ?? nobody).id);
        return asked?.ok === false ? asked : result;
      };
      return admit();
    },
  };
};
