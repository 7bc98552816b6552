import type { Json } from '../../../domain/event.ts';
import { isDangerousName } from '../../../domain/json.ts';
import type { PluginLimits } from '../../../domain/plugin/manifest.ts';
import type { Clock } from '../../clock.ts';
import { invalid } from '../../errors.ts';
import { given } from '../../given.ts';
import { createAgent } from '../../registry/target/agent.ts';
import { ConnectFailed } from '../../registry/target/connector.ts';
import type { Targets } from '../../registry/target/targets.ts';
import { createTurns } from '../../watch/turns.ts';
import type { LimitName, WishAnswer } from '../sandbox/sandbox.ts';
import { granted, refusalOf, refuse } from './answers.ts';
import type { WishData } from './wishes.ts';

/** Requests under way of one plugin; the others wait for their turn, within their time. */
const maxAtATime = 16;
const maxHeaders = 64;

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, 5.5: visible characters, with spaces and tabs between them. */
const headerValue = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
/** What says how the message stands on the connection, or whose it is, is for who makes the connection. */
const refusedHeaders: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'http2-settings',
]);

const headerFault = (headers: Readonly<Record<string, string>>): string | undefined => {
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  if (names.length > maxHeaders) return `are more than ${maxHeaders}`;
  if (new Set(names).size < names.length) return 'name one header twice';
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!headerName.test(name)) return 'have a name that is no token';
    if (refusedHeaders.has(lower) || lower.startsWith('proxy-')) return `may not name ${lower}`;
    if (!headerValue.test(value)) return `have a value of ${lower} that no header can have`;
  }
  return undefined;
};

const inputFault = ({ url, method, headers, body }: WishData<'fetch'>) => {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:'))
    return invalid('/url', 'must be a URL of http or https');
  if (parsed.username !== '' || parsed.password !== '')
    return invalid('/url', 'must have no user and no password');
  if (body !== undefined && (method === 'GET' || method === 'HEAD'))
    return invalid('/body', `is not for ${method}`);
  const fault = headerFault(headers);
  return fault === undefined ? undefined : invalid('/headers', fault);
};

/** Without names that no object may have, and values of one name joined. */
const headersOf = (headers: Readonly<Record<string, string | string[] | undefined>>): Json =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || isDangerousName(name)
        ? []
        : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );

/** The text, or undefined when there are more than `max` bytes of it. */
const textOf = async (body: AsyncIterable<Buffer>, max: number): Promise<string | undefined> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // What is left when this returns is not read: the connection is given up.
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > max) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

export type PluginFetch = {
  /** To an origin that was granted. */
  fetch(data: WishData<'fetch'>): Promise<WishAnswer>;
  /** What is under way is cut off. */
  stop(): Promise<void>;
};

export type PluginFetchOptions = {
  /** Which addresses may be connected to. */
  readonly targets: Pick<Targets, 'check'>;
  readonly limits: Pick<PluginLimits, 'messageBytes' | 'timeoutMs'>;
  readonly clock: Pick<Clock, 'after'>;
  limited(limit: LimitName, detail: string): void;
};

/**
 * Requests to the world outside, over connections to checked addresses (docs/adr/0010-targets.md): no redirects are
 * followed, no proxy of the environment is used, and nothing of the hub's own is sent along.
 */
export const createPluginFetch = ({ targets, limits, clock, limited }: PluginFetchOptions): PluginFetch => {
  const agent = createAgent(targets, maxAtATime);
  const turns = createTurns(maxAtATime);
  const stopping = new AbortController();

  const send = async (data: WishData<'fetch'>, signal: AbortSignal): Promise<WishAnswer> => {
    const { dispatcher, request } = await agent.dispatcher();
    const { url, method, headers } = data;
    const answer = await request(url, {
      dispatcher,
      method,
      headers,
      signal,
      ...given({ body: data.body }),
    });
    const body = await textOf(answer.body, limits.messageBytes);
    if (body === undefined) {
      const detail = `the answer is larger than ${limits.messageBytes} bytes`;
      limited('messageBytes', `fetch: ${detail}`);
      return refuse('limit_exceeded', detail);
    }
    const { statusCode: status } = answer;
    return granted({
      status,
      ok: status >= 200 && status < 300,
      headers: headersOf(answer.headers),
      body,
    });
  };

  const failed = (error: unknown): WishAnswer => {
    const why = error instanceof Error ? error.message : String(error);
    return refuse(
      error instanceof ConnectFailed && error.refused ? 'target_refused' : 'upstream_failed',
      why.slice(0, 512),
    );
  };

  return {
    async fetch(data) {
      const fault = inputFault(data);
      if (fault !== undefined) return refusalOf(fault.problem);
      const timeoutMs = data.timeoutMs ?? limits.timeoutMs;
      const late = refuse('upstream_timeout', `there was no answer within ${timeoutMs} ms`);
      const deadline = new AbortController();
      const cancel = clock.after(timeoutMs, () => deadline.abort());
      const signal = AbortSignal.any([deadline.signal, stopping.signal]);
      try {
        return (await turns.run(() => send(data, signal), signal)) ?? late;
      } catch (error) {
        return deadline.signal.aborted ? late : failed(error);
      } finally {
        cancel();
      }
    },
    async stop() {
      stopping.abort();
      await agent.destroy();
    },
  };
};
