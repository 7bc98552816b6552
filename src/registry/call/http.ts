import { type Dispatcher, request } from 'undici';
import type { Instance } from '../instance.ts';
import { ConnectFailed } from '../target/connector.ts';
import { readBounded } from './answer.ts';
import type { Transport } from './transport.ts';

/** `http://HOST:PORT` of an instance that has an address. */
export const originOf = ({ document }: Pick<Instance, 'document'>): string => {
  const { protocol, host, port } = document;
  return `${protocol}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
};

/** `POST {protocol}://{host}:{port}/{method}` with the data as JSON (contract: POST /services/{name}/invoke). */
export const createHttpTransport =
  (dispatcher: Dispatcher): Transport =>
  async (instance, { method, body, headers, signal }) => {
    try {
      const answer = await request(`${originOf(instance)}/${method}`, {
        dispatcher,
        method: 'POST',
        body,
        signal,
        headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
      });
      return { outcome: 'answered', status: answer.statusCode, body: await readBounded(answer.body) };
    } catch (error) {
      if (error instanceof ConnectFailed) return { outcome: 'unsent', failure: error };
      return { outcome: 'broken', why: error instanceof Error ? error.message : 'the connection broke' };
    }
  };
