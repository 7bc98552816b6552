import type { Readable } from 'node:stream';
import { request } from 'undici';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { parseJson } from '../gateway/json.ts';
import { CallFailed, UsageError } from './command.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export type CallOptions = {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, as application/json. */
  readonly body?: { readonly stream: Readable; readonly bytes: number };
  readonly accept?: string;
};

/** A hub, as seen from the command line. Each call fails with `CallFailed`, in one line. */
export type Client = {
  /** The answer's JSON object; an empty one when it has no body. */
  call(method: Method, path: string, options?: CallOptions): Promise<JsonObject>;
  /** An answer that is read as it comes, however long that takes. */
  open(method: Method, path: string, options?: CallOptions): Promise<Opened>;
};

export type Opened = { readonly contentType: string; readonly body: Readable };

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

const tokenForm = /^[\x21-\x7e]+$/;

/** @throws {UsageError} when the address or the token cannot be one. */
export const createClient = (url: string, token: string | undefined, signal: AbortSignal): Client => {
  const base = URL.parse(url);
  if (base === null || !/^https?:$/.test(base.protocol))
    throw new UsageError(`the address of the hub must be http://… or https://…, not ${JSON.stringify(url)}`);
  if (token !== undefined && !tokenForm.test(token))
    throw new UsageError('the token has characters that no token has');
  const root = base.href.replace(/\/$/, '');

  const send = async (method: Method, path: string, options: CallOptions, patient: boolean) => {
    const target = new URL(root + path);
    for (const [name, value] of Object.entries(options.query ?? {}))
      if (value !== undefined) target.searchParams.set(name, String(value));
    const { json, body, accept = 'application/json' } = options;
    try {
      return await request(target, {
        method,
        signal,
        headers: {
          accept,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(json === undefined && body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(body === undefined ? {} : { 'content-length': String(body.bytes) }),
        },
        body: body === undefined ? (json === undefined ? null : JSON.stringify(json)) : body.stream,
        ...(patient ? { headersTimeout: 0, bodyTimeout: 0 } : {}),
      });
    } catch (error) {
      throw new CallFailed(`${root} cannot be reached: ${reasonOf(error)}`, { cause: error });
    }
  };

  const open = async (
    method: Method,
    path: string,
    options: CallOptions,
    patient: boolean,
  ): Promise<Opened> => {
    const { statusCode, headers, body } = await send(method, path, options, patient);
    const type = headers['content-type'];
    if (statusCode < 200 || statusCode > 299) throw new CallFailed(refusalOf(statusCode, await textOf(body)));
    return { contentType: typeof type === 'string' ? type : '', body };
  };

  return {
    call: async (method, path, options = {}) => {
      const { body } = await open(method, path, options, false);
      const text = await textOf(body);
      return text === '' ? {} : objectOf(text);
    },
    open: (method, path, options = {}) => open(method, path, options, true),
  };
};

const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (error.name === 'AbortError') return 'it was asked to end';
  if (cause instanceof Error) return reasonOf(cause);
  return error.message === '' && 'code' in error ? String(error.code) : error.message;
};

const textOf = async (body: Readable): Promise<string> => {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of body) chunks.push(chunk);
  } catch (error) {
    throw new CallFailed(`the answer broke off: ${reasonOf(error)}`, { cause: error });
  }
  return Buffer.concat(chunks).toString();
};

/** @throws {CallFailed} when it is no JSON object. */
export const objectOf = (text: string): JsonObject => {
  const parsed = parseJson(text);
  if (parsed.ok && isJsonObject(parsed.value)) return parsed.value;
  throw new CallFailed('the answer is not that of a hub');
};

/** A problem document in one line. */
export const problemLine = ({ code, detail, title }: JsonObject): string =>
  `${String(code ?? 'failed')}: ${String(detail ?? title ?? '')}`;

const refusalOf = (status: number, text: string): string => {
  const parsed = parseJson(text);
  return parsed.ok && isJsonObject(parsed.value) && parsed.value.code !== undefined
    ? problemLine(parsed.value)
    : `the answer is ${status}, and not that of a hub`;
};

/** The lines of a body, without their ends, as they come. */
export async function* linesOf(body: Readable): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let begun = '';
  try {
    for await (const chunk of body) {
      begun += decoder.decode(chunk, { stream: true });
      const lines = begun.split('\n');
      begun = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    throw new CallFailed(`the connection broke: ${reasonOf(error)}`, { cause: error });
  }
  if (begun !== '') yield begun;
}
