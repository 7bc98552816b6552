import { flushCompileCache } from 'node:module';
import { openZeroMq } from './bus/zeromq.ts';
import { isAuthenticated } from './config/authenticated.ts';
import { readText } from './config/read-text.ts';
import { parseConfig } from './config.ts';
import { openCore } from './core.ts';
import { endProcess } from './end-process.ts';
import { advertisedUrl } from './gateway/advertise.ts';
import { openGateway } from './gateway/gateway.ts';
import { limitHeapGrowth } from './heap.ts';
import { openCounters } from './log/open.ts';
import { createLogger, type Logger } from './logger.ts';

/** After this a drain that does not end is cut off. */
const drainMs = 10_000;

const fail = (line: string, code: number): never => {
  process.stderr.write(`${line}\n`);
  process.exit(code);
};

/** The message, and that of what caused it. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
};

/** `nexus start`: runs the hub until a signal asks it to end. A fault on the way ends the process. */
export const start = (argv: readonly string[]): void => {
  limitHeapGrowth();
  run(argv).catch((error: unknown) => endProcess(`nexus: ${reasonOf(error)}`, 1));
};

const run = async (argv: readonly string[]): Promise<void> => {
  const parsed = parseConfig(argv, process.env, readText);
  if (!parsed.ok) return fail(`nexus: ${parsed.message}`, 2);
  if (parsed.help !== undefined) {
    process.stdout.write(parsed.help);
    return;
  }
  const { config } = parsed;
  const logger = createLogger(config.logLevel);
  endOnFault(logger);

  const asked = Promise.withResolvers<NodeJS.Signals>();
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) return;
      setTimeout(() => endProcess('nexus: the drain took too long', 1), drainMs).unref();
      asked.resolve(signal);
      stopping.abort();
    });
  }

  const core = await openCore(config, {
    logger,
    signal: stopping.signal,
    onFailure: (error) => {
      logger.error({ error }, 'a disk failed: nothing is acknowledged any more');
      endProcess(`nexus: a disk failed and this process ends: ${reasonOf(error)}`, 1);
    },
  }).catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
    // Asked to stop while the log was being waited for: there is nothing to drain.
    process.exit(0);
  });
  const counters = await openCounters(config.log, core.parts.log.kind);
  const gateway = await openGateway({
    core,
    config,
    logger,
    ...(counters === undefined ? {} : { counters }),
  });
  const zeroMq = await openZeroMq({ core, config, logger, mesh: core.parts });
  core.listensOn([gateway.port, ...zeroMq.ports], advertisedUrl(config, gateway));

  // Node keeps what it compiled when it ends, but not when it is killed, as hubs are.
  flushCompileCache();

  const { log } = core.parts;
  const position = log.reachable ? await log.position().catch(() => log.start) : core.parts.runner.position;
  const auth = isAuthenticated(config) ? 'jwt' : 'off';
  const weak = log.reachable && !log.durability.durable ? ` durable=no (${log.durability.note})` : '';
  process.stdout.write(
    `NEXUS ready ${gateway.url} log=${log.kind} auth=${auth} position=${position}${weak}\n`,
  );

  const drain = async (signal: NodeJS.Signals): Promise<void> => {
    logger.info({ signal }, 'draining');
    await Promise.all([gateway.close(), zeroMq.close()]);
    await core.close();
    process.exit(0);
  };
  asked.promise.then(drain).catch((error: unknown) => {
    logger.error({ error }, 'the drain failed');
    endProcess('nexus: the drain failed', 1);
  });
};

/** A fault that nobody caught: the state of the process is unknown, so it ends; the log needs no repair. */
const endOnFault = (logger: Logger): void => {
  const end = (error: unknown) => {
    logger.error({ error }, 'a fault that nothing caught');
    endProcess(`nexus: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, 1);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
};
