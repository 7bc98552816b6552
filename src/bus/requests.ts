import { isDeepStrictEqual } from 'node:util';
import { type LogEvent, type NewMetadata, streamId } from '../../domain/event.ts';
import { isTopic, replySegment } from '../../domain/names.ts';
import { type Clock, steadyNow, systemClock } from '../clock.ts';
import type { Handler } from '../command/handle.ts';
import { messageFrom } from '../core/logs.ts';
import type { Parts } from '../core/parts.ts';
import { validate } from '../core/validate.ts';
import { fault, ok, type Problem, ProblemError, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import { idOf, newId } from '../ids.ts';
import type { Context, Message, NexusCore, Replied, ReplyReceipt, RequestOptions } from '../nexus-core.ts';
import { type Address, decodeAddress, encodeAddress } from './requests/address.ts';
import { hubHeaders, replySchema, requestSchema } from './requests/schemas.ts';
import { createSeals } from './requests/seals.ts';
import {
  createWaiting,
  type RequestLimits,
  replyIdOf,
  requestLimits,
  type Wait,
} from './requests/waiting.ts';

export type RequestsOptions = {
  readonly parts: Pick<Parts, 'log' | 'hub' | 'node' | 'clock' | 'logger'>;
  readonly execute: NexusCore['execute'];
  readonly handler: Pick<Handler, 'appendAny'>;
  readonly timer?: Pick<Clock, 'after'>;
  readonly limits?: RequestLimits;
};

/** How far the clocks of two nodes may be apart before a reply in time is taken for a late one. */
const clockSkewMs = 10_000;

/** One topic for each node, whatever it asks: neither streams nor read models grow with the number of requests. */
export const replyTopicOf = (node: string): string => {
  const topic = `${replySegment}.${node}`;
  return isTopic(topic) ? topic : `${replySegment}.${idOf('node', node)}`;
};

/**
 * Request and reply over the bus (docs/adr/0021-request-and-reply.md): a request is a message whose headers say where
 * its reply goes; the reply is a message on the reply topic of the node that waits, which that node watches.
 */
export const createRequests = (options: RequestsOptions) => {
  const { parts, execute, handler, timer = systemClock, limits = requestLimits } = options;
  const { log, hub, node, clock, logger } = parts;
  const waiting = createWaiting(timer, limits);
  const seals = createSeals(log, node);
  const replyTopic = replyTopicOf(node);
  const closing = new AbortController();
  let following = false;

  const follow = async (): Promise<void> => {
    // No reply stands before a request that is yet to be published, so what the hub has seen is none.
    const replies = hub.watch({ filter: { topic: replyTopic }, after: hub.position, signal: closing.signal });
    for await (const part of replies) {
      if (part.type !== 'items') continue;
      for (const event of part.items) {
        const reply = messageFrom(event);
        if (reply !== undefined) waiting.settle(event.id, reply);
      }
    }
  };

  /** Begins with the first request; after a fault, with the next one. */
  const listen = (): void => {
    if (following) return;
    following = true;
    follow()
      .catch((error: unknown) => logger.error({ error }, 'the replies can no longer be followed'))
      .finally(() => {
        following = false;
      });
  };

  /** Publishes and waits. The message is handed to the log before this returns for the first time. */
  const ask = async (
    topic: string,
    data: unknown,
    context: Context,
    { signal, onPublished = () => {} }: RequestOptions,
  ): Promise<Result<Replied>> => {
    const checked = validate(requestSchema, data);
    if (!checked.ok) return checked;
    if (closing.signal.aborted) return fault(shuttingDown);
    const { timeoutMs, headers, ...message } = checked.value;
    const startedMs = steadyNow();
    const requestId = newId();
    const { correlationId } = context;
    const address: Address = { node, requestId, deadlineMs: clock() + timeoutMs, correlationId };
    const replyTo = encodeAddress(address, seals.seal);
    const opened = waiting.open(replyTo, address, context.subject.id, timeoutMs);
    if (!opened.ok) return opened;
    const wait = opened.value;
    const release = endWith(wait, signal, requestId);
    try {
      listen();
      const [, published] = await Promise.all([
        seals.announce(),
        execute(
          {
            type: 'PublishMessage',
            data: {
              ...given(message),
              topic,
              headers: { ...headers, [hubHeaders.replyTo]: replyTo, [hubHeaders.requestId]: requestId },
              ttlMs: timeoutMs,
              messageId: requestId,
            },
          },
          context,
        ),
      ]);
      if (!published.ok) return published;
      onPublished();
      const ended = await wait.ended;
      if ('problem' in ended) return fault(ended.problem);
      return answerOf(ended.reply, requestId, Math.round(steadyNow() - startedMs));
    } finally {
      release();
      wait.end(gaveUp(requestId));
    }
  };

  /** The request that an address was made for, by this node or another; `not_found` for any other text. */
  const addressOf = (replyTo: string): Result<Address> | Promise<Result<Address>> => {
    const own = waiting.find(replyTo);
    if (own !== undefined) return ok(own);
    const decoded = decodeAddress(replyTo);
    if (decoded === undefined || decoded.address.node === node) return fault(nobodyWaits);
    const { address, claims, seal } = decoded;
    if (clock() > address.deadlineMs + clockSkewMs) return fault(nobodyWaits);
    const sealed = seals.verify(address.node, claims, seal);
    const told = (isTrue: boolean): Result<Address> => (isTrue ? ok(address) : fault(nobodyWaits));
    return typeof sealed === 'boolean' ? told(sealed) : sealed.then(told);
  };

  const reply = async (data: unknown, context: Context): Promise<Result<ReplyReceipt>> => {
    const checked = validate(replySchema, data);
    if (!checked.ok) return checked;
    const { replyTo, payload, error, headers } = checked.value;
    const asked = addressOf(replyTo);
    const found = asked instanceof Promise ? await asked : asked;
    if (!found.ok) return found;
    const { requestId, correlationId, node: waits } = found.value;
    const topic = replyTopicOf(waits);
    const stream = streamId('topic', topic);
    const messageId = replyIdOf(requestId);
    const outcome = error === undefined ? 'ok' : 'error';
    const event = {
      id: messageId,
      type: 'MessagePublished',
      data: {
        messageId,
        topic,
        payload: error === undefined ? payload : given(error),
        priority: 'NORMAL',
        headers: { ...headers, [hubHeaders.requestId]: requestId, [hubHeaders.outcome]: outcome },
      },
    };
    const metadata: NewMetadata = {
      actor: context.subject.id,
      correlationId,
      causationId: requestId,
      ...given({ traceparent: context.traceparent }),
      node,
      schema: 1,
    };
    const appended = await handler.appendAny(stream, event, metadata);
    const [place] = appended.ok ? appended.events : [];
    if (!appended.ok || place === undefined) {
      return fault(problem('internal', 'an append that expects nothing was refused'));
    }
    if (appended.duplicate) {
      const [first] = await log.readStream(stream, { from: place.revision, limit: 1 });
      if (!isSame(first, event.data, metadata.actor)) {
        return fault(problem('already_replied', 'the request has another reply', { requestId }));
      }
    }
    return ok({ messageId, requestId, position: place.position, duplicate: appended.duplicate });
  };

  return {
    request: async (
      topic: string,
      data: unknown,
      context: Context,
      options: RequestOptions = {},
    ): Promise<Result<Replied>> => ask(topic, data, context, options),
    reply,
    /** Requests that wait now. */
    get waiting(): number {
      return waiting.size;
    },
    /** Ends all that wait with `shutting_down`; from then on nothing is asked. */
    close: (): void => {
      closing.abort();
      waiting.endAll(shuttingDown);
    },
  };
};

export type Requests = ReturnType<typeof createRequests>;

const shuttingDown = problem('shutting_down', 'The hub is shutting down');
const nobodyWaits = problem(
  'not_found',
  'no request waits for this reply: it had its reply, its time is over, or it never was',
);
const gaveUp = (requestId: string): Problem => problem('no_reply', 'the requester gave up', { requestId });

/** Ends the wait when `signal` aborts, with the problem that it aborts with. @returns how to stop listening. */
const endWith = (wait: Wait, signal: AbortSignal | undefined, requestId: string): (() => void) => {
  if (signal === undefined) return () => {};
  const onAbort = (): void => {
    const reason: unknown = signal.reason;
    wait.end(reason instanceof ProblemError ? reason.problem : gaveUp(requestId));
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
};

const answerOf = (reply: Message, requestId: string, durationMs: number): Result<Replied> => {
  const { payload, publisher, position } = reply;
  const outcome = reply.headers[hubHeaders.outcome];
  if (outcome === 'error') {
    const detail = `${publisher} replied that the request failed`;
    return fault(
      problem('upstream_failed', detail, { requestId, publisher, position, error: payload, durationMs }),
    );
  }
  const headers = Object.fromEntries(
    Object.entries(reply.headers).filter(
      ([name]) => name !== hubHeaders.requestId && name !== hubHeaders.outcome,
    ),
  );
  return ok({ requestId, payload, headers, publisher, position, durationMs });
};

/** True when what stands in the log is this very reply, which its sender tries again. */
const isSame = (first: LogEvent | undefined, data: object, actor: string): boolean =>
  first !== undefined && first.metadata.actor === actor && isDeepStrictEqual(first.data, data);
