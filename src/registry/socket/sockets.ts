import type { Attempt, OutgoingCall, Transport } from '../call/transport.ts';
import { ConnectFailed } from '../target/connector.ts';
import type { Attendance, CallAnswer, Channel } from './channel.ts';

/** The instances that are called over connections which they have opened to this node. */
export type Sockets = {
  /** A connection has been opened. */
  attend(channel: Channel): Attendance;
  readonly transport: Transport;
  has(service: string): boolean;
  /** The instance is not called over a connection any more. */
  end(service: string, reason: string): void;
  /** Breaks what is under way. */
  close(): void;
};

export type SocketsOptions = {
  /** The instance is served, by a first or another connection. Resolves once what follows was written, or could not be. */
  readonly onServed: (service: string) => Promise<void>;
  /** Nobody serves it now. @param reason as a clause: `its WebSocket closed`. */
  readonly onGone: (service: string, reason: string) => void;
};

/** A call that waits for its turn or for its answer. */
type Asked = { readonly call: OutgoingCall; readonly resolve: (attempt: Attempt) => void };

/** One connection as the server of one instance. */
type Seat = {
  readonly service: string;
  max: number;
  readonly connection: Connection;
  /** In the order in which they came. */
  readonly waiting: Set<Asked>;
  running: number;
  /** It waits for the connection to take what it was sent. */
  stalled: boolean;
};

type Connection = {
  readonly channel: Channel;
  readonly seats: Map<string, Seat>;
  /** By number: what ends the call. */
  readonly calls: Map<number, (attempt: Attempt) => void>;
  last: number;
  /** It takes no further calls. */
  closed: boolean;
  /** Of whoever waits until the last call has ended. */
  idle: (() => void) | undefined;
};

const maxServices = 1_000;
/** Calls of one instance that wait for their turn. */
const maxWaiting = 1_000;

const unsent = (service: string, why: string): Attempt => ({
  outcome: 'unsent',
  failure: new ConnectFailed(`${service} cannot be called: ${why}`, false),
});
const closed = 'its WebSocket closed';
const givenUp = 'the call was given up while it waited for its turn';

const attemptOf = (answer: CallAnswer): Attempt =>
  answer.ok
    ? { outcome: 'result', value: answer.value }
    : {
        outcome: 'refused',
        why: `failed: ${answer.error.message.slice(0, 512)}`,
        error: { ...answer.error },
      };

/**
 * Hands calls to the connections that serve their instances (docs/adr/0028-services-behind-a-firewall.md). A call counts as
 * sent once it was pushed; until then it may go elsewhere.
 */
