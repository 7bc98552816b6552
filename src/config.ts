/** Options of the hub after flags, environment, nexus.config.json and defaults were merged and checked. */
export type Config = {
  readonly apiHost: string;
  /** 0 picks a free port. */
  readonly apiPort: number;
  /** Event logs in the order in which they are tried: `file:DIR`, `redis(s)://…`, `esdb(+discover)://…`. */
  readonly log: readonly string[];
  readonly dataDir: string;
  /** `none` turns the periodic snapshot off. */
  readonly stateFile: string;
  readonly snapshotEverySec: number;
  readonly pluginDir: string;
  readonly jwtSecret: string | null;
  readonly jwtIssuer: string | null;
  readonly jwtAudience: string | null;
  readonly rateLimitMax: number;
  readonly rateLimitWindowSec: number;
  readonly wsFramesPerSec: number;
  /** CIDRs. */
  readonly trustedProxies: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly allowedTargets: readonly string[];
  readonly tlsCert: string | null;
  readonly tlsKey: string | null;
  /** `none` turns the socket off. */
  readonly zmqPublish: string;
  readonly zmqCommand: string;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Log identity that may replace the remembered one (`--accept-log`). */
  readonly acceptLog: string | null;
};
