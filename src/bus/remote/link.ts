import { WebSocket } from 'ws';
import { type ErrorCode, errorTable, fault, ok, problem, type Result } from '../../errors.ts';
import type { Delivery } from '../../nexus-subscriptions.ts';
import { answerSchema, maxNodeFrameBytes, type NodeCall, nodePath, nodeProtocol } from './protocol.ts';

/** A connection to another node: requests in, answers out, and deliveries for members. */
export type NodeLink = {
  readonly open: boolean;
  /**
   * `not_owner` when the node cannot be reached.
   *
   * @param onId told before the request leaves.
   * @param limitMs for the answer: 70,000 unless given, longer than any pull waits.
   */
  call(request: NodeCall, onId?: (id: number) => void, limitMs?: number): Promise<Result<unknown>>;
  /** Where the deliveries of a member go from now on. `ended` is called once, also when the connection ends. */
  attend(member: number, sink: MemberSink): void;
  /** It has left, or was not let in: its sink is called no more. */
  forget(member: number): void;
  close(): void;
};

export type MemberSink = {
  readonly deliveries: (batch: readonly Delivery[]) => void;
  readonly ended: () => void;
};

export type LinkOptions = {
  readonly url: string;
  readonly token: () => string | undefined;
  /** @param wasOpen false when the node was never reached. */
  readonly onClosed: (why: string, wasOpen: boolean) => void;
};

const openMs = 3_000;
/** Longer than any pull waits. */
const answerMs = 70_000;
const pingMs = 1_000;
const silentPings = 3;
const maxWaiting = 20_000;

const isCode = (code: string): code is ErrorCode => Object.hasOwn(errorTable, code);
const away = (url: string, why: string) =>
  fault(problem('not_owner', `the node that serves this cannot be reached: ${why}`, { node: url }));

const isDelivery = (value: unknown): value is Delivery =>
  typeof value === 'object' &&
  value !== null &&
  'delivery' in value &&
  typeof value.delivery === 'string' &&
  'attempt' in value &&
  typeof value.attempt === 'number' &&
  'message' in value &&
  typeof value.message === 'object';

export const isDeliveries = (value: unknown): value is readonly Delivery[] =>
  Array.isArray(value) && value.every(isDelivery);

/** Begins to connect at once. A node that is silent for 4 s is given up: its members end, its calls fail. */
export const openLink = ({ url, token, onClosed }: LinkOptions): NodeLink => {
  const target = new URL(nodePath, url);
  target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:';
  const bearer = token();
  const socket = new WebSocket(target, nodeProtocol, {
    handshakeTimeout: openMs,
    maxPayload: maxNodeFrameBytes,
    perMessageDeflate: false,
    followRedirects: false,
    headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
  });
  const waiting = new Map<number, PromiseWithResolvers<Result<unknown>>>();
  const members = new Map<number, MemberSink>();
  const opened = Promise.withResolvers<void>();
  let lastId = 0;
  let closed = false;
  let silent = 0;
  let wasOpen = false;
  let why = 'the connection ended';

  const end = (): void => {
    if (closed) return;
    closed = true;
    clearInterval(pulse);
    socket.terminate();
    opened.resolve();
    for (const answer of waiting.values()) answer.resolve(away(url, why));
    waiting.clear();
    for (const { ended } of members.values()) ended();
    members.clear();
    onClosed(why, wasOpen);
  };

  const pulse = setInterval(() => {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (silent++ >= silentPings) {
      why = 'it is silent';
      end();
      return;
    }
    socket.ping();
  }, pingMs).unref();

  const take = (text: string): void => {
    const parsed = answerSchema.safeParse(JSON.parse(text));
    if (!parsed.success) throw new TypeError('not a frame of this protocol');
    const frame = parsed.data;
    if ('id' in frame) {
      const answer = waiting.get(frame.id);
      waiting.delete(frame.id);
      if (frame.ok) answer?.resolve(ok(frame.value));
      else {
        const { code, detail } = frame.problem;
        answer?.resolve(fault(problem(isCode(code) ? code : 'internal', detail)));
      }
      return;
    }
    const sink = members.get(frame.member);
    if ('ended' in frame) {
      members.delete(frame.member);
      sink?.ended();
    } else if (isDeliveries(frame.deliveries)) sink?.deliveries(frame.deliveries);
  };

  socket.on('open', () => {
    wasOpen = true;
    opened.resolve();
  });
  socket.on('pong', () => {
    silent = 0;
  });
  socket.on('message', (data) => {
    silent = 0;
    try {
      take(data.toString());
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
      end();
    }
  });
  socket.on('error', (error) => {
    why = error.message;
  });
  socket.on('close', end);

  return {
    get open() {
      return !closed;
    },
    async call(request, onId, limitMs = answerMs) {
      await opened.promise;
      if (closed || waiting.size >= maxWaiting) return away(url, why);
      const id = ++lastId;
      const answer = Promise.withResolvers<Result<unknown>>();
      waiting.set(id, answer);
      onId?.(id);
      socket.send(JSON.stringify({ ...request, id }));
      const late = setTimeout(() => {
        waiting.delete(id);
        answer.resolve(away(url, 'it does not answer'));
      }, limitMs).unref();
      return answer.promise.finally(() => clearTimeout(late));
    },
    attend(member, sink) {
      if (closed) sink.ended();
      else members.set(member, sink);
    },
    forget: (member) => void members.delete(member),
    close: end,
  };
};
