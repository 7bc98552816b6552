import { Agent, buildConnector, request } from 'undici';
import { ConnectFailed, connectChecked } from './connector.ts';
import type { Targets } from './targets.ts';

/** undici and what is made with it: loaded by agent.ts when the hub first calls someone. */
export { request };

const connectLimitMs = 5_000;

const portOf = (options: buildConnector.Options): number =>
  options.port === '' ? (options.protocol === 'https:' ? 443 : 80) : Number(options.port);

type Socket = Extract<Parameters<buildConnector.Callback>, [null, unknown]>[1];

/** As `connectChecked`, for undici. TLS goes on verifying the name. */
const createConnector = (targets: Pick<Targets, 'check'>): buildConnector.connector => {
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
export const openAgent = (targets: Pick<Targets, 'check'>, connections: number): Agent =>
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
