import { createHash, createHmac, randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Json } from '../../../domain/event.ts';
import { parseJson } from '../../../domain/parse-json.ts';
import { type Clock, systemClock } from '../../clock.ts';
import type { PluginModule } from '../plugin.ts';
import { type Bridge, createPlugin, type Plugin } from './process/guest/context.ts';
import { maxTimers, minTimerMs } from './process/guest/timers.ts';
import type { CallAnswer, CallFault, Guest, GuestHost, Program, Sandbox, Started } from './sandbox.ts';

export type TrustedSandboxOptions = {
  /** Of this sandbox alone: modules are written to it and imported from there; whatever else it holds is removed. */
  readonly directory: string;
  /** Default: the system's. */
  readonly clock?: Pick<Clock, 'after'>;
};

const initializeMs = 10_000;
const shutdownMs = 1_000;
/** As long as a plugin in a process of its own may take when the hub closes. */
const closeGraceMs = 1_000;
const maxOpenCalls = 1_000;
const maxTextLength = 1_000;
/** Values and characters of an answer that are looked at. */
const maxUnits = 2_097_152;

const textOf = (error: unknown): string => {
  try {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return text.slice(0, maxTextLength).toWellFormed();
  } catch {
    return 'something was thrown that has no text';
  }
};

const callError = (code: string, message: string): Error =>
  Object.assign(new Error(message), { name: 'PluginCallError', code });

/** A copy without what JSON does not have, as if it had come over a pipe; null for nothing. */
const copyOf = (value: unknown): Json => JSON.parse(JSON.stringify(value) ?? 'null');

/**
 * How often each was imported by this process. A module is never unloaded, so each start has a file, and so a URL, of its
 * own; the same ones in the next process, as Node keeps what it compiled by the URL.
 */
const imported = new Map<string, number>();

class Late extends Error {}

/** @throws {Late} when `task` has not settled `limitMs` from now. */
const within = async <Value>(
  clock: Pick<Clock, 'after'>,
  limitMs: number,
  task: Promise<Value>,
): Promise<Value> => {
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(limitMs, () => late.reject(new Late(`it took more than ${limitMs} ms`)));
  try {
    return await Promise.race([task, late.promise]);
  } finally {
    cancel();
  }
};

