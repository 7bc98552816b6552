import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/clock.ts';
import type { Config } from '../../src/config.ts';
import { parseConfig } from '../../src/config.ts';
import { type Core, type CoreOptions, openCore } from '../../src/core.ts';
import { type Gateway, type GatewayOptions, openGateway } from '../../src/gateway/gateway.ts';
import { openCounters } from '../../src/log/open.ts';
import { createLogger, type Logger } from '../../src/logger.ts';
import type { NexusCore } from '../../src/nexus-core.ts';

export type Hub = {
  readonly core: Core;
  readonly gateway: Gateway;
  readonly config: Config;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The facts and messages that the hub logged at warn and above: what a client must never cause is `error`. */
  readonly logged: readonly Logged[];
  close(): Promise<void>;
};

export type Logged = { readonly level: string; readonly msg: string } & Readonly<Record<string, unknown>>;

export type HubOptions = Partial<Config> & {
  readonly timeouts?: GatewayOptions['timeouts'];
  /** Far longer than a hub waits, so that a busy machine does not make each node count by itself; 10,000 unless given. */
  readonly countersReplyMs?: number;
  readonly resolve?: CoreOptions['resolve'];
  /** What the core tells the time by; the system's clock unless given. */
  readonly time?: Clock;
  /** In front of the core, for what no input brings about. */
  readonly wrap?: (core: NexusCore) => NexusCore;
};

/** A whole hub on a free port of 127.0.0.1, on an embedded log in a folder of its own that `close` removes. */
export const openHub = async (options: HubOptions = {}): Promise<Hub> => {
  const { timeouts, countersReplyMs = 10_000, resolve, time, wrap = (core) => core, ...overrides } = options;
  const directory = await mkdtemp(join(tmpdir(), 'nexus-hub-'));
  const parsed = parseConfig([], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config: Config = {
    ...parsed.config,
    apiHost: '127.0.0.1',
    apiPort: 0,
    dataDir: directory,
    log: [`file:${directory}`],
    stateFile: 'none',
    zmqPublish: 'none',
    zmqCommand: 'none',
    rateLimitMax: 1_000_000,
    // A machine that is busy with other tests is no overload of this hub.
    maxLagMs: 60_000,
    ...overrides,
  };
  const logged: Logged[] = [];
  const logger: Logger = createLogger('warn', {
    write: (line) => {
      logged.push(JSON.parse(line) as Logged);
    },
  });
  const core = await openCore(config, {
    logger,
    // A disk that others keep busy may take its time: nobody here ends the process for it.
    watchdogMs: 60_000,
    ...(resolve === undefined ? {} : { resolve }),
    ...(time === undefined ? {} : { clock: time.now, after: time.after }),
  });
  let gateway: Gateway;
  try {
    const counters = await openCounters(config.log, core.parts.log.kind, countersReplyMs);
    gateway = await openGateway({
      ...(counters === undefined ? {} : { counters }),
      core: wrap(core),
      config,
      logger,
      ...(timeouts === undefined ? {} : { timeouts }),
    });
  } catch (error) {
    await core.close();
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  core.listensOn([gateway.port], gateway.url);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await gateway.close();
    await core.close();
    await rm(directory, { recursive: true, force: true });
  };
  return {
    core,
    gateway,
    config,
    url: gateway.url,
    host: gateway.host,
    port: gateway.port,
    logged,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
};
