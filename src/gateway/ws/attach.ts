import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type Koa from 'koa';
import websockify from 'koa-websocket';
import { WebSocket } from 'ws';
import type { Config } from '../../config.ts';
import { type Problem, problem } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Access, Admitted, Verified } from '../auth/access.ts';
import { nobody } from '../context.ts';
import { framingFault } from '../framing.ts';
import { type Forwarding, isProxied } from '../proxy.ts';
import { createPassages } from './passages.ts';
import { openSession } from './quiet-session.ts';
import { closeCodes, type SessionLimits, sessionLimits } from './session.ts';
import { admitUpgrade, createConnectionCaps, enterUpgrade, refuseUpgrade } from './upgrade.ts';

/** A socket that was let in. */
export type Connection = {
  readonly socket: WebSocket;
  /** The stream under it. */
  readonly transport: Duplex;
  readonly request: IncomingMessage;
  /** Undefined: the host of this path asks for the token itself. */
  readonly subject: Admitted | undefined;
  /** Of the client, as the audit has it. */
  readonly address: string;
  /** To be called when the peer shows that it lives by other means than a frame or a pong. */
  readonly onAlive: () => void;
};

/** What the connection of one client answers to. */
export type Attended = {
  /** True while the hub itself does not read the socket, so that silence says nothing of the peer. */
  readonly paused: boolean;
  /** Takes nothing more, and resolves when what is under way was answered. */
  drain(): Promise<void>;
};

/** What speaks on the sockets of one path. */
export type SocketHost = {
  readonly protocol: string;
  /** The token may come in the first message. */
  readonly admitsLater: boolean;
  attend(connection: Connection): Attended;
};

export type WebSocketOptions = {
  readonly app: Koa;
  readonly server: Server;
  readonly core: NexusCore;
  readonly config: Config;
  readonly logger: Logger;
  readonly access: Access;
  /** Hosts of further paths, `/graphql` for one. */
  readonly hosts?: Readonly<Record<string, SocketHost>>;
  /** For WebSockets of services, under /proxy. */
  readonly forwarding: Forwarding;
  /** Told of each upgrade that is answered with a problem. */
  readonly onRefused?: (request: IncomingMessage, why: Problem, address: string) => void;
  /** What becomes of an upgrade that was let in; nothing else unless given. */
  readonly admitted?: (
    request: IncomingMessage,
    found: Verified<Admitted | undefined>,
  ) => Verified<Admitted | undefined>;
  /** Whom the connection caps count; the peer's address unless given. */
  readonly addressOf?: (request: IncomingMessage) => string;
  /** What the audit calls the client where no subject is known; the peer's address unless given. */
  readonly nameOf?: (request: IncomingMessage) => string;
  readonly limits?: Partial<WebSocketLimits>;
};

export type WebSocketLimits = SessionLimits & {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** A peer is pinged as often, and dropped when it was silent for two such periods. */
  readonly pingEveryMs: number;
  readonly drainMs: number;
};

const defaults: Omit<WebSocketLimits, keyof ReturnType<typeof configured>> = {
  ...sessionLimits,
  pingEveryMs: 30_000,
  drainMs: 5_000,
};

const configured = ({ wsFramesPerSec, maxWebSockets, maxConnectionsPerAddress }: Config) => ({
  framesPerSec: wsFramesPerSec,
  maxConnections: maxWebSockets,
  maxConnectionsPerAddress,
});

const serverOptions = {
  noServer: true,
  maxPayload: 1024 * 1024,
  maxFragments: 64,
  perMessageDeflate: false,
  clientTracking: false,
  closeTimeout: 5_000,
};

type Peer = { readonly attended: Attended; readonly socket: WebSocket; silent: number };

/**
 * Serves WebSockets on `server`: /ws and the paths of `hosts`. Who may come in is decided before the upgrade, with an
 * HTTP problem for an answer; every frame is authorised by the hub.
 */
