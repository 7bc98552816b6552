import type { BenchHub } from '../support/hub.ts';

export type Answer = { readonly status: number; readonly body: { readonly [name: string]: unknown } };

/** One call of the hub's REST interface; throws for anything but 2xx. */
export const ask = async (
  { url }: Pick<BenchHub, 'url'>,
  method: string,
  path: string,
  body?: object,
): Promise<Answer['body']> => {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === '' ? {} : JSON.parse(text);
};

/** @throws {Error} when it does not run then. */
export const enable = async (hub: BenchHub, name: string): Promise<void> => {
  const { status, statusReason } = await ask(hub, 'POST', `/plugins/${name}/enable`, {});
  if (status !== 'enabled') throw new Error(`${name} is ${String(status)}: ${String(statusReason)}`);
};
