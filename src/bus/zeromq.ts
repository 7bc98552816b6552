import type { Subject } from '../../domain/access.ts';
import type { Config } from '../config.ts';
import { localSubject } from '../gateway/auth/access.ts';
import { newId } from '../ids.ts';
import type { Logger } from '../logger.ts';
import type { NexusCore } from '../nexus-core.ts';
import { openCommander } from './zeromq/commander.ts';
import { type Endpoint, parseEndpoint, portOf } from './zeromq/endpoint.ts';
import { openPublisher } from './zeromq/publisher.ts';

export type ZeroMqOptions = {
  readonly core: NexusCore;
  readonly config: Pick<Config, 'zmqPublish' | 'zmqCommand' | 'jwtSecret'>;
  readonly logger: Logger;
  /** Who the senders of commands are; the local subject unless given. */
  readonly subject?: Subject;
};

export type ZeroMq = {
  /** `tcp://HOST:PORT` as bound; undefined for a socket that is off. */
  readonly publish: string | undefined;
  readonly command: string | undefined;
  /** Ports of both. */
  readonly ports: readonly number[];
  close(): Promise<void>;
};

/** Ports that nobody asked for may be taken by another hub: then the socket stays off, with a warning. */
const defaultEndpoints = new Set(['tcp://127.0.0.1:5556', 'tcp://127.0.0.1:5557']);

const feedSubject: Subject = { id: 'system', scopes: ['admin'] };

type Bound = { readonly endpoint: string; close(): Promise<void> };

/**
 * Opens the hub's ZeroMQ sockets (docs/protocol.md): messages out on `zmqPublish`, commands in on `zmqCommand`. Both
 * are for this machine alone, and with authentication on no commands are taken, as nothing tells who sends them.
 *
 * @throws {Error} when an endpoint is not on this machine, is no TCP endpoint, or cannot be bound; a default endpoint
 *   that is in use is only warned of.
 */
export const openZeroMq = async (options: ZeroMqOptions): Promise<ZeroMq> => {
  const { core, config, logger, subject = localSubject } = options;
  const context = { subject: feedSubject, correlationId: newId() };
  const publish = await openSocket('zmqPublish', config.zmqPublish, logger, (endpoint) =>
    openPublisher(core, endpoint, context, logger),
  );
  const takesCommands = config.jwtSecret === null || config.zmqCommand === 'none';
  if (!takesCommands) {
    logger.info({ zmqCommand: config.zmqCommand }, "ZeroMQ's command socket is off: authentication is on");
  }
  const open = (endpoint: Endpoint): Promise<Bound> => openCommander(core, endpoint, subject, logger);
  const command = await openSocket(
    'zmqCommand',
    takesCommands ? config.zmqCommand : 'none',
    logger,
    open,
  ).catch(async (error: unknown) => {
    await publish?.close();
    throw error;
  });

  const ports = [publish, command]
    .map((bound) => (bound === undefined ? undefined : portOf(bound.endpoint)))
    .filter((port) => port !== undefined);
  return {
    publish: publish?.endpoint,
    command: command?.endpoint,
    ports,
    close: async () => {
      await command?.close();
      await publish?.close();
    },
  };
};

const openSocket = async (
  option: 'zmqPublish' | 'zmqCommand',
  text: string,
  logger: Logger,
  open: (endpoint: Endpoint) => Promise<Bound>,
): Promise<Bound | undefined> => {
  if (text === 'none') return undefined;
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) throw new Error(`${option} is ${text}, and must be tcp://HOST:PORT or none`);
  if (!endpoint.loopback) {
    throw new Error(
      `${option} is ${text}: without CURVE keys it must be a loopback address (tcp://127.0.0.1:PORT)`,
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
      {
        cause: error,
      },
    );
  }
};
