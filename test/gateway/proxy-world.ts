import { once } from 'node:events';
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
} from 'node:http';
import { type Listening, listen } from '../registry/support.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { call } from './client.ts';

/** A hub that asks for tokens, and whose services may be on this machine. */
export const openProxyHub = (): Promise<Hub> =>
  openHub({ jwtSecret, allowedTargets: ['127.0.0.0/8', '::1/128'] });

export const bearer = (
  subject = 'ada',
  scope = 'services:invoke:* services:write',
): Record<string, string> => ({
  authorization: `Bearer ${signToken(subject, scope)}`,
});

export const register = async (hub: Hub, name: string, changes: object): Promise<void> => {
  const { status, text } = await call(hub.url, 'POST', '/services', {
    headers: bearer(),
    json: { name, version: '1.0.0', ...changes },
  });
  if (status !== 201) throw new Error(text);
};

/** One real server per listener until the end of the test, registered as instances `NAME-0`, `NAME-1`, … of the service. */
export const serve = async (
  t: { teardown(close: () => Promise<void>): void },
  hub: Hub,
  name: string,
  ...listeners: readonly RequestListener[]
): Promise<readonly Listening[]> => {
  const servers = await Promise.all(listeners.map(listen));
  for (const { close } of servers) t.teardown(close);
  for (const [index, { port }] of servers.entries())
    await register(hub, name, { id: `${name}-${index}`, host: '127.0.0.1', port });
  return servers;
};

/** A request that is not ended, and its answer. */
export const open = (
  hub: Hub,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): { readonly request: ClientRequest; readonly answer: Promise<IncomingMessage> } => {
  const request = httpRequest({
    hostname: '127.0.0.1',
    port: hub.port,
    method,
    path,
    agent: false,
    headers: { ...bearer(), ...headers },
  });
  const answer = once(request, 'response').then(([response]: unknown[]) => response as IncomingMessage);
  answer.catch(() => {});
  return { request, answer };
};

export const bytesOf = async (stream: AsyncIterable<unknown>): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) if (chunk instanceof Buffer) chunks.push(chunk);
  return Buffer.concat(chunks);
};
