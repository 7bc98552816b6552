import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import { count, type EsdbContext } from './faults.ts';
import { identifierOf, nameOf, proto } from './proto.ts';
import type { StoredEvent } from './store.ts';

type Call = ServerWritableStream<ReadReq, ReadResp>;

const eventResponse = (event: StoredEvent): ReadResp => {
  const record = new proto.streams.ReadResp.ReadEvent.RecordedEvent();
  const id = new proto.shared.UUID();
  id.setString(event.id);
  record.setId(id);
  record.setStreamIdentifier(identifierOf(event.stream));
  record.setStreamRevision(event.revision.toString());
  record.setCommitPosition(event.commit.toString());
  record.setPreparePosition(event.prepare.toString());
  record.getMetadataMap().set('type', event.type);
  record.getMetadataMap().set('content-type', event.contentType);
  record.getMetadataMap().set('created', event.created.toString());
  record.setData(event.data);
  record.setCustomMetadata(event.metadata);
  const resolved = new proto.streams.ReadResp.ReadEvent();
  resolved.setEvent(record);
  resolved.setCommitPosition(event.commit.toString());
  const response = new proto.streams.ReadResp();
  response.setEvent(resolved);
  return response;
};

const fail = (call: Call, code: status, details: string): void => {
  call.emit('error', { code, details });
};

/** Resolves when the call takes more, or is over. */
const drained = (call: Call): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      for (const name of ['drain', 'close', 'cancelled', 'error'] as const) call.off(name, done);
      resolve();
    };
    for (const name of ['drain', 'close', 'cancelled', 'error'] as const) call.once(name, done);
  });

const send = async (call: Call, events: Iterable<StoredEvent>): Promise<void> => {
  for (const event of events) {
    if (call.cancelled || call.destroyed) return;
    if (!call.write(eventResponse(event))) await drained(call);
  }
};

/** The events of a stream that the request asks for, or undefined when the stream has none. */
const streamEvents = (
  { store }: EsdbContext,
  options: ReadReq.Options.StreamOptions,
  backwards: boolean,
  limit: number,
): readonly StoredEvent[] | undefined => {
  const visible = store.stream(nameOf(options.getStreamIdentifier()));
  if (visible === undefined) return undefined;
  const from = options.hasRevision() ? BigInt(options.getRevision()) : undefined;
  if (backwards) {
    const last = options.hasStart() ? 0n : from;
    const chosen = last === undefined ? visible : visible.filter((event) => event.revision <= last);
    return chosen.slice(-limit).reverse();
  }
  if (options.hasEnd()) return [];
  return visible.filter((event) => event.revision >= (from ?? 0n)).slice(0, limit);
};

const allEvents = (
  { store, faults }: EsdbContext,
  options: ReadReq.Options.AllOptions,
  backwards: boolean,
  limit: number,
): readonly StoredEvent[] => {
  const { log } = store;
  const position = options.getPosition();
  const commit = position === undefined ? undefined : BigInt(position.getCommitPosition());
  if (!backwards) {
    const from = options.hasEnd() ? log.length : commit === undefined ? 0 : store.indexAt(commit);
    return log.slice(from, from + limit);
  }
  const end = options.hasStart()
    ? 0
    : commit === undefined
      ? log.length
      : store.indexAt(faults.settings.inclusive ? commit + 1n : commit);
  return log.slice(Math.max(0, end - limit), end).reverse();
};

const confirm = (call: Call): void => {
  const response = new proto.streams.ReadResp();
  const confirmation = new proto.streams.ReadResp.SubscriptionConfirmation();
  confirmation.setSubscriptionId('00000000-0000-4000-8000-000000000000');
  response.setConfirmation(confirmation);
  call.write(response);
};

const marker = (call: Call, kind: 'caughtUp' | 'fellBehind'): void => {
  const response = new proto.streams.ReadResp();
  if (kind === 'caughtUp') response.setCaughtUp(new proto.streams.ReadResp.CaughtUp());
  else response.setFellBehind(new proto.streams.ReadResp.FellBehind());
  call.write(response);
};