/** The timers of one plugin. */
const createTimers = (failed: (error: unknown) => void) => {
  const timers = new Set<NodeJS.Timeout>();
  return {
    start(ms: number, again: boolean, run: () => unknown): () => void {
      if (typeof run !== 'function') throw new TypeError('a timer needs a function');
      if (timers.size >= maxTimers) throw new RangeError(`a plugin has ${maxTimers} timers at most`);
      const waitMs = ms >= minTimerMs ? ms : minTimerMs;
      const fire = (): void => {
        if (!again) timers.delete(timer);
        Promise.resolve().then(run).catch(failed);
      };
      const timer = again ? setInterval(fire, waitMs) : setTimeout(fire, waitMs);
      timer.unref();
      timers.add(timer);
      return () => {
        clearTimeout(timer);
        timers.delete(timer);
      };
    },
    endAll(): void {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
};

/**
 * Runs plugins as modules of the hub's own process, for those that the operator has named. They are given the same context,
 * and what they ask of the hub is held to the same grants and budgets; but nothing bounds their memory or their processor
 * time, nothing keeps them from Node, and a loop without an end is the end of the hub.
 */
export const createTrustedSandbox = ({ directory, clock = systemClock }: TrustedSandboxOptions): Sandbox => {
  const guests = new Set<Guest>();

  /** A hub that was killed may have left a module. */
  const prepare = async (): Promise<void> => {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o700 });
  };
  let prepared: Promise<void> | undefined;

  const load = async ({ name, code }: Program): Promise<PluginModule> => {
    prepared ??= prepare();
    await prepared;
    const hash = createHash('sha256').update(code).digest('hex').slice(0, 32);
    const place = join(directory, `${name}-${hash}`);
    const times = imported.get(place) ?? 0;
    imported.set(place, times + 1);
    const file = `${place}-${times}.mjs`;
    await writeFile(file, code, { mode: 0o600, flag: 'wx' });
    try {
      return await import(pathToFileURL(file).href);
    } finally {
      await rm(file, { force: true });
    }
  };

  const start = async (program: Program, host: GuestHost): Promise<Started> => {
    const { name, version, limits } = program;
    const failed = (what: string) => (error: unknown) => host.log('error', `${what}: ${textOf(error)}`, {});
    const timers = createTimers(failed('a timer threw'));
    const underWay = new Set<Promise<CallAnswer>>();
    let stopping: Promise<void> | undefined;
    let [calls, wishes] = [0, 0];

    const bridge: Bridge = {
      async wish(operation, data) {
        wishes += 1;
        const text = JSON.stringify(data) ?? 'null';
        if (Buffer.byteLength(text) > limits.messageBytes) {
          host.limited('messageBytes', `${operation} is larger than ${limits.messageBytes} bytes`);
          throw callError('limit_exceeded', `a call is larger than ${limits.messageBytes} bytes`);
        }
        const given = parseJson(JSON.parse(text), maxUnits);
        if (given === undefined) throw callError('bad_json', 'the data is no JSON that the hub takes');
        const answer = await host.wish({ operation, data: given });
        if (!answer.ok) throw callError(answer.code, answer.message);
        // The hub's own objects are nobody's to change.
        return copyOf(answer.value);
      },
      log: (level, message, fields) => host.log(level, textOf(message), copyOf(fields)),
      hmacSha256: async (key, text) => createHmac('sha256', key).update(text).digest('hex'),
      randomId: randomUUID,
      timer: timers.start,
    };
    const plugin: Plugin = createPlugin({ name, version, config: copyOf(program.config) }, bridge);

    const end = async (): Promise<void> => {
      timers.endAll();
      await within(clock, shutdownMs, plugin.shutdown()).catch(failed('shutdown'));
    };

    const fault = (kind: CallFault, message: string): CallAnswer => ({ ok: false, fault: kind, message });

    const answer = async (target: string, input: Json, timeoutMs: number): Promise<CallAnswer> => {
      const handler = plugin.handlerOf(target);
      if (handler === undefined) return fault('no_handler', target);
      try {
        const given = copyOf(input);
        const value = await within(
          clock,
          timeoutMs,
          Promise.resolve().then(() => handler(given)),
        );
        const text = JSON.stringify(value) ?? 'null';
        if (Buffer.byteLength(text) > limits.messageBytes) {
          host.limited('messageBytes', `the answer to ${target}`);
          return fault('too_large', `the answer is larger than ${limits.messageBytes} bytes`);
        }
        const checked = parseJson(JSON.parse(text), maxUnits);
        return checked === undefined
          ? fault('threw', 'the answer is no JSON that the hub takes')
          : { ok: true, value: checked };
      } catch (error) {
        if (!(error instanceof Late)) return fault('threw', textOf(error));
        host.limited('timeoutMs', `${target} took more than ${timeoutMs} ms`);
        return fault('timeout', error.message);
      }
    };

    const guest: Guest = {
      program,
      async call(target, input, timeoutMs) {
        if (stopping !== undefined) return fault('gone', 'the plugin was stopped');
        if (underWay.size >= maxOpenCalls) return fault('overloaded', `${maxOpenCalls} calls are under way`);
        calls += 1;
        const call = answer(target, input, timeoutMs);
        underWay.add(call);
        return call.finally(() => underWay.delete(call));
      },
      metrics: () => ({ heapBytes: 0, cpuMs: 0, calls, wishes, restarts: 0, pid: null }),
      stop(graceMs) {
        stopping ??= (async () => {
          guests.delete(guest);
          await within(clock, graceMs, Promise.all(underWay)).catch(failed('calls were cut off'));
          await end();
        })();
        return stopping;
      },
    };

    try {
      const begin = load(program).then((module) => plugin.initialize(module));
      await within(clock, initializeMs, begin);
    } catch (error) {
      timers.endAll();
      return { ok: false, death: { cause: 'initialize', reason: textOf(error), culprit: true } };
    }
    guests.add(guest);
    host.ready(plugin.registered());
    return { ok: true, guest };
  };

  return {
    start,
    async close() {
      await Promise.all([...guests].map((guest) => guest.stop(closeGraceMs)));
    },
  };
};
