import type {
  AppendReq,
  AppendResp,
  BatchAppendReq,
  BatchAppendResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import {
  Metadata,
  type ServerDuplexStream,
  type ServerReadableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { type AppendFault, count, type EsdbContext } from './faults.ts';
import { identifierOf, nameOf, proto } from './proto.ts';
import type { ExpectedRevision, ProposedEvent, Written } from './store.ts';

type Batch = {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: ProposedEvent[];
};
type Refusal =
  | 'WrongExpectedVersion'
  | 'StreamDeleted'
  | 'AccessDenied'
  | 'Timeout'
  | 'MaximumAppendSizeExceeded';

type Proposed = {
  getId(): { getString(): string } | undefined;
  getMetadataMap(): { get(key: string): string | undefined };
  getData_asU8(): Uint8Array;
  getCustomMetadata_asU8(): Uint8Array;
};

const proposedEvent = (message: Proposed): ProposedEvent => ({
  id: message.getId()?.getString() ?? '',
  type: message.getMetadataMap().get('type') ?? '',
  contentType: message.getMetadataMap().get('content-type') ?? '',
  data: message.getData_asU8(),
  metadata: message.getCustomMetadata_asU8(),
});

const sizeOf = (events: readonly ProposedEvent[]): number =>
  events.reduce((sum, event) => sum + event.type.length * 2 + event.data.length + event.metadata.length, 0);

/** Refusals without details that the client recognises, as the server words them. */
const notHandled = {
  notReady: 'Server Is Not Ready',
  busy: 'Server Is Busy',
  noLeader: 'No leader info available in response',
} as const;

const batchExpected = (options: BatchAppendReq.Options): ExpectedRevision => {
  if (options.hasAny()) return 'any';
  if (options.hasNoStream()) return 'no_stream';
  if (options.hasStreamExists()) return 'stream_exists';
  return BigInt(options.getStreamPosition());
};

const refusal = (name: Refusal, fill: (written: Written | undefined) => Uint8Array) => {
  const details = new proto.Any();
  details.setTypeUrl(`type.googleapis.com/event_store.client.${name}`);
  return (written?: Written): InstanceType<typeof proto.status.Status> => {
    details.setValue(fill(written));
    const error = new proto.status.Status();
    error.setMessage(name);
    error.setDetails(details);
    return error;
  };
};

const wrongVersion = (written: Written, expected: ExpectedRevision) =>
  refusal('WrongExpectedVersion', () => {
    const message = new proto.shared.WrongExpectedVersion();
    if (written.type === 'wrong_version' && written.current !== 'no_stream') {
      message.setCurrentStreamRevision(written.current.toString());
    } else message.setCurrentNoStream(new proto.Empty());
    if (typeof expected === 'bigint') message.setExpectedStreamPosition(expected.toString());
    else if (expected === 'no_stream') message.setExpectedNoStream(new proto.Empty());
    else if (expected === 'stream_exists') message.setExpectedStreamExists(new proto.Empty());
    else message.setExpectedAny(new proto.Empty());
    return message.serializeBinary();
  })(written);

const plainRefusals = {
  deleted: refusal('StreamDeleted', () => new proto.shared.StreamDeleted().serializeBinary()),
  accessDenied: refusal('AccessDenied', () => new proto.shared.AccessDenied().serializeBinary()),
  timeout: refusal('Timeout', () => new proto.shared.Timeout().serializeBinary()),
  tooLarge: refusal('MaximumAppendSizeExceeded', () => {
    const message = new proto.shared.MaximumAppendSizeExceeded();
    message.setMaxappendsize(1_048_576);
    return message.serializeBinary();
  }),
};

const unrecognised = (text: string): InstanceType<typeof proto.status.Status> => {
  const error = new proto.status.Status();
  error.setMessage(text);
  const details = new proto.Any();
  details.setTypeUrl('type.googleapis.com/google.protobuf.Empty');
  error.setDetails(details);
  return error;
};

const releaseAndForget = ({ store, faults }: EsdbContext): void => {
  faults.releaseHeld();
  store.forgetIds();
};

type Failure = { readonly code: status; readonly details: string; readonly metadata: Metadata };

const failure = (code: status, details: string, exception?: string): Failure => {
  const metadata = new Metadata();
  if (exception !== undefined) metadata.set('exception', exception);
  if (exception === 'maximum-append-size-exceeded') metadata.set('maximum-append-size', '1048576');
  return { code, details, metadata };
};

const notLeader = ({ faults }: EsdbContext): Failure => {
  const elsewhere = failure(status.NOT_FOUND, 'Leader info available', 'not-leader');
  elsewhere.metadata.set('leader-endpoint-host', '127.0.0.1');
  elsewhere.metadata.set('leader-endpoint-port', String(faults.settings.leaderPort));
  return elsewhere;
};

const breakCall = (call: ServerDuplexStream<BatchAppendReq, BatchAppendResp>): void => {
  call.emit('error', { code: status.UNAVAILABLE, details: 'the connection broke' });
};

const refusedBy = (fault: AppendFault | undefined): InstanceType<typeof proto.status.Status> | undefined => {
  switch (fault) {
    case 'accessDenied':
    case 'timeout':
      return plainRefusals[fault]();
    case 'bare':
      return new proto.status.Status();
    case 'notReady':
    case 'busy':
    case 'noLeader':
      return unrecognised(notHandled[fault]);
    default:
      return undefined;
  }
};

/** Streams.BatchAppend: chunks by correlation id until the final one; answers in the order of the commits, or later. */
export const batchAppend = (
  context: EsdbContext,
  call: ServerDuplexStream<BatchAppendReq, BatchAppendResp>,
): void => {
  const { store, faults } = context;
  count(context, 'batchAppend.open');
  const batches = new Map<string, Batch>();
  let isDeaf = false;

  const settle = (correlation: string, batch: Batch): void => {
    count(context, 'batchAppend');
    const response = new proto.streams.BatchAppendResp();
    const id = new proto.shared.UUID();
    id.setString(correlation);
    response.setCorrelationId(id);
    response.setStreamIdentifier(identifierOf(batch.stream));
    if (isDeaf) return;
    const fault = faults.takeAppend();
    if (fault === 'killBefore') breakCall(call);
    if (fault === 'notLeader') call.emit('error', notLeader(context));
    if (fault === 'killBefore' || fault === 'notLeader' || fault === 'swallow') return;
    isDeaf ||= fault === 'deaf';
    if (isDeaf) return;
    if (fault === 'afterHeld') releaseAndForget(context);
    const error =
      refusedBy(fault) ??
      (sizeOf(batch.events) > faults.settings.maxAppendBytes ? plainRefusals.tooLarge() : undefined);
    if (error !== undefined) {
      response.setError(error);
      call.write(response);
      return;
    }
    const commit = (): void => {
      const written = store.append(batch.stream, batch.events, batch.expected);
      if (written.type === 'wrong_version') response.setError(wrongVersion(written, batch.expected));
      else if (written.type === 'deleted') response.setError(plainRefusals.deleted());
      else {
        const success = new proto.streams.BatchAppendResp.Success();
        success.setCurrentRevision(written.last.toString());
        const position = new proto.shared.AllStreamPosition();
        position.setCommitPosition(written.position.toString());
        position.setPreparePosition(written.position.toString());
        success.setPosition(position);
        response.setSuccess(success);
      }
    };
    const answer = (): void => {
      if (!call.destroyed) call.write(response);
    };
    if (fault === 'late') {
      faults.hold(() => {
        commit();
        answer();
      });
      return;
    }
    commit();
    if (fault === 'kill') breakCall(call);
    else if (fault === 'hold') faults.hold(answer);
    else if (fault !== 'mute') answer();
  };

  call.on('data', (request: BatchAppendReq) => {
    const correlation = request.getCorrelationId()?.getString() ?? '';
    const options = request.getOptions();
    if (options !== undefined) {
      const stream = nameOf(options.getStreamIdentifier());
      batches.set(correlation, { stream, expected: batchExpected(options), events: [] });
    }
    const batch = batches.get(correlation);
    if (batch === undefined) return;
    batch.events.push(...request.getProposedMessagesList().map(proposedEvent));
    if (!request.getIsFinal()) return;
    batches.delete(correlation);
    settle(correlation, batch);
  });
  call.on('end', () => call.end());
  call.on('error', () => batches.clear());
};

const plainExpected = (options: AppendReq.Options): ExpectedRevision => {
  if (options.hasAny()) return 'any';
  if (options.hasNoStream()) return 'no_stream';
  if (options.hasStreamExists()) return 'stream_exists';
  return BigInt(options.getRevision());
};

const appendResponse = (written: Written, expected: ExpectedRevision): AppendResp => {
  const response = new proto.streams.AppendResp();
  if (written.type === 'written') {
    const success = new proto.streams.AppendResp.Success();
    success.setCurrentRevision(written.last.toString());
    const position = new proto.streams.AppendResp.Position();
    position.setCommitPosition(written.position.toString());
    position.setPreparePosition(written.position.toString());
    success.setPosition(position);
    response.setSuccess(success);
    return response;
  }
  const wrong = new proto.streams.AppendResp.WrongExpectedVersion();
  if (written.type === 'wrong_version' && written.current !== 'no_stream') {
    wrong.setCurrentRevision(written.current.toString());
  } else wrong.setCurrentNoStream(new proto.shared.Empty());
  if (typeof expected === 'bigint') wrong.setExpectedRevision(expected.toString());
  response.setWrongExpectedVersion(wrong);
  return response;
};

const statusOf = (fault: AppendFault | undefined): Failure | undefined => {
  switch (fault) {
    case 'killBefore':
      return failure(status.UNAVAILABLE, 'the connection broke');
    case 'accessDenied':
      return failure(status.PERMISSION_DENIED, 'Access Denied', 'access-denied');
    case 'timeout':
      return failure(status.ABORTED, 'Operation timed out');
    case 'bare':
      return failure(status.UNKNOWN, '');
    case 'notReady':
    case 'busy':
    case 'noLeader':
      return failure(status.UNAVAILABLE, notHandled[fault]);
    default:
      return undefined;
  }
};

const streamDeleted = (stream: string): Failure => {
  const gone = failure(status.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, 'stream-deleted');
  gone.metadata.set('stream-name', stream);
  return gone;
};

/** Streams.Append, the older call: a conflict is a normal response, other refusals are statuses with trailers. */
export const plainAppend = (
  context: EsdbContext,
  call: ServerReadableStream<AppendReq, AppendResp>,
  callback: sendUnaryData<AppendResp>,
): void => {
  const { store, faults } = context;
  let stream = '';
  let expected: ExpectedRevision = 'any';
  const events: ProposedEvent[] = [];
  call.on('data', (request: AppendReq) => {
    const options = request.getOptions();
    if (options !== undefined) {
      stream = nameOf(options.getStreamIdentifier());
      expected = plainExpected(options);
    }
    const message = request.getProposedMessage();
    if (message !== undefined) events.push(proposedEvent(message));
  });
  call.on('error', () => undefined);
  const settle = (): void => {
    // A client that gave up in the middle of its events: half an append is none.
    if (call.cancelled) return;
    count(context, 'append');
    const fault = faults.takeAppend();
    const answer = (written: Written): void => {
      if (written.type === 'deleted') callback(streamDeleted(stream));
      else callback(null, appendResponse(written, expected));
    };
    const refused =
      (fault === 'notLeader' ? notLeader(context) : statusOf(fault)) ??
      (sizeOf(events) > faults.settings.maxAppendBytes
        ? failure(status.INVALID_ARGUMENT, 'too large', 'maximum-append-size-exceeded')
        : undefined);
    if (fault === 'afterHeld') releaseAndForget(context);
    if (fault === 'swallow' || fault === 'deaf') return;
    if (refused !== undefined) {
      callback(refused);
      return;
    }
    if (fault === 'late') {
      faults.hold(() => answer(store.append(stream, events, expected)));
      return;
    }
    const written = store.append(stream, events, expected);
    if (fault === 'kill') callback(failure(status.UNAVAILABLE, 'the connection broke'));
    else if (fault === 'hold') faults.hold(() => answer(written));
    else if (fault !== 'mute') answer(written);
  };
  // The end of the events comes before the news that the call was cancelled.
  call.on('end', () => setImmediate(settle));
};
