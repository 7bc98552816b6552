import type { Config } from '../config.ts';
import { parseAttached } from '../state/attachments.ts';
import { isZ85Key, parsePeer } from './endpoint.ts';
import { pluginOptions } from './plugin-options.ts';
import {
  choice,
  endpoint,
  integer,
  isHost,
  isKeySetUrl,
  isOrigin,
  type Kind,
  list,
  logs,
  minSecretBytes,
  onOff,
  optional,
  parseCidr,
  parseOrigin,
  text,
} from './values.ts';

/** One row: what messages, `nexus --help` and docs/configuration.md are made of. */
export type Option<Value> = {
  readonly kind: Kind<Value>;
  readonly env: string | null;
  readonly flag: string | null;
  readonly default: Value;
  /** How the default is written where `default` does not say it (a default made of other options). */
  readonly defaultText?: string;
  readonly meaning: string;
  /** The value never stands in a message. */
  readonly secret?: true;
  /** False: nexus.config.json may not have it. */
  readonly file?: false;
};

const cidrs = list('networks such as 10.0.0.0/8', parseCidr);
const budget = integer(1, 1_000_000_000);
const path = text('a path');
const secret = text(
  `at least ${minSecretBytes} bytes`,
  (value) => Buffer.byteLength(value) >= minSecretBytes,
);
const redis = text(
  'redis://… or rediss://…',
  (value) => /^rediss?:\/\/\S+$/.test(value) && URL.canParse(value),
);

type Options = { readonly [Name in keyof Config]: Option<Config[Name]> } & {
  readonly redisUrl: Option<string | null>;
};
export type OptionName = keyof Options;

