import * as z from 'zod';
import type { Json } from '../../../domain/event.ts';
import type { Ownership } from '../../bus/ownership.ts';
import type { AskNode } from '../../bus/remote/protocol.ts';
import type { Attempt, Transport } from '../call/transport.ts';
import { ConnectFailed } from '../target/connector.ts';

export type RemoteCallsOptions = {
  readonly ownership: Pick<Ownership, 'others'>;
  readonly ask: AskNode;
};

/** The answer is the other node's to bound; so much later than the call's own end it is not waited for. */
const slackMs = 2_000;
/** A frame that a node takes from another is bounded as that of every client. */
const maxFrameBytes = 1_048_576;
const headBytes = 4_096;

const json = z.custom<Json>((value) => value !== undefined);
const attemptSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('result'), value: json }),
  z.object({ outcome: z.literal('refused'), why: z.string(), error: json }),
  z.object({ outcome: z.literal('broken'), why: z.string() }),
  z.object({ outcome: z.literal('unsent'), why: z.string() }),
]);

/** A call as it goes from node to node. */
export type ToldCall = {
  readonly service: string;
  readonly method: string;
  readonly data: Json;
  readonly headers: Readonly<Record<string, string>>;
};

/** An attempt as it goes from node to node. */
export type ToldAttempt = z.output<typeof attemptSchema>;

export const tellAttempt = (attempt: Attempt): ToldAttempt => {
  switch (attempt.outcome) {
    case 'unsent':
      return { outcome: 'unsent', why: attempt.failure.message };
    case 'answered':
      return { outcome: 'broken', why: 'it was called by other means' };
    default:
      return attempt;
  }
};

const unsent = (why: string): Attempt => ({ outcome: 'unsent', failure: new ConnectFailed(why, false) });

/** Calls an instance over the WebSocket that it opened to another node. */
export const createRemoteCalls =
  ({ ownership, ask }: RemoteCallsOptions): Transport =>
  async ({ id, document }, { method, body, headers, signal }) => {
    const url = document.servedBy === null ? undefined : ownership.others.get(document.servedBy);
    if (url === undefined || url === null) return unsent(`${id} cannot be called: no WebSocket serves it`);
    if (Buffer.byteLength(body) > maxFrameBytes - headBytes)
      return unsent(`${id} cannot be called through another node with more than 1,020 KiB`);
    if (signal.aborted) return unsent(`${id} was not called: the call was given up`);
    let sent = false;
    const givenUp = Promise.withResolvers<'given up'>();
    let cancel = (): void => givenUp.resolve('given up');
    const onAbort = (): void => cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    const asked = ask(
      url,
      { op: 'call', service: id, method, data: JSON.parse(body), headers },
      {
        answerMs: Number(headers['x-nexus-timeout-ms']) + slackMs,
        onSent(request) {
          sent = true;
          const stop = (): void => void ask(url, { op: 'cancel', request });
          cancel = () => {
            stop();
            givenUp.resolve('given up');
          };
          if (signal.aborted) stop();
        },
      },
    );
    const answered = await Promise.race([asked, givenUp.promise]);
    signal.removeEventListener('abort', onAbort);
    // It may be on its way, and nobody hears whether it has arrived.
    if (answered === 'given up') return { outcome: 'broken', why: 'the call was given up' };
    if (!answered.ok) {
      const { detail } = answered.problem;
      return sent ? { outcome: 'broken', why: detail } : unsent(detail);
    }
    const told = attemptSchema.safeParse(answered.value);
    if (!told.success)
      return { outcome: 'broken', why: 'the node that it is open to answered with something else' };
    return told.data.outcome === 'unsent' ? unsent(told.data.why) : told.data;
  };
