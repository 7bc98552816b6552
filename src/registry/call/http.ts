import type { CallAgent } from '../target/agent.ts';
import { ConnectFailed } from '../target/connector.ts';
import { maxAnswerBytes } from './answer.ts';
import { originOf } from './origin.ts';
import type { Attempt, Transport } from './transport.ts';

/** Why a request was not sent, whatever undici calls it. */
export const unsentBecause = (error: Error): ConnectFailed =>
  error instanceof ConnectFailed ? error : new ConnectFailed(error.message, false, error);

/**
 * `POST {protocol}://{host}:{port}/{method}` with the data as JSON (contract: POST /services/{name}/invoke).
 *
 * undici tells by `onConnect` that the request goes onto a connection now: what fails before was not sent.
 */
export const createHttpTransport =
  (dispatcher: Pick<CallAgent, 'dispatch'>): Transport =>
  (instance, { method, body, headers, signal }) =>
    new Promise((resolve) => {
      let cut: (() => void) | undefined;
      let settled = false;
      let status = 0;
      let bytes = 0;
      const chunks: Buffer[] = [];

      const settle = (attempt: Attempt): void => {
        if (settled) return;
        settled = true;
        signal.removeEventListener('abort', onAbort);
        resolve(attempt);
      };
      const onAbort = (): void => {
        if (cut === undefined) {
          const failure = new ConnectFailed(`no connection to ${instance.id} was made in time`, false);
          settle({ outcome: 'unsent', failure });
        } else cut();
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort);

      dispatcher.dispatch(
        {
          origin: originOf(instance),
          path: `/${method}`,
          method: 'POST',
          body,
          headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
        },
        {
          onConnect(abort) {
            // Given up while it waited for a connection.
            if (settled) abort();
            else cut = abort;
          },
          onHeaders(code) {
            status = code;
            return true;
          },
          onData(chunk) {
            bytes += chunk.length;
            if (bytes <= maxAnswerBytes) {
              chunks.push(chunk);
              return true;
            }
            settle({ outcome: 'answered', status, body: 'too large' });
            cut?.();
            return true;
          },
          onComplete() {
            const [first] = chunks;
            const whole = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, bytes);
            settle({ outcome: 'answered', status, body: whole });
          },
          onError(error) {
            if (cut === undefined) settle({ outcome: 'unsent', failure: unsentBecause(error) });
            else settle({ outcome: 'broken', why: error.message });
          },
        },
      );
    });
