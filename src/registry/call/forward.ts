import { Readable } from 'node:stream';
import type { Clock } from '../../clock.ts';
import type { AnswerSink, ForwardRequest } from '../../nexus-proxy.ts';
import type { Picked } from '../balance/balancer.ts';
import type { Schedule } from '../schedule.ts';
import type { CallAgent } from '../target/agent.ts';
import type { ConnectFailed } from '../target/connector.ts';
import { answerFields, lengthOf, textOf } from './fields.ts';
import { unsentBecause } from './http.ts';
import { unavailable } from './invoke.ts';
import { originOf } from './origin.ts';

/** How an attempt ended. Before the answer has begun another instance may be tried. */
export type Forwarded =
  | { readonly outcome: 'answered' }
  | { readonly outcome: 'unsent'; readonly failure: ConnectFailed }
  /** @property why `time` and `caller`: ended from this side. */
  | { readonly outcome: 'broken'; readonly ended: 'time' | 'caller' | undefined; readonly why: string }
  /** 502, 503 or 504, and there is another instance: nothing of this answer was passed on. */
  | { readonly outcome: 'unavailable'; readonly status: number };

/** The body of a request, which can be begun once. */
export type ForwardBody = {
  readonly source: Readable | Uint8Array;
  /** True once anything was taken from the client. */
  begun: boolean;
};

export type ForwardAttempt = {
  readonly request: ForwardRequest;
  readonly body: ForwardBody | undefined;
  /** Everything that goes along, names and values in turn. */
  readonly fields: readonly string[];
  readonly sink: AnswerSink;
  /** Until the answer begins, counted from when the body last moved. */
  readonly limitMs: number;
  /** Whether 502, 503 or 504 may be left for another instance, which then waits already. */
  readonly another: () => boolean;
  readonly signal: AbortSignal | undefined;
};

/** So long nothing may move in an answer that is not held up by its reader. */
const idleMs = 300_000;

/**
 * A stream of its own for each attempt: undici destroys what it was given when a connection fails, and the client's must
 * stay whole. The client's is read only when this one is.
 */
const streamOf = (body: ForwardBody, moved: () => void): Readable | Uint8Array => {
  const { source } = body;
  if (source instanceof Uint8Array) return source;
  const stream = source;
  async function* chunks() {
    body.begun = true;
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      moved();
      yield chunk;
    }
  }
  return Readable.from(chunks(), { objectMode: false });
};

/** Sends one request to one instance, its answer as it comes to the sink. Never rejects. */
export const createForward =
  ({
    dispatcher,
    schedule,
    clock,
  }: {
    dispatcher: Pick<CallAgent, 'dispatch'>;
    schedule: Schedule;
    clock: Clock;
  }) =>
  (picked: Picked, attempt: ForwardAttempt): Promise<Forwarded> =>
    new Promise((resolve) => {
      const { instance } = picked;
      const { request, body, sink, limitMs, signal } = attempt;
      let cut: (() => void) | undefined;
      let begun = false;
      let settled = false;
      let ended: 'time' | 'caller' | undefined;
      let movedMs = clock.now();
      let resumeAnswer = (): void => {};

      const settle = (forwarded: Forwarded): void => {
        if (settled) return;
        settled = true;
        alarm.cancel();
        signal?.removeEventListener('abort', onGone);
        resolve(forwarded);
      };
      const stop = (why: 'time' | 'caller'): void => {
        ended ??= why;
        if (cut !== undefined) {
          cut();
          return;
        }
        picked.settle(why === 'caller' ? 'cancelled' : 'unreachable');
        settle({
          outcome: 'unsent',
          failure: unsentBecause(new Error(`no connection to ${instance.id} in time`)),
        });
      };
      const onGone = (): void => stop('caller');
      const alarm = schedule.alarm(movedMs + limitMs, () => {
        if (movedMs + limitMs > clock.now()) alarm.move(movedMs + limitMs);
        else stop('time');
      });
      const moved = (): void => {
        movedMs = clock.now();
      };
      signal?.addEventListener('abort', onGone);
      if (signal?.aborted) return onGone();

      dispatcher.dispatch(
        {
          origin: originOf(instance),
          path: request.target,
          method: request.method,
          headers: [...attempt.fields],
          bodyTimeout: idleMs,
          ...(body === undefined ? {} : { body: streamOf(body, moved) }),
        },
        {
          onConnect(abort) {
            if (settled) abort();
            else cut = abort;
          },
          onHeaders(status, raw, resume) {
            // What is provisional (100, 102, 103) ends at the hub.
            if (status < 200) return true;
            if (unavailable.has(status) && attempt.another()) {
              picked.settle('failed', `status ${status}`);
              settle({ outcome: 'unavailable', status });
              cut?.();
              return true;
            }
            const fields = textOf(raw);
            const length = lengthOf(fields);
            sink.begin({
              status,
              fields: answerFields(fields),
              ...(length === undefined ? {} : { length }),
              instance: instance.id,
            });
            begun = true;
            alarm.cancel();
            resumeAnswer = resume;
            // How long the body takes says more of its reader than of the instance.
            picked.settle(status >= 500 ? 'failed' : 'answered', `status ${status}`);
            // No body follows. undici would wait for as much as a 304 says that the body would have had.
            if (status === 304 || status === 204) {
              sink.end();
              settle({ outcome: 'answered' });
            }
            return true;
          },
          onData: (chunk) => sink.write(chunk, resumeAnswer),
          onComplete() {
            if (settled) return;
            sink.end();
            settle({ outcome: 'answered' });
          },
          onError(error) {
            if (settled) return;
            if (begun) {
              sink.cut();
              return settle({ outcome: 'answered' });
            }
            if (cut === undefined) {
              picked.settle('unreachable', error.message);
              return settle({ outcome: 'unsent', failure: unsentBecause(error) });
            }
            picked.settle(
              ended === 'time' ? 'timeout' : ended === 'caller' ? 'cancelled' : 'failed',
              error.message,
            );
            settle({ outcome: 'broken', ended, why: error.message });
          },
        },
      );
    });
