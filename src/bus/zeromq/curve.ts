import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Context } from 'zeromq';
import type { Subject } from '../../../domain/access.ts';
import type { Endpoint } from '../../config/endpoint.ts';
import type { Logger } from '../../logger.ts';
import { openCurveClients } from './curve/clients.ts';
import type { Attach } from './curve/connection.ts';
import { type Front, openFront } from './curve/front.ts';
import { openZap } from './curve/zap.ts';
import { socketOptions } from './endpoint.ts';

export type CurveOptions = {
  readonly secretKey: string;
  readonly clientsFile: string | null;
  readonly logger: Logger;
  /** Told where a client comes from whose key is not known. */
  readonly onUnknown: (address: string) => void;
  /** How often the file is looked at; 1,000 unless given. */
  readonly pollMs?: number;
};

export type CurveStats = { readonly connections: number; readonly handshakes: number };

/** The sockets that speak CURVE (docs/adr/0016-curve.md): each connection has one of its own, and one subject. */
export type Curve = {
  /** Options of the socket of one connection, beside those of its kind. */
  socketOptions(domain: string): typeof socketOptions & CurveSocketOptions;
  /** @throws {Error} `EADDRINUSE` and the like, in `code`. */
  serve(name: string, endpoint: Endpoint, attach: Attach): Promise<Front>;
  stats(): CurveStats;
  /** Behind the fronts. */
  close(): Promise<void>;
};

type CurveSocketOptions = {
  readonly context: Context;
  readonly curveServer: true;
  readonly curveSecretKey: string;
  readonly zapDomain: string;
};

/** Of clients that have proven their key. */
const maxConnections = 256;
const maxConnectionsOfKey = 16;
/** Two for each connection and handshake of both fronts, with room for those that are just closing. */
const maxSockets = 4_096;
/** A name of an ipc socket has at most 107 bytes on Linux, and 103 elsewhere. */
const maxFolderBytes = 80;

/**
 * Opens what the CURVE sockets share: the authenticator, the list of clients, the folder that joins connections to
 * sockets.
 *
 * @throws {Error} when the key is none, the list cannot be read, or there is no folder for the sockets.
 */
export const openCurve = async (options: CurveOptions): Promise<Curve> => {
  const { secretKey, clientsFile, logger, pollMs } = options;
  const clients = openCurveClients({
    secretKey,
    file: clientsFile,
    logger,
    ...(pollMs === undefined ? {} : { pollMs }),
  });
  const fronts: Front[] = [];
  const context = new Context({ maxSockets });
  const connections = () => fronts.flatMap((front) => [...front.connections]);

  /** Once for each connection: a second key on the same one has no right to the first one's subject. */
  const admit = (domain: string, publicKey: string): boolean => {
    const connection = fronts.map((front) => front.find(domain)).find((found) => found !== undefined);
    const subject = clients.subjectOf(publicKey);
    if (connection !== undefined && subject === undefined) options.onUnknown(connection.address);
    if (connection === undefined || connection.client !== undefined || subject === undefined) return false;
    const known = connections().filter(({ client }) => client !== undefined);
    const own = known.filter(({ client }) => client?.publicKey === publicKey);
    if (known.length >= maxConnections || own.length >= maxConnectionsOfKey) {
      logger.warn({ subject: subject.id }, 'a ZeroMQ client is not let in: there are too many connections');
      return false;
    }
    connection.admit(publicKey, subject);
    return true;
  };

  clients.onChange(() => {
    for (const connection of connections()) {
      const { client } = connection;
      if (client === undefined || isSame(client.subject, clients.subjectOf(client.publicKey))) continue;
      logger.info({ subject: client.subject.id }, 'a ZeroMQ client is cut off: its entry has changed');
      connection.drop();
    }
  });

  const folder = mkdtempSync(join(tmpdir(), 'nexus-zmq-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  if (Buffer.byteLength(folder) > maxFolderBytes) {
    removeFolder();
    clients.close();
    throw new Error(`the folder for temporary files (TMPDIR) has too long a path: ${folder}`);
  }
  const zap = await openZap(context, admit, logger);

  return {
    socketOptions: (domain) => ({
      ...socketOptions,
      context,
      curveServer: true,
      curveSecretKey: secretKey,
      zapDomain: domain,
    }),
    serve: async (name, endpoint, attach) => {
      const front = await openFront({ endpoint, folder, name, attach, logger });
      fronts.push(front);
      return front;
    },
    stats: () => {
      const all = connections();
      const handshakes = all.filter(({ client }) => client === undefined).length;
      return { connections: all.length - handshakes, handshakes };
    },
    close: async () => {
      clients.close();
      await zap.close();
      removeFolder();
    },
  };
};

const isSame = (before: Subject, now: Subject | undefined): boolean =>
  now !== undefined && before.id === now.id && before.scopes.join(' ') === now.scopes.join(' ');
