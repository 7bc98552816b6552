import { randomUUID } from 'node:crypto';
import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { EncodedEvent } from '../encode.ts';
import type { Expected } from '../event-log.ts';
import type { AppendAnswer, AppendRequest } from './client.ts';
import { metadataBytes, positionOf } from './codec.ts';
import { Fault, faultOf } from './fault.ts';
import { type BatchCall, messages, shared, wellKnown } from './internals.ts';

type Pending = {
  readonly answered: (answer: AppendAnswer) => void;
  readonly failed: (fault: Fault) => void;
};

/** One duplex call and the appends that wait for its answers. */
type Line = {
  readonly call: BatchCall;
  readonly pending: Map<string, Pending>;
  /** How many came so far. */
  answers: number;
  lost: boolean;
};

const setExpected = (options: BatchAppendReq.Options, expected: Expected): void => {
  if (expected === 'any') options.setAny(new wellKnown.Empty());
  else if (expected === 'none') options.setNoStream(new wellKnown.Empty());
  else if (expected === 'exists') options.setStreamExists(new wellKnown.Empty());
  else options.setStreamPosition(expected.toString());
};

const messageOf = (event: EncodedEvent, attempt: string | undefined): BatchAppendReq.ProposedMessage => {
  const message = new messages.BatchAppendReq.ProposedMessage();
  const id = new shared.UUID();
  id.setString(event.id);
  message.setId(id);
  message.getMetadataMap().set('type', event.type).set('content-type', 'application/json');
  message.setData(Buffer.from(event.data));
  message.setCustomMetadata(metadataBytes(event, attempt));
  return message;
};

/** One message for the whole append: the port's limit of bytes is far below what gRPC takes at once. */
const requestOf = (correlationId: string, request: AppendRequest): BatchAppendReq => {
  const message = new messages.BatchAppendReq();
  const correlation = new shared.UUID();
  correlation.setString(correlationId);
  message.setCorrelationId(correlation);
  const stream = new shared.StreamIdentifier();
  stream.setStreamName(Buffer.from(request.stream));
  // No deadline is sent: it would be a time of day, and clocks that differ would let every append time out.
  const options = new messages.BatchAppendReq.Options();
  options.setStreamIdentifier(stream);
  setExpected(options, request.expected);
  message.setOptions(options);
  for (const [index, event] of request.events.entries()) {
    message.addProposedMessages(messageOf(event, index === 0 ? request.attempt : undefined));
  }
  message.setIsFinal(true);
  return message;
};

const refused = (response: BatchAppendResp): AppendAnswer | Fault => {
  const error = response.getError();
  const details = error?.getDetails();
  const text = error?.getMessage() ?? '';
  switch (details?.getTypeName()) {
    case 'event_store.client.WrongExpectedVersion': {
      const wrong = shared.WrongExpectedVersion.deserializeBinary(details.getValue_asU8());
      const actual = wrong.hasCurrentStreamRevision() ? Number(wrong.getCurrentStreamRevision()) : undefined;
      return { type: 'conflict', actual };
    }
    case 'event_store.client.StreamDeleted':
      return new Fault('deleted', 'the stream was deleted for good');
    case 'event_store.client.AccessDenied':
      return new Fault('denied', 'access denied');
    case 'event_store.client.MaximumAppendSizeExceeded':
      return new Fault('too_large', 'the append is larger than the server takes');
    case 'event_store.client.BadRequest':
      return new Fault('invalid', text);
    default:
      return faultOf(new Error(text === '' ? 'the server refused without saying why' : text));
  }
};

const answerOf = (response: BatchAppendResp): AppendAnswer | Fault => {
  const success = response.getSuccess();
  if (success === undefined) return refused(response);
  const position = success.getPosition();
  return {
    type: 'written',
    last: Number(success.getCurrentRevision()),
    position:
      position === undefined
        ? undefined
        : positionOf(BigInt(position.getCommitPosition()), BigInt(position.getPreparePosition())),
  };
};

/**
 * Appends over one duplex BatchAppend call that is opened on demand and again after it was lost.
 *
 * It stands in for the client's own: there an answer that comes after its append was given up, or a lost call with
 * writes in the queue, ends the process, and a silent server is waited for without end (docs/adr/0005).
 */
export const createBatchAppender = (open: () => Promise<BatchCall>) => {
  let opening: Promise<Line> | undefined;
  let current: Line | undefined;
  let closed = false;

  const lose = (own: Line, error: unknown): void => {
    own.lost = true;
    if (current === own) {
      current = undefined;
      opening = undefined;
    }
    const fault = faultOf(error);
    for (const { failed } of own.pending.values()) failed(fault);
    own.pending.clear();
  };

  const take = (own: Line, response: BatchAppendResp): void => {
    own.answers++;
    const id = response.getCorrelationId()?.getString() ?? '';
    const pending = own.pending.get(id);
    // Unknown ids are late answers: their append was given up and is being resolved by event id.
    if (pending === undefined) return;
    own.pending.delete(id);
    const answer = answerOf(response);
    if (answer instanceof Fault) pending.failed(answer);
    else pending.answered(answer);
  };

  const openLine = async (): Promise<Line> => {
    const call = await open();
    const own: Line = { call, pending: new Map(), answers: 0, lost: false };
    call.on('data', (response) => take(own, response));
    call.on('error', (error) => lose(own, error));
    call.on('close', () => lose(own, new Error('the connection was closed')));
    call.on('end', () => {
      lose(own, new Error('the server ended the call'));
      call.cancel();
    });
    if (closed) call.cancel();
    current = own;
    return own;
  };

  const ready = (): Promise<Line> => {
    if (opening === undefined) {
      opening = openLine();
      opening.catch(() => {
        opening = undefined;
      });
    }
    return opening;
  };

  return {
    /**
     * Sends one append and waits for its answer.
     *
     * @throws {Fault} also after `timeoutMs` without an answer; the append may still be written then.
     */
    append: (request: AppendRequest, timeoutMs: number): Promise<AppendAnswer> => {
      const { promise, resolve, reject } = Promise.withResolvers<AppendAnswer>();
      const correlationId = randomUUID();
      let over = false;
      let silent: () => void = () => undefined;
      const timer = setTimeout(() => {
        over = true;
        silent();
        reject(new Fault('unavailable', `no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      const send = (line: Line): void => {
        if (over) return;
        if (closed || line.lost) throw new Fault('unavailable', 'the connection was closed');
        const { answers } = line;
        silent = () => {
          line.pending.delete(correlationId);
          // Nothing at all came back since: the call is dead, and only a new one can tell.
          if (line.answers === answers) line.call.cancel();
        };
        line.pending.set(correlationId, { answered: resolve, failed: reject });
        line.call.write(requestOf(correlationId, request));
      };
      ready().then(send).catch(reject);
      return promise.finally(() => clearTimeout(timer));
    },
    /** Gives up what is still waiting; it fails as `unavailable`. */
    close: (): void => {
      closed = true;
      current?.call.cancel();
    },
  };
};

export type BatchAppender = ReturnType<typeof createBatchAppender>;