export const attachWebSockets = (options: WebSocketOptions): { close(): Promise<void> } => {
  const {
    server,
    core,
    access,
    logger,
    config,
    addressOf = peerAddress,
    nameOf = peerAddress,
    admitted: letIn = (_request, found) => found,
    onRefused,
  } = options;
  const limits: WebSocketLimits = { ...defaults, ...configured(config), ...options.limits };
  const caps = createConnectionCaps(limits.maxConnections, limits.maxConnectionsPerAddress);
  const { opened, closed } = core.meters.sockets;
  const peers = new Set<Peer>();
  const admitted = new WeakMap<
    IncomingMessage,
    { readonly transport: Duplex; readonly subject: Admitted | undefined }
  >();
  const hosts = new Map<string, SocketHost>(Object.entries(options.hosts ?? {}));
  hosts.set('/ws', {
    protocol: 'nexus.v1',
    admitsLater: false,
    attend: (connection) => {
      // This path admits before the upgrade or not at all.
      const subject = connection.subject ?? nobody;
      return openSession({ ...connection, subject, core, access, logger, limits });
    },
  });

  const app = websockify(options.app);
  app.ws.listen({
    ...serverOptions,
    // The token that a browser offers as a protocol is never told back.
    handleProtocols: (offered: Set<string>, request: IncomingMessage) => {
      const protocol = hosts.get(request.url ?? '')?.protocol;
      return protocol !== undefined && offered.has(protocol) ? protocol : false;
    },
  });
  // ws itself would answer with text.
  app.ws.server?.on('wsClientError', ({ message }, socket, request) =>
    refuseUpgrade(request, socket, problem('bad_request', `No WebSocket can be opened: ${message}`)),
  );
  app.ws.use((context) => {
    const request = context.req;
    const entry = admitted.get(request);
    const host = hosts.get(request.url ?? '');
    if (entry === undefined || host === undefined) return context.websocket.terminate();
    const socket = context.websocket;
    const peer: Peer = {
      socket,
      silent: 0,
      attended: host.attend({
        socket,
        transport: entry.transport,
        request,
        subject: entry.subject,
        address: nameOf(request),
        onAlive: () => {
          peer.silent = 0;
        },
      }),
    };
    const heard = (): void => {
      peer.silent = 0;
    };
    peers.add(peer);
    opened.add(host.protocol);
    socket.on('message', heard);
    socket.on('ping', heard);
    socket.on('pong', heard);
    socket.on('error', (error) => logger.debug({ err: error }, 'a WebSocket broke'));
    socket.once('close', () => {
      peers.delete(peer);
      closed.add(host.protocol);
    });
  });

  let closing = false;
  const refuseTelling = (request: IncomingMessage, socket: Duplex, why: Problem): void => {
    core.meters.http.problems.add(why.code);
    const address = nameOf(request);
    core.denied(why, { address });
    onRefused?.(request, why, address);
    refuseUpgrade(request, socket, why);
  };
  const passages = createPassages({
    core,
    refuse: refuseTelling,
    access,
    letIn,
    logger,
    forwarding: options.forwarding,
    take: (request, socket) => caps.take(addressOf(request), socket),
  });
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const refuse = (why: Problem): void => refuseTelling(request, socket, why);
    const broken = framingFault(request);
    if (broken !== undefined) {
      refuse(broken);
      return;
    }
    if (isProxied(request.url)) {
      passages.open(request, socket, head);
      return;
    }
    const path = request.url?.split('?', 1)[0] ?? '';
    const host = hosts.get(path);
    if (host === undefined || closing || request.method !== 'GET') {
      refuse(host === undefined ? noSuchPath : closing ? shuttingDown : byGetOnly);
      return;
    }
    enterUpgrade(letIn(request, admitUpgrade(access, request, host.admitsLater)), socket, {
      check: () => (closing ? shuttingDown : caps.take(addressOf(request), socket)),
      refuse,
      enter: (subject) => {
        // Nothing reads the query, and koa-websocket parses the URL.
        request.url = path;
        admitted.set(request, { transport: socket, subject });
        app.ws.server?.handleUpgrade(request, socket, head, (webSocket) => {
          app.ws.server?.emit('connection', webSocket, request);
        });
      },
    });
  };
  server.on('upgrade', onUpgrade);

  const heartbeat = setInterval(() => {
    for (const peer of peers) {
      if (peer.silent >= 2) peer.socket.terminate();
      else if (peer.socket.readyState === WebSocket.OPEN) {
        if (!peer.attended.paused) peer.silent++;
        peer.socket.ping();
      }
    }
  }, limits.pingEveryMs).unref();

  return {
    close: async () => {
      if (closing) return;
      closing = true;
      clearInterval(heartbeat);
      passages.close();
      await Promise.all([...peers].map((peer) => leave(peer, limits.drainMs)));
      server.off('upgrade', onUpgrade);
      app.ws.server?.close();
    },
  };
};

const byGetOnly = problem('method_not_allowed', 'A WebSocket is opened by GET');
const noSuchPath = problem('not_found', 'No WebSocket is served at this path');
const shuttingDown = problem('shutting_down', 'The hub is shutting down');

const peerAddress = (request: IncomingMessage): string => request.socket.remoteAddress ?? '';

/** Lets one client finish, tells it that the hub goes away, and resolves when the socket is closed. */
const leave = (peer: Peer, drainMs: number): Promise<void> =>
  new Promise((resolve) => {
    const { socket } = peer;
    if (socket.readyState === WebSocket.CLOSED) return resolve();
    const timer = setTimeout(() => socket.terminate(), drainMs);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    void peer.attended.drain().then(() => {
      socket.resume();
      socket.close(closeCodes.goingAway, 'the hub is shutting down');
    });
  });
