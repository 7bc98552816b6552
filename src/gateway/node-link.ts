import type { WebSocket } from 'ws';
import { allows } from '../../domain/access.ts';
import { type NodeRequest, nodeProtocol, requestSchema } from '../bus/remote/protocol.ts';
import type { Member } from '../bus/subscription/server.ts';
import { fault, ok, type Problem, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Logger } from '../logger.ts';
import type { NexusCore } from '../nexus-core.ts';
import type { Access } from './auth/access.ts';
import { parseJson } from './json.ts';
import { problemOf } from './problem.ts';
import type { Attended, Connection, SocketHost } from './ws/attach.ts';
import { createOutbox, type Outbox } from './ws/outbox.ts';
import { closeCodes } from './ws/session.ts';

export type NodeLinkOptions = {
  readonly core: Pick<NexusCore, 'served' | 'fromNodes' | 'denied'>;
  readonly access: Pick<Access, 'watch'>;
  readonly logger: Logger;
};

const highBytes = 1_048_576;
const maxMembers = 10_000;
const maxAsked = 10_000;
const closeForbidden = 4403;

/**
 * Serves other nodes of the log: their consumers of the durable subscriptions that this node owns, the heartbeats that they
 * have heard, and their calls of instances whose WebSocket is open to this node.
 */
export const createNodeLink = ({ core, access, logger }: NodeLinkOptions): SocketHost => ({
  protocol: nodeProtocol,
  admitsLater: false,
  attend: ({ socket, transport, subject, address, onAlive }: Connection): Attended => {
    if (subject === undefined || !allows(subject, { scope: 'admin' })) {
      const why = problem('forbidden', 'the token lacks the scope admin', { scope: 'admin' });
      core.denied(why, subject === undefined ? { address } : { subject: subject.id });
      socket.close(closeForbidden, 'for nodes of the log, whose tokens have the scope admin');
      return { paused: false, drain: () => Promise.resolve() };
    }
    const stopWatching = access.watch(subject, ({ detail }) => socket.close(closeCodes.unauthorized, detail));
    socket.once('close', stopWatching);
    const outbox = createOutbox({ socket, transport, highBytes, onDrained: onAlive });
    return attendNode({ core, logger }, socket, outbox);
  },
});

const attendNode = (
  { core, logger }: Omit<NodeLinkOptions, 'access'>,
  socket: WebSocket,
  outbox: Outbox,
): Attended => {
  const members = new Map<number, Member>();
  /** Pulls and calls. */
  const asked = new Map<number, AbortController>();

  const feed = async (number: number, member: Member): Promise<void> => {
    for (let batch = await member.next(); batch !== undefined; batch = await member.next()) {
      while (outbox.full && members.has(number)) await outbox.drained();
      outbox.send(JSON.stringify({ member: number, deliveries: batch }));
    }
    if (members.delete(number)) outbox.send(JSON.stringify({ member: number, ended: true }));
  };

  const join = async ({ name, max, member }: NodeRequest & { op: 'join' }): Promise<Result<unknown>> => {
    if (members.has(member) || members.size >= maxMembers) {
      return fault(
        problem('overloaded', `one connection has at most ${maxMembers} members, each of its own`),
      );
    }
    const server = await core.served(name);
    const joined = server.ok ? await server.value.join(max) : server;
    if (!joined.ok) return joined;
    members.set(member, joined.value);
    feed(member, joined.value).catch((error: unknown) => {
      logger.warn({ error, subscription: name }, 'a consumer of another node is served no more');
      leave(member, true);
    });
    return ok(null);
  };

  const leave = (number: number, blameless: boolean): void => {
    const member = members.get(number);
    members.delete(number);
    member?.leave(blameless);
  };

  /** What its asker may cancel. */
  const cancellable = async (
    id: number,
    work: (signal: AbortSignal) => Promise<Result<unknown>>,
  ): Promise<Result<unknown>> => {
    if (asked.size >= maxAsked)
      return fault(problem('overloaded', `there are ${maxAsked} pulls and calls under way`));
    const asking = new AbortController();
    asked.set(id, asking);
    try {
      return await work(asking.signal);
    } finally {
      asked.delete(id);
    }
  };

  const pull = ({ id, name, max, waitMs }: NodeRequest & { op: 'pull' }): Promise<Result<unknown>> =>
    cancellable(id, async (signal) => {
      const server = await core.served(name);
      return server.ok ? await server.value.pull(max, waitMs, signal) : server;
    });

  const run = async (request: NodeRequest): Promise<Result<unknown>> => {
    switch (request.op) {
      case 'pull':
        return pull(request);
      case 'cancel':
        asked.get(request.request)?.abort();
        return ok(null);
      case 'call':
        return cancellable(request.id, async (signal) => ok(await core.fromNodes.call(request, signal)));
      case 'beats':
        core.fromNodes.beats(request.beats);
        return ok(null);
      case 'join':
        return join(request);
      case 'leave':
        leave(request.member, request.blameless);
        return ok(null);
      default: {
        const server = await core.served(request.name);
        if (!server.ok) return server;
        switch (request.op) {
          case 'settle': {
            const { how, deliveries, delayMs, reason, durable } = request;
            return server.value.settle(how, deliveries, { durable, ...given({ delayMs, reason }) });
          }
          case 'giveBack':
            await server.value.giveBack(request.deliveries);
            return ok(null);
          case 'live':
            return ok((await server.value.live()) ?? null);
          case 'position':
            return ok((await server.value.position()) ?? null);
        }
      }
    }
  };

  const refused = ({ code, detail }: Problem) => ({ ok: false, problem: { code, detail } }) as const;

  const answer = async (request: NodeRequest): Promise<void> => {
    const { id } = request;
    try {
      const result = await run(request);
      const gone = socket.readyState !== socket.OPEN;
      if (gone && request.op === 'pull' && result.ok && Array.isArray(result.value)) {
        await giveBack(request.name, result.value);
        return;
      }
      outbox.send(
        JSON.stringify(
          result.ok ? { id, ok: true, value: result.value } : { id, ...refused(result.problem) },
        ),
      );
    } catch (error) {
      outbox.send(JSON.stringify({ id, ...refused(problemOf(error, logger)) }));
    }
  };

  const giveBack = async (name: string, pulled: readonly { readonly delivery: string }[]): Promise<void> => {
    const server = await core.served(name);
    if (server.ok) await server.value.giveBack(pulled.map(({ delivery }) => delivery));
  };

  socket.on('message', (data) => {
    const json = Buffer.isBuffer(data) ? parseJson(data) : undefined;
    const request = json?.ok === true ? requestSchema.safeParse(json.value) : undefined;
    if (request?.success === true) void answer(request.data);
    else socket.close(1008, 'not a frame of this protocol');
  });
  socket.once('close', () => {
    for (const asking of asked.values()) asking.abort();
    for (const number of [...members.keys()]) leave(number, false);
  });

  return {
    paused: false,
    drain: () => {
      for (const number of [...members.keys()]) leave(number, true);
      return Promise.resolve();
    },
  };
};