/**
 * A subscription to $all: catches up from the log, says so, then goes on live. A consumer that holds up the live part
 * by more than `slowLimit` events is dropped or sent back to catching up.
 */
const subscribe = async (context: EsdbContext, call: Call, options: ReadReq.Options): Promise<void> => {
  const { store, faults } = context;
  const all = options.getAll();
  const position = all?.getPosition();
  const regex = options.getFilter()?.getEventType()?.getRegex();
  const wanted = regex === undefined || regex === '' ? undefined : new RegExp(regex);
  // Exclusive: what stands at the position itself was handled.
  let next =
    position !== undefined
      ? store.indexAt(BigInt(position.getCommitPosition()) + (faults.settings.inclusive ? 0n : 1n))
      : all?.hasEnd()
        ? store.log.length
        : 0;
  let live = false;
  let isOver = false;
  let wake: () => void = () => undefined;
  const stopListening = store.onWrite(() => {
    if (live && store.log.length - next > faults.settings.slowLimit) {
      faults.settings.slowConsumers++;
      if (faults.settings.slowOutcome === 'drop') {
        isOver = true;
        live = false;
        fail(call, status.ABORTED, 'Operation timed out');
      } else {
        live = false;
        marker(call, 'fellBehind');
      }
    }
    wake();
  });
  call.once('close', () => wake());
  call.once('cancelled', () => wake());
  context.subscribedFrom.push(BigInt(position?.getCommitPosition() ?? 0));
  confirm(call);
  try {
    while (!isOver && !call.cancelled && !call.destroyed) {
      const event = store.log[next];
      if (event !== undefined) {
        next++;
        if (wanted === undefined || wanted.test(event.type)) await send(call, [event]);
        continue;
      }
      if (!live) {
        live = true;
        marker(call, 'caughtUp');
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    stopListening();
  }
};

const readOneStream = (context: EsdbContext, call: Call, options: ReadReq.Options, name: string): void => {
  const stream = options.getStream();
  if (stream === undefined || context.store.isDeleted(name)) {
    fail(call, status.FAILED_PRECONDITION, `Event stream '${name}' is deleted.`);
    return;
  }
  const events = streamEvents(context, stream, isBackwards(options), Number(options.getCount()));
  if (events === undefined) {
    const response = new proto.streams.ReadResp();
    const missing = new proto.streams.ReadResp.StreamNotFound();
    missing.setStreamIdentifier(identifierOf(name));
    response.setStreamNotFound(missing);
    call.write(response);
    call.end();
    return;
  }
  void send(call, events).then(() => call.end());
};

const isBackwards = (options: ReadReq.Options): boolean =>
  options.getReadDirection() === proto.streams.ReadReq.Options.ReadDirection.BACKWARDS;

/** Streams.Read: one stream or $all, both ways, or a subscription to $all. */
export const read = (context: EsdbContext, call: Call): void => {
  const { faults } = context;
  const options = call.request.getOptions() ?? new proto.streams.ReadReq.Options();
  const subscribes = options.hasSubscription();
  count(context, subscribes ? 'subscribe' : options.hasAll() ? 'readAll' : 'readStream');
  if (faults.settings.silentReads > 0) {
    faults.settings.silentReads--;
    return;
  }
  if (faults.settings.notReadyReads > 0) {
    faults.settings.notReadyReads--;
    fail(call, status.UNAVAILABLE, 'Server Is Not Ready');
    return;
  }
  const all = options.getAll();
  if (subscribes) void subscribe(context, call, options);
  else if (all === undefined)
    readOneStream(context, call, options, nameOf(options.getStream()?.getStreamIdentifier()));
  else {
    void send(call, allEvents(context, all, isBackwards(options), Number(options.getCount()))).then(() =>
      call.end(),
    );
  }
};