export const createSockets = ({ onServed, onGone }: SocketsOptions): Sockets => {
  const seats = new Map<string, Seat>();
  const connections = new Set<Connection>();

  const push = (seat: Seat, { call, resolve }: Asked): void => {
    const { connection, service } = seat;
    const { channel, calls } = connection;
    const number = ++connection.last;
    const end = (attempt: Attempt): void => {
      if (!calls.delete(number)) return;
      call.signal.removeEventListener('abort', cancel);
      seat.running--;
      resolve(attempt);
      if (calls.size === 0) connection.idle?.();
      pump(seat);
    };
    const cancel = (): void => {
      channel.cancel(number);
      end({ outcome: 'broken', why: 'the call was given up' });
    };
    seat.running++;
    calls.set(number, end);
    call.signal.addEventListener('abort', cancel, { once: true });
    channel.push({
      call: number,
      service,
      method: call.method,
      body: call.body,
      timeoutMs: Number(call.headers['x-nexus-timeout-ms']),
      correlationId: call.headers['x-correlation-id'],
      traceparent: call.headers.traceparent,
      tracestate: call.headers.tracestate,
    });
  };

  const pump = (seat: Seat): void => {
    const { waiting, connection } = seat;
    for (const asked of waiting) {
      if (seat.running >= seat.max) return;
      if (connection.channel.full) {
        stall(seat);
        return;
      }
      waiting.delete(asked);
      push(seat, asked);
    }
  };

  const stall = (seat: Seat): void => {
    if (seat.stalled) return;
    seat.stalled = true;
    void seat.connection.channel.drained().then(() => {
      seat.stalled = false;
      pump(seat);
    });
  };

  const transport: Transport = ({ id }, call) => {
    const seat = seats.get(id);
    if (seat === undefined) return Promise.resolve(unsent(id, 'no WebSocket serves it'));
    if (seat.waiting.size >= maxWaiting) {
      return Promise.resolve(unsent(id, `${maxWaiting} calls wait for their turn there`));
    }
    if (call.signal.aborted) return Promise.resolve(unsent(id, givenUp));
    const answer = Promise.withResolvers<Attempt>();
    const leave = (): void => {
      // Of a call that was sent meanwhile this is not the place any more.
      if (seats.get(id)?.waiting.delete(asked) === true) answer.resolve(unsent(id, givenUp));
    };
    const asked: Asked = {
      call,
      resolve: (attempt) => {
        call.signal.removeEventListener('abort', leave);
        answer.resolve(attempt);
      },
    };
    call.signal.addEventListener('abort', leave, { once: true });
    seat.waiting.add(asked);
    pump(seat);
    return answer.promise;
  };

  /** @returns true when the seat was the one that its instance is called at. */
  const leave = (seat: Seat, reason: string): boolean => {
    const { service, connection, waiting } = seat;
    connection.seats.delete(service);
    if (seats.get(service) !== seat) return false;
    seats.delete(service);
    for (const { resolve } of waiting) resolve(unsent(service, reason));
    waiting.clear();
    return true;
  };

  const end = (seat: Seat, reason: string): void => {
    seat.connection.channel.ended(seat.service, reason);
    if (leave(seat, reason)) onGone(seat.service, reason);
  };

  const serve = (connection: Connection, service: string, max: number): Promise<void> | undefined => {
    if (connection.closed) return Promise.resolve();
    const before = seats.get(service);
    if (before?.connection === connection) {
      before.max = max;
      pump(before);
      return Promise.resolve();
    }
    if (connection.seats.size >= maxServices) return undefined;
    const waiting = new Set(before?.waiting);
    const seat: Seat = { service, max, connection, waiting, running: 0, stalled: false };
    seats.set(service, seat);
    connection.seats.set(service, seat);
    if (before !== undefined) {
      // What it was sent it may still answer; what waits goes to the newer one.
      before.waiting.clear();
      before.connection.seats.delete(service);
      before.connection.channel.ended(service, 'a newer WebSocket serves it');
    }
    pump(seat);
    return onServed(service);
  };

  const attend = (channel: Channel): Attendance => {
    const connection: Connection = {
      channel,
      seats: new Map(),
      calls: new Map(),
      last: 0,
      closed: false,
      idle: undefined,
    };
    connections.add(connection);

    return {
      serve: (service, max) => serve(connection, service, max),
      stop(service, reason) {
        const seat = connection.seats.get(service);
        if (seat === undefined) return false;
        end(seat, reason);
        return true;
      },
      get services() {
        return connection.seats.keys();
      },
      answer(call, answer) {
        const finish = connection.calls.get(call);
        if (finish === undefined) return call <= connection.last ? 'late' : 'unknown';
        finish(attemptOf(answer));
        return 'taken';
      },
      drain(reason) {
        connection.closed = true;
        for (const seat of [...connection.seats.values()]) end(seat, reason);
        if (connection.calls.size === 0) return Promise.resolve();
        return new Promise((resolve) => {
          connection.idle = resolve;
        });
      },
      close() {
        connection.closed = true;
        connections.delete(connection);
        for (const seat of [...connection.seats.values()]) {
          if (leave(seat, closed)) onGone(seat.service, closed);
        }
        for (const finish of [...connection.calls.values()]) finish({ outcome: 'broken', why: closed });
      },
    };
  };

  return {
    attend,
    transport,
    has: (service) => seats.has(service),
    end(service, reason) {
      const seat = seats.get(service);
      if (seat !== undefined) end(seat, reason);
    },
    close() {
      for (const { calls } of connections)
        for (const finish of [...calls.values()])
          finish({ outcome: 'broken', why: 'the hub is shutting down' });
      for (const seat of [...seats.values()]) leave(seat, 'the hub is shutting down');
    },
  };
};
