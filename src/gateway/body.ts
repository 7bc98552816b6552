import type { IncomingMessage } from 'node:http';
import type { Json } from '../../domain/event.ts';
import { ProblemError, problem } from '../errors.ts';
import { parseJson } from './json.ts';

export const maxBodyBytes = 1_048_576;

/**
 * The JSON body of a request; undefined when it has none.
 *
 * @throws {ProblemError} `unsupported_media_type` (another type than application/json, a charset that is not UTF-8, an
 *   encoding), `too_large` (counted while it arrives), `bad_json`, `bad_request` (it broke off).
 */
export const readJson = async (request: IncomingMessage): Promise<Json | undefined> => {
  const { headers } = request;
  const length = headers['content-length'];
  if (length === '0' || (length === undefined && headers['transfer-encoding'] === undefined))
    return undefined;
  if (headers['content-type'] !== 'application/json') requireJson(headers['content-type']);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw unsupported('The body must not be encoded', { contentEncoding: encoding });
  }
  if (length !== undefined && Number(length) > maxBodyBytes) throw tooLarge();
  const body = await readBody(request);
  // A chunked body may turn out to be none.
  if (body.length === 0) return undefined;
  const parsed = parseJson(body);
  if (!parsed.ok) throw new ProblemError(parsed.problem);
  return parsed.value;
};

/** The whole body, `maxBodyBytes` at most. How long it may take is the server's requestTimeout. */
const readBody = (request: IncomingMessage): Promise<Buffer> =>
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

const requireJson = (contentType: string | undefined): void => {
  if (contentType === undefined) throw unsupported('The body needs a Content-Type', {});
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  if (type.trim() !== 'application/json') {
    throw unsupported('The body must be application/json', { contentType });
  }
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=', 2);
    if (name.trim() !== 'charset') continue;
    const charset = value.trim().replaceAll('"', '');
    if (charset !== 'utf-8' && charset !== 'utf8') {
      throw unsupported('The body must be UTF-8', { contentType });
    }
  }
};

const unsupported = (detail: string, facts: Record<string, unknown>): ProblemError =>
  new ProblemError(problem('unsupported_media_type', detail, { ...facts, supported: ['application/json'] }));

const tooLarge = (): ProblemError =>
  new ProblemError(
    problem('too_large', `The body is larger than ${maxBodyBytes} bytes`, { maxBytes: maxBodyBytes }),
  );
