import type { Subject } from '../../domain/access.ts';
import { steadyNow } from '../clock.ts';
import { isAuthenticated, type TokenKeys } from '../config/authenticated.ts';
import { type Endpoint, parseEndpoint, parsePeer } from '../config/endpoint.ts';
import type { Config } from '../config.ts';
import { problem } from '../errors.ts';
import { localSubject } from '../gateway/auth/access.ts';
import { newId } from '../ids.ts';
import type { Logger } from '../logger.ts';
import type { NexusCore } from '../nexus-core.ts';
import type { Hub } from '../watch/hub.ts';
import { openCommander, openCurveCommander } from './zeromq/commander.ts';
import { publicKeyOf } from './zeromq/curve/keys.ts';
import { type Curve, type CurveStats, openCurve } from './zeromq/curve.ts';
import { portOf } from './zeromq/endpoint.ts';
import { openFeed } from './zeromq/feed.ts';
import { openPeerLink, type PeerLink, type PeerLinkStats } from './zeromq/mesh/peer-link.ts';
import { openCurvePublisher, openPublisher } from './zeromq/publisher.ts';

export type ZeroMqOptions = {
  readonly core: NexusCore;
  readonly config: Pick<Config, 'zmqPublish' | 'zmqCommand'> &
    TokenKeys &
    Partial<Pick<Config, 'zmqCurveSecretKey' | 'zmqCurveClients' | 'peers'>>;
  readonly logger: Logger;
  /** Who the senders of commands are where no keys tell; the local subject unless given. */
  readonly subject?: Subject;
  /** What other nodes follow, and what they bring is offered to; without it this node is alone. */
  readonly mesh?: { readonly hub: Pick<Hub, 'offer' | 'position'>; readonly logId: string };
  /** How often the file of clients is looked at; 1,000 unless given. */
  readonly clientsPollMs?: number;
  /** A peer that is not heard for so long is connected to anew; 5,000 unless given. */
  readonly silenceMs?: number;
};

export type ZeroMqStats = CurveStats & { readonly peers: readonly PeerLinkStats[] };

export type ZeroMq = {
  /** `tcp://HOST:PORT` as bound; undefined for a socket that is off. */
  readonly publish: string | undefined;
  readonly command: string | undefined;
  /** Ports of both. */
  readonly ports: readonly number[];
  /** Connections are those that speak CURVE. */
  stats(): ZeroMqStats;
  close(): Promise<void>;
};

/** Ports that nobody asked for may be taken by another hub: then the socket stays off, with a warning. */
const defaultEndpoints = new Set(['tcp://127.0.0.1:5556', 'tcp://127.0.0.1:5557']);

const feedSubject: Subject = { id: 'system', scopes: ['admin'] };

const unknownKey = problem('unauthorized', 'The key of the ZeroMQ client is not known');

type Bound = { readonly endpoint: string; close(): Promise<void> };

/**
 * Opens the hub's ZeroMQ sockets (docs/protocol.md): messages out on `zmqPublish`, commands in on `zmqCommand`, and a
 * link to each of `peers`. Without a CURVE key both sockets are for this machine alone, and with authentication on they
 * are off, as nothing tells who is there.
 *
 * @throws {Error} when an endpoint is not on this machine and there is no key, is no TCP endpoint, or cannot be bound (a
 *   default endpoint that is in use is only warned of), or when the key or the file of clients cannot be used.
 */
export const openZeroMq = async (options: ZeroMqOptions): Promise<ZeroMq> => {
  // Given back in the opposite order, by close() or when a later step of the start fails.
  const held = new AsyncDisposableStack();
  try {
    return await assemble(options, held);
  } catch (error) {
    await held.disposeAsync();
    throw error;
  }
};

