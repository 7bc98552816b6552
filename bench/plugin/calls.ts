import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { defaultLimits } from '../../domain/plugin/manifest.ts';
import { createLogger } from '../../src/logger.ts';
import { openSandboxProcess } from '../../src/plugin/sandbox/process/open.ts';
import type { ProcessGuest, SandboxProcess } from '../../src/plugin/sandbox/process.ts';
import type { Program } from '../../src/plugin/sandbox/sandbox.ts';
import type { PartOptions } from '../bus/part.ts';
import { inTurns, load, median, print } from '../support/measure.ts';

const input = { topic: 'bench.hooked', payload: { index: 1 }, priority: 'NORMAL', subject: 'bench' };
const module = `
  let seen = 0;
  export const initialize = ({ hooks }) => { hooks.register('before_publish', () => { seen += 1; return undefined; }); };
`;

const program = (name: string): Program => ({
  name,
  version: '1.0.0',
  code: module,
  config: {},
  limits: { ...defaultLimits, callsPerSec: 100_000 },
  trust: 'normal',
  alone: false,
});

const loaded = async (sandbox: SandboxProcess, name: string): Promise<ProcessGuest> => {
  const done = await sandbox.load(program(name), {
    wish: async () => ({ ok: false, code: 'not_granted', message: '' }),
    log: () => {},
    limited: () => {},
  });
  if (!done.ok) throw new Error(done.death.reason);
  return done.guest;
};

/** Calls of a bare child over Node's channel. */
const bareCalls = (child: ChildProcess): ((index: number) => Promise<unknown>) => {
  const waiting = new Map<number, () => void>();
  let made = 0;
  child.on('message', ({ id }: { readonly id: number }) => {
    waiting.get(id)?.();
    waiting.delete(id);
  });
  return () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    made += 1;
    waiting.set(made, resolve);
    child.send({ id: made, input });
    return promise;
  };
};

const micros = (ms: number): string => `${(ms * 1_000).toFixed(0)} µs`;

/** A hook's round trip to an idle plugin beside a bare child that echoes, and how long a plugin takes to be there. */
export const benchCalls = async ({ rounds, scale }: PartOptions): Promise<void> => {
  const logger = createLogger('warn');
  for (const isolation of ['process', 'bubblewrap'] as const) {
    const began = performance.now();
    const sandbox = await openSandboxProcess({ isolation, jitless: false, logger });
    const first = await loaded(sandbox, 'first');
    const firstMs = performance.now() - began;
    const coldMs: number[] = [];
    for (let n = 0; n < 20; n++) {
      const started = performance.now();
      await loaded(sandbox, `more-${n}`);
      coldMs.push(performance.now() - started);
    }
    print(
      `\nIsolation ${isolation}: the first plugin with its process ${firstMs.toFixed(0)} ms, one more in it ${median(coldMs).toFixed(1)} ms (median of ${coldMs.length})`,
    );
    const child = fork(join(import.meta.dirname, 'bare-child.ts'), { serialization: 'json' });
    await once(child, 'message');
    const bare = bareCalls(child);
    const call = () => first.call('hook:before_publish', input, 5_000);
    for (const inFlight of [1, 100]) {
      const n = Math.round((inFlight === 1 ? 3_000 : 50_000) * scale);
      const results = await inTurns(rounds, {
        plugin: () => load(n, inFlight, call),
        bare: () => load(n, inFlight, bare),
      });
      const { plugin, bare: echo } = results;
      print(
        `  ${inFlight} at once, n = ${n} in each round: p50 ${micros(plugin.p50Ms)}, p99 ${micros(plugin.p99Ms)}, ${micros(1_000 / plugin.perSec)} a call; a bare child that echoes: p50 ${micros(echo.p50Ms)}, ${micros(1_000 / echo.perSec)} a call`,
      );
    }
    child.kill();
    await sandbox.close(1_000);
  }
};
