import { Router } from 'zeromq';
import type { Subject } from '../../../domain/access.ts';
import type { Endpoint } from '../../config/endpoint.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import { createBudget } from './budget.ts';
import { maxInFlight, takeCommands } from './commands.ts';
import type { Curve } from './curve.ts';
import { bindSocket, socketOptions } from './endpoint.ts';

export type Commander = {
  /** What was bound, `tcp://HOST:PORT`. */
  readonly endpoint: string;
  /** Answers what was taken, 2 s at most, then closes. */
  close(): Promise<void>;
};

const maxFrameBytes = 1024 * 1024;
const highWaterMark = 64;
/** A connection's own queue in libzmq holds so many frames of up to `maxFrameBytes`. */
const curveHighWaterMark = 8;
/** Taken and not answered yet, by all connections. */
const maxBytes = 64 * 1024 * 1024;

const limits = { maxMessageSize: maxFrameBytes, sendHighWaterMark: maxInFlight } as const;

/**
 * Takes commands from whoever connects, as `subject`.
 *
 * @throws {Error} `EADDRINUSE` and the like, in `code`.
 */
export const openCommander = async (
  core: NexusCore,
  endpoint: Endpoint,
  subject: Subject,
  logger: Logger,
): Promise<Commander> => {
  const socket = new Router({ ...socketOptions, ...limits, receiveHighWaterMark: highWaterMark });
  await bindSocket(socket, endpoint.address);
  const bound = socket.lastEndpoint ?? endpoint.address;
  return {
    endpoint: bound,
    close: takeCommands(socket, { core, subject, logger, budget: createBudget(maxBytes) }),
  };
};

/**
 * Takes commands from clients whose keys are known, each as its own subject.
 *
 * @throws {Error} `EADDRINUSE` and the like, in `code`.
 */
export const openCurveCommander = (
  core: NexusCore,
  endpoint: Endpoint,
  curve: Curve,
  logger: Logger,
): Promise<Commander> => {
  const budget = createBudget(maxBytes);
  return curve.serve('c', endpoint, async (domain, address, line) => {
    const socket = new Router({
      ...curve.socketOptions(domain),
      ...limits,
      receiveHighWaterMark: curveHighWaterMark,
    });
    await bindSocket(socket, address);
    let close = async (): Promise<void> => socket.close();
    return {
      begin: (subject) => {
        close = takeCommands(socket, { core, subject, logger, budget, heard: line.heard });
      },
      close: () => close(),
    };
  });
};