const assemble = async (options: ZeroMqOptions, held: AsyncDisposableStack): Promise<ZeroMq> => {
  const { core, config, logger, subject = localSubject, mesh, clientsPollMs } = options;
  const { zmqCurveSecretKey: secretKey = null, zmqCurveClients: clientsFile = null } = config;
  const keep = <Opened extends { close(): Promise<void> }>(opened: Opened): Opened => {
    held.defer(() => opened.close());
    return opened;
  };

  const off = isAuthenticated(config) && secretKey === null;
  if (off && (config.zmqPublish !== 'none' || config.zmqCommand !== 'none')) {
    logger.info({}, 'the ZeroMQ sockets are off: authentication is on, and there is no zmqCurveSecretKey');
  }
  const served = (text: string): string => (off ? 'none' : text);

  let curve: Curve | undefined;
  if (secretKey !== null) {
    const poll = clientsPollMs === undefined ? {} : { pollMs: clientsPollMs };
    const onUnknown = (address: string): void => core.denied(unknownKey, { address });
    curve = keep(await openCurve({ secretKey, clientsFile, logger, onUnknown, ...poll }));
  }

  const context = { subject: feedSubject, correlationId: newId() };
  const openMessages = async (endpoint: Endpoint): Promise<Bound> => {
    const feed = await openFeed({ core, context, logger, logId: mesh?.logId });
    try {
      const publisher = await (curve === undefined
        ? openPublisher(endpoint, feed, logger)
        : openCurvePublisher(endpoint, feed, curve, logger));
      keep(feed);
      return keep(publisher);
    } catch (error) {
      await feed.close();
      throw error;
    }
  };
  const publish = await openSocket('zmqPublish', served(config.zmqPublish), curve, logger, openMessages);
  const command = await openSocket('zmqCommand', served(config.zmqCommand), curve, logger, async (endpoint) =>
    keep(
      await (curve === undefined
        ? openCommander(core, endpoint, subject, logger)
        : openCurveCommander(core, endpoint, curve, logger)),
    ),
  );
  const links = openLinks(options).map(keep);

  const ports = [publish, command]
    .map((bound) => (bound === undefined ? undefined : portOf(bound.endpoint)))
    .filter((port) => port !== undefined);
  return {
    publish: publish?.endpoint,
    command: command?.endpoint,
    ports,
    stats: () => ({
      ...(curve?.stats() ?? { connections: 0, handshakes: 0 }),
      peers: links.map((link) => link.stats()),
    }),
    close: () => held.disposeAsync(),
  };
};

const openLinks = ({ config, mesh, logger, silenceMs }: ZeroMqOptions): readonly PeerLink[] => {
  const { zmqCurveSecretKey: secretKey = null, peers = [] } = config;
  if (mesh === undefined) return [];
  const publicKey = secretKey === null ? undefined : publicKeyOf(secretKey);
  const keys = secretKey === null || publicKey === undefined ? undefined : { publicKey, secretKey };
  return peers.map((text) => {
    const peer = parsePeer(text);
    if (peer === undefined)
      throw new Error(`peers: ${text} is not tcp://HOST:PORT or tcp://HOST:PORT|PUBLICKEY`);
    if (keys === undefined && (!peer.loopback || isAuthenticated(config))) {
      throw new Error(`peers: ${text} needs zmqCurveSecretKey`);
    }
    const silence = silenceMs === undefined ? {} : { silenceMs };
    return openPeerLink({ peer, keys, ...mesh, logger, nowMs: steadyNow, ...silence });
  });
};

const openSocket = async (
  option: 'zmqPublish' | 'zmqCommand',
  text: string,
  curve: Curve | undefined,
  logger: Logger,
  open: (endpoint: Endpoint) => Promise<Bound>,
): Promise<Bound | undefined> => {
  if (text === 'none') return undefined;
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) throw new Error(`${option} is ${text}, and must be tcp://HOST:PORT or none`);
  if (!endpoint.loopback && curve === undefined) {
    throw new Error(
      `${option} is ${text}: without zmqCurveSecretKey it must be a loopback address (tcp://127.0.0.1:PORT)`,
    );
  }
  try {
    const bound = await open(endpoint);
    logger.info({ [option]: bound.endpoint }, 'ZeroMQ is served');
    return bound;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE' && defaultEndpoints.has(text)) {
      logger.warn({ [option]: text }, 'the ZeroMQ endpoint is in use, so this socket is off');
      return undefined;
    }
    throw new Error(
      `${option} ${text} cannot be bound: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
};
