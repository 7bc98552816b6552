import type { IncomingMessage } from 'node:http';
import type { Json } from '../../domain/event.ts';
import { ProblemError, problem } from '../errors.ts';
import { isUtf8Type, mediaTypeOf } from '../media-type.ts';
import { parseJson } from './json.ts';
import { rest, resume } from './limits/work.ts';

export const maxBodyBytes = 1_048_576;

const jsonTypes = ['application/json'];

/**
 * The JSON body of a request; undefined when it has none.
 *
 * @param types Media types that are taken, in lower case.
 * @throws {ProblemError} `unsupported_media_type` (another type, a charset that is not UTF-8, an encoding), `too_large`
 *   (counted while it arrives), `bad_json`, `bad_request` (it broke off).
 */
export const readJson = async (
  request: IncomingMessage,
  types: readonly string[] = jsonTypes,
): Promise<Json | undefined> => {
  if (!hasBody(request)) return undefined;
  const contentType = request.headers['content-type'];
  if (contentType === undefined || contentType !== types[0]) requireType(contentType, types);
  const body = await readPlain(request, types);
  // A chunked body may turn out to be none.
  if (body.length === 0) return undefined;
  const parsed = parseJson(body);
  if (!parsed.ok) throw new ProblemError(parsed.problem);
  return parsed.value;
};

/**
 * The bytes of a body whose media type is the caller's to judge; undefined when it has none.
 *
 * @throws {ProblemError} As `readJson`, but for the media type and what is no JSON.
 */
export const readBytes = async (request: IncomingMessage): Promise<Buffer | undefined> => {
  if (!hasBody(request)) return undefined;
  const body = await readPlain(request);
  return body.length === 0 ? undefined : body;
};

/**
 * A JSON body of any size, as it arrives: its bytes are the caller's to judge. Undefined when there is none.
 *
 * @throws {ProblemError} `unsupported_media_type`.
 */
export const openBody = (request: IncomingMessage): AsyncIterable<Buffer> | undefined => {
  if (!hasBody(request)) return undefined;
  requireType(request.headers['content-type'], jsonTypes);
  requireNoEncoding(request);
  return request.iterator({ destroyOnReturn: false });
};

const hasBody = ({ headers }: IncomingMessage): boolean => {
  const length = headers['content-length'];
  return length === undefined ? headers['transfer-encoding'] !== undefined : length !== '0';
};

const requireNoEncoding = ({ headers }: IncomingMessage, supported?: readonly string[]): void => {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw unsupported('The body must not be encoded', { contentEncoding: encoding }, supported);
  }
};

/** A body that is not encoded. @param supported Media types that a refusal names. */
const readPlain = (request: IncomingMessage, supported?: readonly string[]): Promise<Buffer> => {
  requireNoEncoding(request, supported);
  const length = request.headers['content-length'];
  if (length !== undefined && Number(length) > maxBodyBytes) throw tooLarge();
  return readBody(request);
};

/**
 * The whole body, `maxBodyBytes` at most. How long it may take is bounded by arrivals.ts.
 *
 * @throws {ProblemError} `overloaded`, when the hub has too much to do by the time it is there.
 */
const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  rest(request);
  const body = await collect(request);
  resume(request, true);
  return body;
};

const collect = (request: IncomingMessage): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('error', onBroken);
      request.off('close', onBroken);
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= maxBodyBytes) {
        chunks.push(chunk);
        return;
      }
      settle();
      request.on('error', ignore);
      // What still comes is thrown away, so that the client reads the answer instead of a reset.
      request.resume();
      reject(tooLarge());
    };
    const onEnd = (): void => {
      settle();
      const [first] = chunks;
      resolve(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, bytes));
    };
    const onBroken = (): void => {
      settle();
      request.on('error', ignore);
      reject(new ProblemError(problem('bad_request', 'The body broke off')));
    };
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('error', onBroken);
    request.on('close', onBroken);
  });

const ignore = (): void => {};

const requireType = (contentType: string | undefined, types: readonly string[]): void => {
  if (contentType === undefined) throw unsupported('The body needs a Content-Type', {}, types);
  const media = mediaTypeOf(contentType);
  if (!types.includes(media.type)) {
    throw unsupported(`The body must be ${types.join(' or ')}`, { contentType }, types);
  }
  if (!isUtf8Type(media)) throw unsupported('The body must be UTF-8', { contentType }, types);
};

/** @param supported Media types that would do; none are named when that is not what is wrong. */
export const unsupported = (
  detail: string,
  facts: Record<string, unknown>,
  supported?: readonly string[],
): ProblemError =>
  new ProblemError(
    problem('unsupported_media_type', detail, supported === undefined ? facts : { ...facts, supported }),
  );

const tooLarge = (): ProblemError =>
  new ProblemError(
    problem('too_large', `The body is larger than ${maxBodyBytes} bytes`, { maxBytes: maxBodyBytes }),
  );