/** Every option, in the order of the documents. */
export const options: Options = {
  apiHost: {
    kind: text('a host name or an IP address', isHost),
    env: 'NEXUS_API_HOST',
    flag: '--api-host',
    default: '0.0.0.0',
    meaning: 'bind address; without authentication only loopback clients are served, whatever it is',
  },
  apiPort: {
    kind: integer(0, 65_535),
    env: 'NEXUS_API_PORT',
    flag: '--api-port',
    default: 8080,
    meaning: '0 picks a free port, and the start line prints it',
  },
  log: {
    kind: logs,
    env: 'NEXUS_LOG',
    flag: '--log',
    default: [],
    defaultText: 'file:DATA_DIR (file:./nexus-data)',
    meaning: 'the event log; several are tried in the order given at the start',
  },
  redisUrl: {
    kind: optional(redis),
    env: 'NEXUS_REDIS_URL',
    flag: '--redis-url',
    default: null,
    meaning: 'short for log when log is not set',
  },
  dataDir: {
    kind: path,
    env: 'NEXUS_DATA_DIR',
    flag: '--data-dir',
    default: './nexus-data',
    meaning: 'embedded log, local read models, node identity',
  },
  stateFile: {
    kind: text('a path, or none'),
    env: 'NEXUS_STATE_FILE',
    flag: '--state-file',
    default: 'nexus_state.json',
    meaning: 'periodic JSON snapshot of the whole state; none turns it off',
  },
  snapshotEverySec: {
    kind: integer(1, 86_400),
    env: 'NEXUS_SNAPSHOT_EVERY_SEC',
    flag: null,
    default: 300,
    meaning: 'period of that snapshot, in seconds',
  },
  stateResolvers: {
    kind: list('PATTERN=RESOLVER such as counters/*=max', (value) =>
      parseAttached(value) === undefined ? undefined : value,
    ),
    env: 'NEXUS_STATE_RESOLVERS',
    flag: null,
    default: [],
    meaning:
      'resolvers of conflicts by state key: a key, or a prefix and *; the longest pattern counts (docs/state.md)',
  },
  ...pluginOptions,
  jwtSecret: {
    kind: optional(secret),
    env: 'NEXUS_JWT_SECRET',
    flag: null,
    default: null,
    meaning: 'HS256 secret; turns authentication on',
    secret: true,
  },
  jwksUrl: {
    kind: optional(text('https://…, or http:// to localhost, without a user', isKeySetUrl)),
    env: 'NEXUS_JWKS_URL',
    flag: null,
    default: null,
    meaning:
      'key set (JWKS) of RS256, ES256 and EdDSA keys; turns authentication on (docs/authentication.md)',
  },
  jwksFile: {
    kind: optional(path),
    env: 'NEXUS_JWKS_FILE',
    flag: null,
    default: null,
    meaning: 'file of such a key set; re-read on change; turns authentication on',
  },
  jwtIssuer: {
    kind: optional(text('text')),
    env: 'NEXUS_JWT_ISSUER',
    flag: null,
    default: null,
    meaning: "a token's iss must be this, when set",
  },
  jwtAudience: {
    kind: optional(text('text')),
    env: 'NEXUS_JWT_AUDIENCE',
    flag: null,
    default: null,
    meaning: "a token's aud must have this, when set",
  },
  rateLimitMax: {
    kind: budget,
    env: 'NEXUS_RATE_LIMIT_MAX',
    flag: null,
    default: 6_000,
    meaning:
      'requests per window and subject, else per address: so many reads, writes and calls of services each',
  },
  rateLimitReadMax: {
    kind: optional(budget),
    env: 'NEXUS_RATE_LIMIT_READ_MAX',
    flag: null,
    default: null,
    defaultText: 'rateLimitMax',
    meaning: 'of those, reads (GET, HEAD, pull, GraphQL queries); none is rateLimitMax, as for the next two',
  },
  rateLimitWriteMax: {
    kind: optional(budget),
    env: 'NEXUS_RATE_LIMIT_WRITE_MAX',
    flag: null,
    default: null,
    defaultText: 'rateLimitMax',
    meaning: 'writes, counted apart from reads',
  },
  rateLimitInvokeMax: {
    kind: optional(budget),
    env: 'NEXUS_RATE_LIMIT_INVOKE_MAX',
    flag: null,
    default: null,
    defaultText: 'rateLimitMax',
    meaning: 'calls of services (invoke, /proxy), counted apart from both',
  },
  rateLimitWindowSec: {
    kind: integer(1, 86_400),
    env: 'NEXUS_RATE_LIMIT_WINDOW_SEC',
    flag: null,
    default: 60,
    meaning: 'that window, in seconds',
  },
  maxInFlight: {
    kind: integer(1, 1_000_000),
    env: 'NEXUS_MAX_IN_FLIGHT',
    flag: null,
    default: 1_000,
    meaning: 'HTTP requests that are worked on at once; beyond it the answer is 503',
  },
  maxLagMs: {
    kind: integer(1, 60_000),
    env: 'NEXUS_MAX_LAG_MS',
    flag: null,
    default: 75,
    meaning:
      'that a turn of the event loop may take before HTTP requests are answered with 503, in milliseconds',
  },
  maxConnections: {
    kind: integer(1, 1_000_000),
    env: 'NEXUS_MAX_CONNECTIONS',
    flag: null,
    default: 16_384,
    meaning: 'connections to the gateway; beyond it the one that has been silent longest ends',
  },
  maxConnectionsPerAddress: {
    kind: integer(1, 1_000_000),
    env: 'NEXUS_MAX_CONNECTIONS_PER_ADDRESS',
    flag: null,
    default: 1_024,
    meaning: 'of those, from one address, this machine and trustedProxies excepted',
  },
  maxWebSockets: {
    kind: integer(1, 1_000_000),
    env: 'NEXUS_MAX_WEB_SOCKETS',
    flag: null,
    default: 12_288,
    meaning: 'of those, WebSockets',
  },
  wsFramesPerSec: {
    kind: integer(0, 1_000_000_000, ' (0 is no limit)'),
    env: 'NEXUS_WS_FRAMES_PER_SEC',
    flag: null,
    default: 2_000,
    meaning: 'frames per second that a WebSocket connection may send',
  },
  trustedProxies: {
    kind: cidrs,
    env: 'NEXUS_TRUSTED_PROXIES',
    flag: null,
    default: [],
    meaning: 'own proxies, whose X-Forwarded-For counts',
  },
  corsOrigins: {
    kind: list('origins such as https://app.example.com', parseOrigin),
    env: 'NEXUS_CORS_ORIGINS',
    flag: null,
    default: [],
    meaning: 'origins of pages that may call the hub from a browser',
  },
  allowedTargets: {
    kind: cidrs,
    env: 'NEXUS_ALLOWED_TARGETS',
    flag: null,
    default: [],
    meaning:
      'networks that services may stand in; none is the default of the mode: public addresses, and loopback without or private networks with authentication',
  },
  tlsCert: {
    kind: optional(path),
    env: 'NEXUS_TLS_CERT',
    flag: null,
    default: null,
    meaning: 'file of the certificate chain (PEM); goes with tlsKey',
  },
  tlsKey: {
    kind: optional(path),
    env: 'NEXUS_TLS_KEY',
    flag: null,
    default: null,
    meaning: 'file of its private key (PEM); goes with tlsCert',
  },
  graphqlIntrospection: {
    kind: onOff,
    env: 'NEXUS_GRAPHQL_INTROSPECTION',
    flag: null,
    default: true,
    meaning: 'whether GraphQL tells its schema; false also takes suggestions out of its errors',
  },
  graphqlDocuments: {
    kind: optional(path),
    env: 'NEXUS_GRAPHQL_DOCUMENTS',
    flag: null,
    default: null,
    meaning: 'file of persisted GraphQL documents by their ids (JSON); re-read on change',
  },
  graphqlDocumentsOnly: {
    kind: onOff,
    env: 'NEXUS_GRAPHQL_DOCUMENTS_ONLY',
    flag: null,
    default: false,
    meaning: 'whether GraphQL runs the documents of that file alone',
  },
  zmqCurveSecretKey: {
    kind: optional(text("a CURVE secret key in ZeroMQ's Z85 (40 characters)", isZ85Key)),
    env: 'NEXUS_ZMQ_CURVE_SECRET_KEY',
    flag: null,
    default: null,
    meaning: "the hub's CURVE key: the ZeroMQ sockets then let in only clients whose keys are known",
    secret: true,
  },
  zmqCurveClients: {
    kind: optional(path),
    env: 'NEXUS_ZMQ_CURVE_CLIENTS',
    flag: null,
    default: null,
    meaning: 'file of client public keys with subject and scope each (JSON); re-read on change',
  },
  zmqPublish: {
    kind: endpoint,
    env: 'NEXUS_ZMQ_PUBLISH',
    flag: null,
    default: 'tcp://127.0.0.1:5556',
    meaning: 'ZeroMQ endpoint that messages are published on; none turns it off',
  },
  zmqCommand: {
    kind: endpoint,
    env: 'NEXUS_ZMQ_COMMAND',
    flag: null,
    default: 'tcp://127.0.0.1:5557',
    meaning: 'ZeroMQ endpoint that takes commands; none turns it off',
  },
  peers: {
    kind: list('tcp://HOST:PORT or tcp://HOST:PORT|PUBLICKEY', (value) =>
      parsePeer(value) === undefined ? undefined : value,
    ),
    env: 'NEXUS_PEERS',
    flag: '--peers',
    default: [],
    meaning:
      'ZeroMQ publish endpoints of other nodes on the same log, with their public keys where they differ',
  },
  advertiseUrl: {
    kind: optional(text('http://HOST:PORT or https://HOST:PORT', isOrigin)),
    env: 'NEXUS_ADVERTISE_URL',
    flag: '--advertise-url',
    default: null,
    meaning:
      "where other nodes of a shared log reach this one's gateway; none tells it from apiHost (the machine's name when that is all addresses) and apiPort",
  },
  logLevel: {
    kind: choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    env: 'NEXUS_LOG_LEVEL',
    flag: '--log-level',
    default: 'info',
    meaning: 'JSON lines on stderr',
  },
  acceptLog: {
    kind: optional(text('the identity of a log', (value) => /^[A-Za-z0-9-]{1,64}$/.test(value))),
    env: null,
    flag: '--accept-log',
    default: null,
    meaning: 'identity of a log that may replace the one this node remembers; for one start',
    file: false,
  },
};

export const optionNames = Object.keys(options).filter((name): name is OptionName => name in options);
