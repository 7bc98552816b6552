import type { Redis } from 'ioredis';
import { LogError } from '../event-log.ts';
import { faultOf } from './faults.ts';
import type { History, Known } from './history.ts';
import type { Limits } from './limits.ts';
import type { Link } from './link.ts';
import type { Script } from './scripts.ts';

/** Runs calls that may safely run twice (reads, truncation, a step of the scavenger) until they are answered. */
export type Caller = {
  /**
   * @throws {LogError} What the server refused, or `log_unavailable` when the limits of time are over.
   */
  run<Value>(attempt: (redis: Redis, known: Known) => Promise<Value>): Promise<Value>;
  /** Runs a script that takes prefix, known epoch and seen sequence first and answers with epoch and sequence first. */
  script(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<readonly unknown[]>;
};

export type CallerOptions = {
  readonly link: Link;
  readonly history: History;
  readonly server: string;
  readonly prefix: string;
  readonly limits: Limits;
};

export const createCaller = ({ link, history, server, prefix, limits }: CallerOptions): Caller => {
  const run: Caller['run'] = async (attempt) => {
    const deadline = performance.now() + limits.callMs;
    let reason = '';
    for (;;) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        throw new LogError('log_unavailable', `the Redis at ${server} did not answer in time: ${reason}`, {
          server,
        });
      }
      const { redis, generation } = await link.ready(leftMs);
      try {
        return await attempt(redis, history.known());
      } catch (error) {
        const fault = faultOf(error, server);
        if (fault.type === 'refused' || fault.type === 'odd') {
          // Another connection may lead to another server: a name that moved, a replica that was promoted.
          if (fault.error.code === 'log_unavailable') link.reset(generation, fault.error.message);
          throw fault.error;
        }
        reason = fault.reason;
        link.reset(generation, reason);
      }
    }
  };
  return {
    run,
    script: (script, keys, args) =>
      run(async (redis, known) => {
        const reply: unknown = await redis.evalsha(
          script.sha,
          keys.length,
          ...keys,
          prefix,
          known.epoch,
          known.sequence,
          ...args,
        );
        if (!Array.isArray(reply))
          throw new LogError('log_corrupt', `the Redis at ${server} answered with no list`);
        history.observe(known, String(reply[0]), Number(reply[1]));
        return reply;
      }),
  };
};
