import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PartOptions } from '../bus/part.ts';
import { hubFolder } from '../state/ways.ts';
import { startHub } from '../support/hub.ts';
import { median, print } from '../support/measure.ts';
import { seeing, writePlugin } from './folders.ts';
import { ask, enable } from './hub.ts';

/** Longer than what bundles plugins waits for more to do. */
const settleMs = 15_000;
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

/** The process and all that it has started. */
const treeOf = (pid: number): readonly number[] => {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(treeOf)];
};

/** Bytes of memory that the processes have between them: what several of them share counts once. */
const sharedOnce = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => {
    const kib = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
    return sum + Number(kib ?? 0) * 1_024;
  }, 0);

/** What 1, 25 and 100 plugins take: hub and children together, without what they took before the first. */
export const benchMemory = async (options: PartOptions): Promise<void> => {
  print(
    `\nMemory of plugins (proportional set size of the hub and its children, ${settleMs / 1_000} s after the last was enabled)`,
  );
  const hub = await startHub({
    folder: hubFolder(options, 'memory'),
    env: { NEXUS_PLUGIN_DIR: join(options.folder, 'memory-plugins') },
  });
  await delay(settleMs);
  const before = sharedOnce(treeOf(hub.pid));
  print(`  none: the hub takes ${mib(before)} MiB`);
  let enabled = 0;
  const coldMs: number[] = [];
  for (const count of [1, 25, 100]) {
    for (; enabled < count; enabled++) {
      const name = `p${enabled}`;
      writePlugin(join(options.folder, 'memory-plugins'), seeing(name, `bench.${name}`));
      const started = performance.now();
      await enable(hub, name);
      coldMs.push(performance.now() - started);
    }
    for (let n = 0; n < count; n++) {
      await ask(hub, 'POST', `/events/bench.p${n}`, { payload: n });
    }
    await delay(settleMs);
    const pids = treeOf(hub.pid);
    const after = sharedOnce(pids);
    print(
      `  ${count}: ${mib(after - before)} MiB more, ${mib((after - before) / count)} each, in ${pids.length - 1} processes`,
    );
  }
  print(
    `  enabling one over REST: median ${median(coldMs).toFixed(0)} ms, the first ${coldMs[0]?.toFixed(0)} ms`,
  );
  await hub.close();
};
