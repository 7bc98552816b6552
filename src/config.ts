import { helpText } from './config/help.ts';
import { type Option, type OptionName, options } from './config/options.ts';
import { configFile, readConfigFile, readFlags, readVariables } from './config/sources.ts';
import { togetherFaults } from './config/together.ts';
import { withoutCredentials } from './config/values.ts';

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
  /** `PATTERN=NAME`: what settles conflicts of the keys that match, the longest pattern first. */
  readonly stateResolvers: readonly string[];
  readonly pluginDir: string;
  readonly pluginIntegrity: 'none' | 'hash' | 'signature';
  /** File of Ed25519 public keys. */
  readonly pluginKeys: string | null;
  /** `NAME=low` or `NAME=trusted`; any other plugin has the trust `normal`. */
  readonly pluginTrust: readonly string[];
  readonly pluginSandbox: 'auto' | 'bubblewrap' | 'process';
  readonly pluginWatch: boolean;
  readonly jwtSecret: string | null;
  /** https, or http to this machine. */
  readonly jwksUrl: string | null;
  readonly jwksFile: string | null;
  readonly jwtIssuer: string | null;
  readonly jwtAudience: string | null;
  readonly rateLimitMax: number;
  /** null: rateLimitMax. */
  readonly rateLimitReadMax: number | null;
  readonly rateLimitWriteMax: number | null;
  readonly rateLimitInvokeMax: number | null;
  readonly rateLimitWindowSec: number;
  readonly maxInFlight: number;
  readonly maxLagMs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxWebSockets: number;
  readonly wsFramesPerSec: number;
  /** CIDRs. */
  readonly trustedProxies: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly allowedTargets: readonly string[];
  readonly tlsCert: string | null;
  readonly tlsKey: string | null;
  readonly graphqlIntrospection: boolean;
  /** File of persisted documents. */
  readonly graphqlDocuments: string | null;
  readonly graphqlDocumentsOnly: boolean;
  /** `none` turns the socket off. */
  readonly zmqPublish: string;
  readonly zmqCommand: string;
  /** Z85. With it the ZeroMQ sockets speak CURVE, and may stand on any address. */
  readonly zmqCurveSecretKey: string | null;
  readonly zmqCurveClients: string | null;
  /** `tcp://HOST:PORT` or `tcp://HOST:PORT|PUBLICKEY` of other nodes on the same log. */
  readonly peers: readonly string[];
  /** Where other nodes of a shared log reach this one; null: told from apiHost and apiPort. */
  readonly advertiseUrl: string | null;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Log identity that may replace the remembered one (`--accept-log`). */
  readonly acceptLog: string | null;
};

export type Parsed =
  /** `help` is set when it was asked for: print it and end. */
  | { readonly ok: true; readonly config: Config; readonly help?: string }
  /** One line per fault: the option, the value (never a secret) and what is allowed. */
  | { readonly ok: false; readonly message: string };

const shown = (raw: unknown, secret: boolean): string => {
  if (secret) return typeof raw === 'string' ? `a value of ${Buffer.byteLength(raw)} bytes` : 'the value';
  const text = withoutCredentials(JSON.stringify(raw) ?? String(raw));
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
};

/**
 * Merges flags over environment over nexus.config.json over defaults, and checks every value given, overridden ones too.
 *
 * @param argv what stands behind `nexus start`.
 * @param readFile text of a file, or undefined when there is none.
 */
