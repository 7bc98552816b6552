import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PartOptions } from '../bus/part.ts';
import { hubFolder } from '../state/ways.ts';
import { openSocketPublisher } from '../support/clients.ts';
import { type BenchHub, startHub } from '../support/hub.ts';
import { latencyOf, print } from '../support/measure.ts';
import { stamping, writePlugin } from './folders.ts';
import { ask, enable } from './hub.ts';

const callsPerSec = 1_000;
const tickMs = 10;
const name = 'stamp';

type Flow = {
  stop(): Promise<{ readonly sent: number; readonly failed: number; readonly latencies: Float64Array }>;
};

/** Publishes `callsPerSec`, whatever becomes of those before. */
const startFlow = async (hub: BenchHub): Promise<Flow> => {
  const publisher = await openSocketPublisher(hub.url, undefined);
  const took: number[] = [];
  const waiting = new Set<Promise<void>>();
  let [sent, failed, running] = [0, 0, true];
  const one = async (): Promise<void> => {
    const started = performance.now();
    try {
      await publisher.publish('bench.stamped', { n: sent });
      took.push(performance.now() - started);
    } catch {
      failed += 1;
    }
  };
  const began = performance.now();
  const flowing = (async () => {
    while (running) {
      const due = ((performance.now() - began) / 1_000) * callsPerSec;
      for (; sent < due; sent++) {
        const call = one();
        waiting.add(call);
        void call.then(() => waiting.delete(call));
      }
      await delay(tickMs);
    }
  })();
  return {
    async stop() {
      running = false;
      await flowing;
      await Promise.all(waiting);
      await publisher.close();
      return { sent, failed, latencies: Float64Array.from(took) };
    },
  };
};

/** How many messages have which stamp. */
const stampsOf = async (hub: BenchHub): Promise<ReadonlyMap<string, number>> => {
  const stamps = new Map<string, number>();
  let after: unknown;
  for (let more: unknown = true; more === true; ) {
    const query = after === undefined ? '' : `&after=${String(after)}`;
    const page = await ask(hub, 'GET', `/events?topic=bench.stamped&limit=1000${query}`);
    for (const { headers } of page.events as { headers?: { stamp?: string } }[]) {
      const stamp = headers?.stamp ?? 'none';
      stamps.set(stamp, (stamps.get(stamp) ?? 0) + 1);
    }
    [after, more] = [page.position, page.more];
  }
  return stamps;
};

/** Reloads under load: what fails, what a half-loaded version got, and a version that throws in half of its calls. */
export const benchReload = async (options: PartOptions): Promise<void> => {
  const reloads = Math.max(2, Math.round(10 * options.scale));
  const directory = join(options.folder, 'reload-plugins');
  writePlugin(directory, stamping(name, '1.0.0'));
  const hub = await startHub({
    folder: hubFolder(options, 'reload'),
    env: { NEXUS_PLUGIN_DIR: directory },
  });
  await enable(hub, name);
  print(`\n${reloads} reloads under ${callsPerSec} hook calls per second`);
  const flow = await startFlow(hub);
  const reloadMs: number[] = [];
  for (let n = 1; n <= reloads; n++) {
    await delay(1_000);
    writePlugin(directory, stamping(name, `1.0.${n}`));
    const started = performance.now();
    await ask(hub, 'POST', `/plugins/${name}/reload`, {});
    reloadMs.push(performance.now() - started);
  }
  await delay(1_000);
  const { sent, failed, latencies } = await flow.stop();
  const { p50Ms, p99Ms } = latencyOf(latencies);
  const stamps = await stampsOf(hub);
  const stampedBy = (fits: (stamp: string) => boolean): number =>
    [...stamps].reduce((sum, [stamp, n]) => (fits(stamp) ? sum + n : sum), 0);
  print(
    `  ${sent} calls, ${failed} failed, ${stampedBy((stamp) => stamp.endsWith('-half'))} went to a version that was not ready, ${stampedBy((stamp) => stamp === 'none')} had no answer in time; ${stamps.size} versions answered`,
  );
  print(
    `  publish p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, slowest ${latencies.at(-1)?.toFixed(1)} ms`,
  );
  print(`  a reload takes ${Math.min(...reloadMs).toFixed(0)} to ${Math.max(...reloadMs).toFixed(0)} ms`);

  const again = await startFlow(hub);
  writePlugin(directory, stamping(name, '2.0.0', "if (calls % 2 === 0) throw new Error('every other');"));
  await ask(hub, 'POST', `/plugins/${name}/reload`, {});
  const began = performance.now();
  for (;;) {
    const { version } = await ask(hub, 'GET', `/plugins/${name}`);
    if (version !== '2.0.0' || performance.now() - began > 65_000) {
      print(
        `  a version that throws in half of its calls: ${String(version)} runs again after ${((performance.now() - began) / 1_000).toFixed(1)} s`,
      );
      break;
    }
    await delay(50);
  }
  const last = await again.stop();
  print(`  ${last.sent} calls meanwhile, ${last.failed} failed`);
  await hub.close();
};
