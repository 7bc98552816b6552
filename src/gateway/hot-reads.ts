import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NexusCore, StateEntry } from '../nexus-core.ts';
import type { Access } from './auth/access.ts';
import { requestIdOf } from './context.ts';
import type { RateLimit, Spent } from './limits/rate-limit.ts';
import { entityTag } from './rest/precondition.ts';
import { entryCacheControl } from './rest/state.ts';
import type { HeaderFields } from './security-headers.ts';

export type HotReadOptions = {
  readonly core: NexusCore;
  readonly access: Access;
  readonly rateLimit: RateLimit;
  /** The budget that a request of this subject is counted against. */
  readonly budgetOf: (request: IncomingMessage, subject: string) => string;
  /** What every answer carries, to a request without an Origin. */
  readonly standing: HeaderFields;
  readonly isDraining: () => boolean;
};

const prefix = '/state/';
/** One segment of a path: what ends in a route of its own (`/history`) has two. */
const plainKey = /^[A-Za-z0-9._~%-]{1,512}$/;

/**
 * Answers `GET /state/{key}` in front of Koa when nothing about it is out of the ordinary: the token was verified before, the
 * client's window is open and has room, no header field asks for anything, and the key is there. It is the call that comes
 * most often, and Koa, the router and what stands in the way of every call cost more than the read
 * (docs/adr/0045-hot-reads.md).
 *
 * @returns false, with nothing counted and nothing sent, for everything else: then it is Koa's, refusals included.
 */
export const createHotReads = (
  options: HotReadOptions,
): ((request: IncomingMessage, response: ServerResponse) => boolean) => {
  const { core, access, rateLimit, budgetOf, standing, isDraining } = options;
  // Each request is a span then.
  if (core.tracing !== undefined) return () => false;

  /** The entry, when it can be had at once. */
  const entryOf = (key: string, subject: Admitted, correlationId: string): StateEntry | undefined => {
    try {
      const read = core.state(key, {}, { subject, correlationId, tentative: true });
      return read instanceof Promise || !read.ok ? undefined : read.value;
    } catch {
      // Koa's way meets the same fault, and says what it is.
      return undefined;
    }
  };

  return (request, response) => {
    const startedMs = performance.now();
    if (request.method !== 'GET' || core.requestHooks.ask !== undefined || !asksForNothing(request))
      return false;
    const key = keyOf(request.url ?? '');
    if (key === undefined || isDraining()) return false;
    const subject = access.admitNow(request);
    if (subject === undefined) return false;
    const requestId = requestIdOf(request.headers['x-request-id']);
    const entry = entryOf(key, subject, requestId);
    if (entry === undefined) return false;
    const spent = rateLimit.spendReadNow(budgetOf(request, subject.id));
    if (spent === undefined) return false;
    send(response, standing, entry, requestId, spent);
    core.meters.http.finished('/state/{key}', 'GET', 200, (performance.now() - startedMs) / 1_000);
    return true;
  };
};

type Admitted = NonNullable<ReturnType<Access['admitNow']>>;

/** One array of names and values: Node puts them on the wire as they are, where each `setHeader` is checked and kept. */
const send = (
  response: ServerResponse,
  standing: HeaderFields,
  entry: StateEntry,
  requestId: string,
  spent: Spent,
): void => {
  const body = JSON.stringify(entry);
  response.writeHead(200, [
    'X-Request-Id',
    requestId,
    ...standing,
    'RateLimit-Limit',
    String(spent.limit),
    'RateLimit-Remaining',
    String(spent.remaining),
    'RateLimit-Reset',
    String(spent.resetSec),
    'ETag',
    entityTag(entry.version),
    'Cache-Control',
    entryCacheControl,
    'Content-Type',
    'application/json',
    'Content-Length',
    String(Buffer.byteLength(body)),
  ]);
  response.end(body);
};

const keyOf = (url: string): string | undefined => {
  if (!url.startsWith(prefix)) return undefined;
  const encoded = url.slice(prefix.length);
  if (!plainKey.test(encoded)) return undefined;
  if (!encoded.includes('%')) return encoded;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
};

/** True when no header field asks for more than the entry as JSON, and nothing comes behind the header. */
const asksForNothing = ({ headers }: IncomingMessage): boolean => {
  const { accept } = headers;
  return (
    (accept === undefined || accept === '*/*' || accept === 'application/json') &&
    headers.host !== undefined &&
    headers.origin === undefined &&
    headers['if-none-match'] === undefined &&
    headers['x-nexus-min-position'] === undefined &&
    headers['x-nexus-consistency'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    headers['content-length'] === undefined
  );
};
