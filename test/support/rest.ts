import { setTimeout as delay } from 'node:timers/promises';
import type { LogEvent } from '../../domain/event.ts';

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  /** Empty for an answer without a body. */
  readonly body: Readonly<Record<string, unknown>>;
};

export type RequestOptions = {
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
};

/** One call of the hub at `url` (`http://HOST:PORT`), whatever its status; rejects when no whole answer comes. */
export const request = async (
  url: string,
  method: string,
  path: string,
  { body, headers = {}, signal }: RequestOptions = {},
): Promise<Answer> => {
  const response = await fetch(url + path, {
    method,
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : (JSON.parse(text) as Answer['body']),
  };
};

/** Asks again until `fits`; AVA's own timeout ends a condition that never comes. */
export const until = async <Asked = Answer>(
  ask: () => Promise<Asked>,
  fits: (answer: Asked) => boolean,
): Promise<Asked> => {
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    await delay(20);
  }
};

export const whenReady = async (url: string): Promise<void> => {
  await until(
    () => request(url, 'GET', '/health/ready'),
    ({ status }) => status === 200,
  );
};

export const readWholeLog = async (url: string): Promise<LogEvent[]> => {
  const events: LogEvent[] = [];
  for (let after = 'start'; ; ) {
    const { body } = await request(url, 'GET', `/log?limit=1000&after=${after}`);
    const page = body as { readonly events: LogEvent[]; readonly position: string; readonly more: boolean };
    events.push(...page.events);
    if (!page.more) return events;
    after = page.position;
  }
};
