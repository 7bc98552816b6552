import {
  type IncomingMessage,
  type ServerResponse,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http';
import type { Middleware } from 'koa';
import { type Problem, ProblemError, problem } from '../errors.ts';
import type { NexusCore } from '../nexus-core.ts';
import type { AnswerHead, AnswerSink, ForwardRequest } from '../nexus-proxy.ts';
import type { Admitted } from './auth/access.ts';
import type { CredentialWatch } from './auth/credential-watch.ts';
import { callOptionsOf } from './call-options.ts';
import { contextOf, type RequestState } from './context.ts';
import type { ClientAddress } from './limits/client-address.ts';

const prefix = '/proxy/';

export const isProxied = (url: string | undefined): boolean => url?.startsWith(prefix) === true;

/**
 * The service that a request is for and what is left of its target, exactly as it was written: neither dots nor slashes nor
 * percent signs mean anything to the hub, and the instance's address comes from the registry alone.
 */
export const proxiedTarget = (url: string): { readonly service: string; readonly target: string } => {
  const rest = url.slice(prefix.length);
  const end = rest.search(/[/?]/);
  if (end < 0) return { service: rest, target: '/' };
  const target = rest.slice(end);
  return { service: rest.slice(0, end), target: target.startsWith('/') ? target : `/${target}` };
};

const optionFields = ['X-Nexus-Strategy', 'X-Nexus-Key', 'X-Nexus-Capability', 'X-Nexus-Timeout-Ms'];

/** What of the X-Nexus fields says how to call, unchecked. */
const optionsOf = ({ headers }: IncomingMessage): Record<string, unknown> => {
  const options: Record<string, unknown> = {};
  for (const name of optionFields) {
    const value = headers[name.toLowerCase()];
    if (value !== undefined) options[name] = value;
  }
  return options;
};

const visible = /^[\x21-\x7e]+$/;

/** A subject may be any text: one that is not plain is percent-encoded. */
const subjectField = (id: string): string =>
  visible.test(id) && !id.includes('%') ? id : encodeURIComponent(id.toWellFormed());

export type Forwarding = {
  readonly scheme: 'http' | 'https';
  readonly clientIp: ClientAddress;
};

export type Asking = {
  readonly request: IncomingMessage;
  readonly subject: Admitted;
  readonly requestId: string;
};

/** A request without its body, as the core forwards it. */
export const forwardRequestOf = (
  { request, subject, requestId }: Asking,
  target: string,
  { scheme, clientIp }: Forwarding,
): ForwardRequest => ({
  method: request.method ?? 'GET',
  target,
  fields: request.rawHeaders,
  own: {
    'x-forwarded-for': clientIp(request),
    'x-forwarded-proto': scheme,
    'x-forwarded-host': request.headers.host ?? '',
    'x-nexus-subject': subjectField(subject.id),
    'x-request-id': requestId,
  },
  options: optionsOf(request),
});

/** A body that is no longer is taken whole before it goes on: it has mostly come along with its head. */
const smallBytes = 16_384;

/** @throws {ProblemError} `bad_request` when a small body broke off. */
const bodyOf = (request: IncomingMessage): IncomingMessage | Promise<Buffer> | undefined => {
  const length = request.headers['content-length'];
  if (length === undefined) return request.headers['transfer-encoding'] === undefined ? undefined : request;
  const bytes = Number(length);
  if (bytes === 0) return undefined;
  return bytes <= smallBytes ? readSmall(request) : request;
};

const readSmall = (request: IncomingMessage): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const onClose = (): void => {
      reject(new ProblemError(problem('bad_request', 'The body broke off')));
    };
    request.on('error', ignore).once('close', onClose);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => {
      request.off('close', onClose);
      const [first] = chunks;
      resolve(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks));
    });
  });

/** @throws {TypeError} for a head that Node would not send; then none of it is set. */
const begin = (response: ServerResponse, { status, fields, length, instance }: AnswerHead): void => {
  const values = new Map<string, string[]>();
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? '';
    const value = fields[at + 1] ?? '';
    validateHeaderName(name);
    validateHeaderValue(name, value);
    const lower = name.toLowerCase();
    const before = values.get(lower);
    if (before === undefined) values.set(lower, [value]);
    else before.push(value);
  }
  const vary = response.getHeader('vary');
  if (typeof vary === 'string' && values.has('vary')) values.get('vary')?.push(vary);
  // A page of a service has no origin in common with the hub, whoever may read what it does there.
  values.set('content-security-policy', [...(values.get('content-security-policy') ?? []), 'sandbox']);
  for (const [name, list] of values) {
    const [only] = list;
    response.setHeader(name, list.length === 1 && only !== undefined ? only : list);
  }
  response.setHeader('X-Nexus-Instance', instance);
  if (length !== undefined && status !== 204) response.setHeader('Content-Length', length);
  response.writeHead(status);
};

const sinkOf = (response: ServerResponse, onBegin: () => void): AnswerSink => {
  let moved = false;
  return {
    begin(head) {
      begin(response, head);
      onBegin();
      // Most bodies come along with their head: only a reader of one that takes its time is sent the head alone.
      setImmediate(() => {
        if (!moved) response.flushHeaders();
      });
    },
    write(chunk, onDrain) {
      moved = true;
      if (response.write(chunk)) return true;
      response.once('drain', onDrain);
      return false;
    },
    end() {
      moved = true;
      response.end();
    },
    cut() {
      moved = true;
      response.destroy();
    },
  };
};

/** ANY /proxy/{name}/{path}: behind the gate, past the router. */
export const createProxyRoute =
  (
    core: NexusCore,
    forwarding: Forwarding,
    whileGood: CredentialWatch['whileGood'],
  ): Middleware<RequestState> =>
  async (ctx, next) => {
    const { req, res, state } = ctx;
    if (!isProxied(req.url)) return next();
    // It would tell what the hub sends to the instance, and serves nothing else.
    if (req.method === 'TRACE')
      throw new ProblemError(problem('method_not_allowed', 'TRACE is not passed on'));
    const { service, target } = proxiedTarget(req.url ?? '');
    const gone = new AbortController();
    const onClose = (): void => {
      // An answer that was ended has not lost its reader.
      if (!res.writableEnded) gone.abort();
    };
    res.once('close', onClose);
    const sink = sinkOf(res, () => {
      ctx.respond = false;
    });
    const request = forwardRequestOf({ request: req, ...state }, target, forwarding);
    const body = await bodyOf(req);
    const done = await whileGood(ctx, () =>
      core.forward(
        service,
        body === undefined ? request : { ...request, body },
        sink,
        contextOf(ctx),
        callOptionsOf(req.headers, gone.signal),
      ),
    );
    res.off('close', onClose);
    // What still comes of a body that nobody wanted is thrown away, so that the client reads the answer.
    if (!req.complete) req.on('error', ignore).resume();
    if (done.ok) return;
    markInstance(res, done.problem);
    throw new ProblemError(done.problem);
  };

const ignore = (): void => {};

const markInstance = (response: ServerResponse, { facts }: Problem): void => {
  if (typeof facts?.instance === 'string') response.setHeader('X-Nexus-Instance', facts.instance);
};
