import { Agent, buildConnector } from 'undici';
import type { Targets } from './targets.ts';

/** The connection was not made, so nothing of the request was sent: another instance may be tried. */
export class ConnectFailed extends Error {
  override readonly name = 'ConnectFailed';
  /** True when the address is not allowed, false when it could not be reached. */
  readonly refused: boolean;

  constructor(message: string, refused: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.refused = refused;
  }
}

const connectLimitMs = 5_000;

const portOf = (options: buildConnector.Options): number =>
  options.port === '' ? (options.protocol === 'https:' ? 443 : 80) : Number(options.port);

type Socket = Extract<Parameters<buildConnector.Callback>, [null, unknown]>[1];

/**
 * Connects to addresses that `targets` has just checked, one after the other, never to a name: a name that resolves
 * differently a moment later leads nowhere. Every connection that the hub makes for its users comes from here.
 *
 * @param connectTo makes a connection to an address.
 * @throws {ConnectFailed} when the host is refused or has no address, or none of its addresses could be reached.
 */
export const connectChecked = async <Connection>(
  targets: Targets,
  host: string,
  port: number,
  connectTo: (address: string) => Promise<Connection>,
): Promise<Connection> => {
  const checked = await targets.check(host, port);
  if (!checked.ok) throw new ConnectFailed(checked.detail, checked.reason === 'refused');
  let last: unknown;
  for (const address of checked.addresses) {
    try {
      return await connectTo(address);
    } catch (error) {
      last = error;
    }
  }
  const why = last instanceof Error ? last.message : 'unknown';
  throw new ConnectFailed(`cannot connect to ${host}:${port}: ${why}`, false, last);
};

/** As `connectChecked`, for undici. TLS goes on verifying the name. */
const createConnector = (targets: Targets): buildConnector.connector => {
  const connectOnce = buildConnector({ timeout: connectLimitMs });

  const attempt = (options: buildConnector.Options): Promise<Socket> =>
    new Promise((resolve, reject) => {
      connectOnce(options, (error, socket) => {
        if (error === null) resolve(socket);
        else reject(error);
      });
    });

  const connect = (options: buildConnector.Options): Promise<Socket> =>
    connectChecked(targets, options.hostname, portOf(options), (address) =>
      attempt({ ...options, hostname: address }),
    );

  return (options, callback) => {
    connect(options).then(
      (socket) => callback(null, socket),
      (error: unknown) =>
        callback(error instanceof Error ? error : new ConnectFailed('cannot connect', false, error), null),
    );
  };
};

/** A keep-alive pool per origin: no redirects, no proxy from the environment, at most `connections` per origin. */
export const createAgent = (targets: Targets, connections: number): Agent =>
  new Agent({
    connect: createConnector(targets),
    connections,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    maxHeaderSize: 16_384,
    // Each request has a time limit of its own, which may be longer than the defaults of these.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
