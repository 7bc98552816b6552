import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseConfig } from '../src/config.ts';
import { openCore } from '../src/core.ts';
import { createLogger } from '../src/logger.ts';
import { stateEvent, streamOf } from './support/events.ts';
import { load, machine, median, print } from './support/measure.ts';

/** Time from the start of the process to its ready line, with a long log: after a clean stop and after kill -9. */
const events = Number(process.argv[2] ?? 1_000_000);
const rounds = 5;
const folder = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), 'nexus-restart-'));
const data = join(folder, 'data');

const fill = async (): Promise<void> => {
  const flags = ['--log', `file:${data}`, '--data-dir', data, '--state-file', 'none'];
  const parsed = parseConfig(flags, {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const core = await openCore(parsed.config, { logger: createLogger('warn') });
  const { log, runner } = core.parts;
  await load(events, 1_000, (index) => log.append(streamOf(index), [stateEvent(index)], 'any'));
  if (!(await runner.reached(await log.position(), 600_000)))
    throw new Error('the read models did not catch up');
  await core.close();
};

const main = join(import.meta.dirname, '../bin/nexus.js');
const flags = [
  'start',
  '--api-host',
  '127.0.0.1',
  '--api-port',
  '0',
  '--log',
  `file:${data}`,
  '--data-dir',
  data,
];

/** Seconds to the ready line; the process is then ended by `signal`. */
const startOnce = async (signal: NodeJS.Signals): Promise<number> => {
  const began = performance.now();
  const child = spawn(process.execPath, [main, ...flags, '--state-file', 'none', '--log-level', 'warn'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NEXUS_ZMQ_PUBLISH: 'none', NEXUS_ZMQ_COMMAND: 'none' },
  });
  await once(createInterface({ input: child.stdout }), 'line');
  const seconds = (performance.now() - began) / 1_000;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
  return seconds;
};

print(`${machine()}; ${events} events, medians of ${rounds} starts`);
try {
  const began = performance.now();
  await fill();
  print(`  filled and folded in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await startOnce(signal));
    // The first start of each row still stands behind the ending before it.
    print(
      `  ready after ${signal}: ${median(times.slice(1)).toFixed(2)} s (greatest ${Math.max(...times).toFixed(2)} s)`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
