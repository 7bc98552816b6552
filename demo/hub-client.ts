/** The hub refused: its problem, as an exception, because the demo has nothing better to do about it. */
export class HubError extends Error {
  override readonly name = 'HubError';
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export type Answer = { readonly status: number; readonly etag: string | null; readonly body: unknown };

export type RequestOptions = {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: 10,000. */
  readonly timeoutMs?: number;
};

/** A few lines over `fetch`: what a service needs to talk to the hub. */
export type HubClient = {
  readonly url: string;
  /** @throws {HubError} for a status outside 2xx; {TypeError} when the hub cannot be reached. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** The same hub, with every request part of this correlation. */
  within(correlationId: string): HubClient;
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const textOf = (value: unknown, name: string): string =>
  isRecord(value) && typeof value[name] === 'string' ? value[name] : '';

export const createHubClient = (url: string, correlationId?: string): HubClient => ({
  url,
  async request(method, path, { body, headers, timeoutMs = 10_000 } = {}) {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(correlationId === undefined ? {} : { 'x-correlation-id': correlationId }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    const answer: unknown = text === '' ? null : JSON.parse(text);
    if (!response.ok) {
      const detail = `${method} ${path}: ${response.status} ${textOf(answer, 'code')} ${textOf(answer, 'detail')}`;
      throw new HubError(response.status, textOf(answer, 'code'), detail);
    }
    return { status: response.status, etag: response.headers.get('etag'), body: answer };
  },
  within: (id) => createHubClient(url, id),
});
