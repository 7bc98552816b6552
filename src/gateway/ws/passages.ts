import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Problem, ProblemError, problem } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { ForwardRequest, Upgraded } from '../../nexus-proxy.ts';
import type { Access, Admitted, Verified } from '../auth/access.ts';
import { callOptionsOf } from '../call-options.ts';
import { contextFrom, correlationIdOf, requestIdOf } from '../context.ts';
import { problemOf } from '../problem.ts';
import { type Forwarding, forwardRequestOf, proxiedTarget } from '../proxy.ts';
import { admitUpgrade, bearerPrefix, enterUpgrade } from './upgrade.ts';

export type PassagesOptions = {
  readonly core: NexusCore;
  readonly access: Access;
  /** What becomes of an upgrade whose token is good. */
  readonly letIn: (
    request: IncomingMessage,
    found: Verified<Admitted | undefined>,
  ) => Verified<Admitted | undefined>;
  readonly logger: Logger;
  readonly forwarding: Forwarding;
  /** The fault when there is no room for one more socket. */
  readonly take: (request: IncomingMessage, socket: Duplex) => Problem | undefined;
  /** Answers with a problem and closes the socket. */
  readonly refuse: (request: IncomingMessage, socket: Duplex, why: Problem) => void;
};

/** WebSockets between clients and services, of which the hub reads nothing but the handshake. */
export type Passages = {
  open(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Opens no more, and ends those that there are: there is no frame that the hub could say it in. */
  close(): void;
};

/** So long neither side may be silent: whoever keeps a connection for later pings. */
const idleMs = 330_000;
const declineMs = 2_000;

/** The subprotocols without the token, which is for the hub alone. */
const withoutToken = (fields: readonly string[]): string[] => {
  const kept: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? '';
    const value = fields[at + 1] ?? '';
    if (name.toLowerCase() !== 'sec-websocket-protocol') {
      kept.push(name, value);
      continue;
    }
    const protocols = value.split(',').filter((part) => !part.trim().startsWith(bearerPrefix));
    if (protocols.length > 0) kept.push(name, protocols.join(',').trim());
  }
  return kept;
};

const headOf = (status: number, fields: readonly string[]): string => {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`];
  for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
};

/** Passes on what the instance answered in place of a WebSocket, and closes. */
const decline = (socket: Duplex, { head, body }: Extract<Upgraded, { type: 'declined' }>): void => {
  const own = ['X-Nexus-Instance', head.instance, 'Content-Security-Policy', 'sandbox'];
  const framing = ['Content-Length', String(body.length), 'Connection', 'close'];
  const timer = setTimeout(() => socket.destroy(), declineMs);
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
  socket.write(headOf(head.status, [...head.fields, ...own, ...framing]), 'latin1');
  socket.end(body);
};

const shuttingDown = problem('shutting_down', 'The hub is shutting down');

export const createPassages = (options: PassagesOptions): Passages => {
  const { core, access, letIn, logger, forwarding, take } = options;
  const open = new Set<() => void>();
  let closing = false;

  const join = (
    client: Duplex,
    head: Buffer,
    opened: Extract<Upgraded, { type: 'open' }>,
    subject: Admitted,
  ) => {
    const { socket: instance, fields } = opened;
    let stopWatching = (): void => {};
    const end = (): void => {
      stopWatching();
      open.delete(end);
      client.destroy();
      instance.destroy();
    };
    open.add(end);
    stopWatching = access.watch(subject, end);
    for (const side of [client, instance]) side.on('error', end).once('close', end);
    if ('setTimeout' in client && typeof client.setTimeout === 'function') client.setTimeout(idleMs, end);
    const own = ['Upgrade', 'websocket', 'Connection', 'Upgrade', 'X-Nexus-Instance', opened.instance];
    client.write(headOf(101, [...fields, ...own]), 'latin1');
    if (head.length > 0) instance.write(head);
    client.pipe(instance);
    instance.pipe(client);
  };

  const pass = async (
    request: IncomingMessage,
    client: Duplex,
    head: Buffer,
    subject: Admitted,
  ): Promise<void> => {
    const requestId = requestIdOf(request.headers['x-request-id']);
    const correlationId = correlationIdOf(request.headers['x-correlation-id'], requestId);
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    client.once('close', onClose);
    try {
      const { service, target } = proxiedTarget(request.url ?? '');
      const asked: ForwardRequest = forwardRequestOf({ request, subject, requestId }, target, forwarding);
      const upgraded = await core.upgrade(
        service,
        { ...asked, fields: withoutToken(asked.fields) },
        contextFrom(request.headers, { subject, correlationId }),
        callOptionsOf(request.headers, gone.signal),
      );
      if (!upgraded.ok) throw new ProblemError(upgraded.problem);
      const { value } = upgraded;
      if (value.type === 'declined') decline(client, value);
      else if (closing || client.destroyed) value.socket.destroy();
      else join(client, head, value, subject);
    } catch (error) {
      options.refuse(request, client, problemOf(error, logger));
    } finally {
      client.off('close', onClose);
    }
  };

  return {
    open(request, socket, head) {
      socket.on('error', () => socket.destroy());
      const refuse = (why: Problem): void => options.refuse(request, socket, why);
      if (closing) return refuse(shuttingDown);
      enterUpgrade(letIn(request, admitUpgrade(access, request, false)), socket, {
        check: () => (closing ? shuttingDown : take(request, socket)),
        refuse,
        enter: (subject) => {
          if (subject !== undefined) void pass(request, socket, head, subject);
        },
      });
    },
    close() {
      closing = true;
      for (const end of open) end();
    },
  };
};
