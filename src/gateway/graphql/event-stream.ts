import { PassThrough } from 'node:stream';
import type { FormattedExecutionResult } from 'graphql';
import type { Admitted } from '../auth/access.ts';
import type { CredentialWatch } from '../auth/credential-watch.ts';
import type { Results } from './execution.ts';

/** Open streams of results by server-sent events (graphql-sse, distinct connections). */
export type EventStreams = {
  /** Undefined when there are as many as there may be. */
  open(subject: Admitted): EventStream | undefined;
  close(): void;
};

export type EventStream = {
  /** The body of the answer. Whoever reads it slowly is sent results slowly. */
  readonly body: PassThrough;
  /** Resolves when there is room for a further result. */
  ready(): Promise<void>;
  /** Sends `results`, then `complete`; stops them when the client goes away. */
  send(results: Results): void;
};

const maxStreams = 4_096;
/** A comment as often keeps proxies from closing the connection, and finds out that the client went away. */
const keepAliveMs = 15_000;
const highWaterMark = 256 * 1024;

export const createEventStreams = (watchCredential: CredentialWatch['watch']): EventStreams => {
  const streams = new Set<PassThrough>();

  const finish = (body: PassThrough): void => {
    if (body.writableEnded) return;
    // The empty data line makes browsers dispatch the event.
    body.end('event: complete\ndata: \n\n');
  };

  return {
    open: (subject) => {
      if (streams.size >= maxStreams) return undefined;
      const body = new PassThrough({ highWaterMark });
      streams.add(body);
      const keepAlive = setInterval(() => {
        if (!body.writableNeedDrain && !body.writableEnded) body.write(':\n\n');
      }, keepAliveMs).unref();
      const stopWatching = watchCredential(subject, () => finish(body));
      body.once('close', () => {
        streams.delete(body);
        clearInterval(keepAlive);
        stopWatching();
      });
      // Sent at once, so that the client has the head of the answer before the first result.
      body.write(':\n\n');
      return {
        body,
        ready: () =>
          body.writableNeedDrain && !body.destroyed
            ? new Promise((resolve) => {
                const done = (): void => {
                  body.off('drain', done);
                  body.off('close', done);
                  resolve();
                };
                body.on('drain', done);
                body.on('close', done);
              })
            : Promise.resolve(),
        send: (results) => {
          body.once('close', results.stop);
          body.once('finish', results.stop);
          void results
            .run((result) => emit(body, result))
            .then(
              () => finish(body),
              (error: unknown) => body.destroy(error instanceof Error ? error : new Error(String(error))),
            );
        },
      };
    },
    close: () => {
      for (const body of streams) finish(body);
    },
  };
};

const emit = (body: PassThrough, result: FormattedExecutionResult): void => {
  if (!body.writableEnded && !body.destroyed) body.write(`event: next\ndata: ${JSON.stringify(result)}\n\n`);
};