export const parseConfig = (
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  readFile: (path: string) => string | undefined,
): Parsed => {
  const flags = readFlags(argv);
  const sources = [flags, readVariables(env), readConfigFile(readFile(configFile))];
  const faults = sources.flatMap((source) => source.faults);

  const pick = <Value>(name: OptionName, option: Option<Value>): { value: Value; given: boolean } => {
    let picked: { value: Value } | undefined;
    for (const source of sources) {
      const given = source.given.get(name);
      if (given === undefined) continue;
      const value = option.kind.parse(given.raw);
      if (value !== undefined) {
        picked ??= { value };
      } else {
        faults.push(
          `${name}: ${shown(given.raw, option.secret === true)} (${given.by}) is not allowed; allowed: ${option.kind.allowed}`,
        );
      }
    }
    return { value: picked === undefined ? option.default : picked.value, given: picked !== undefined };
  };
  const value = <Value>(name: OptionName, option: Option<Value>): Value => pick(name, option).value;

  const dataDir = value('dataDir', options.dataDir);
  const redisUrl = value('redisUrl', options.redisUrl);
  const log = pick('log', options.log);
  const config: Config = {
    apiHost: value('apiHost', options.apiHost),
    apiPort: value('apiPort', options.apiPort),
    log: log.given ? log.value : [redisUrl ?? `file:${dataDir}`],
    dataDir,
    stateFile: value('stateFile', options.stateFile),
    snapshotEverySec: value('snapshotEverySec', options.snapshotEverySec),
    stateResolvers: value('stateResolvers', options.stateResolvers),
    pluginDir: value('pluginDir', options.pluginDir),
    pluginIntegrity: value('pluginIntegrity', options.pluginIntegrity),
    pluginKeys: value('pluginKeys', options.pluginKeys),
    pluginTrust: value('pluginTrust', options.pluginTrust),
    pluginSandbox: value('pluginSandbox', options.pluginSandbox),
    pluginWatch: value('pluginWatch', options.pluginWatch),
    jwtSecret: value('jwtSecret', options.jwtSecret),
    jwksUrl: value('jwksUrl', options.jwksUrl),
    jwksFile: value('jwksFile', options.jwksFile),
    jwtIssuer: value('jwtIssuer', options.jwtIssuer),
    jwtAudience: value('jwtAudience', options.jwtAudience),
    rateLimitMax: value('rateLimitMax', options.rateLimitMax),
    rateLimitReadMax: value('rateLimitReadMax', options.rateLimitReadMax),
    rateLimitWriteMax: value('rateLimitWriteMax', options.rateLimitWriteMax),
    rateLimitInvokeMax: value('rateLimitInvokeMax', options.rateLimitInvokeMax),
    rateLimitWindowSec: value('rateLimitWindowSec', options.rateLimitWindowSec),
    maxInFlight: value('maxInFlight', options.maxInFlight),
    maxLagMs: value('maxLagMs', options.maxLagMs),
    maxConnections: value('maxConnections', options.maxConnections),
    maxConnectionsPerAddress: value('maxConnectionsPerAddress', options.maxConnectionsPerAddress),
    maxWebSockets: value('maxWebSockets', options.maxWebSockets),
    wsFramesPerSec: value('wsFramesPerSec', options.wsFramesPerSec),
    trustedProxies: value('trustedProxies', options.trustedProxies),
    corsOrigins: value('corsOrigins', options.corsOrigins),
    allowedTargets: value('allowedTargets', options.allowedTargets),
    tlsCert: value('tlsCert', options.tlsCert),
    tlsKey: value('tlsKey', options.tlsKey),
    graphqlIntrospection: value('graphqlIntrospection', options.graphqlIntrospection),
    graphqlDocuments: value('graphqlDocuments', options.graphqlDocuments),
    graphqlDocumentsOnly: value('graphqlDocumentsOnly', options.graphqlDocumentsOnly),
    zmqPublish: value('zmqPublish', options.zmqPublish),
    zmqCommand: value('zmqCommand', options.zmqCommand),
    zmqCurveSecretKey: value('zmqCurveSecretKey', options.zmqCurveSecretKey),
    zmqCurveClients: value('zmqCurveClients', options.zmqCurveClients),
    peers: value('peers', options.peers),
    advertiseUrl: value('advertiseUrl', options.advertiseUrl),
    logLevel: value('logLevel', options.logLevel),
    acceptLog: value('acceptLog', options.acceptLog),
  };

  faults.push(...togetherFaults(config));
  if (faults.length > 0 && !flags.help) return { ok: false, message: faults.join('\n') };
  return flags.help ? { ok: true, config, help: helpText() } : { ok: true, config };
};
