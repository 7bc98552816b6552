import { join } from 'node:path';
import type { PartOptions } from '../bus/part.ts';
import { hubFolder } from '../state/ways.ts';
import { openSocketPublisher, type Publisher } from '../support/clients.ts';
import { type BenchHub, startHub } from '../support/hub.ts';
import { inTurns, type Load, latency, load, perSec, print, ratio } from '../support/measure.ts';
import { seeing, writePlugin } from './folders.ts';
import { enable } from './hub.ts';

const inFlights = [1, 64, 256];

type Way = { readonly hub: BenchHub; readonly publisher: Publisher; readonly topic: string };

/** Publishing over a WebSocket: without plugins, beside a plugin that hooks another topic, and through one that hooks this. */
export const benchPublish = async (options: PartOptions): Promise<void> => {
  const { folder, rounds, scale } = options;
  const directory = join(folder, 'publish-plugins');
  writePlugin(directory, seeing('seer', 'bench.hooked'));
  const open = async (name: string): Promise<BenchHub> =>
    startHub({ folder: hubFolder(options, name), env: { NEXUS_PLUGIN_DIR: directory } });
  const plain = await open('publish-plain');
  const hooked = await open('publish-hooked');
  await enable(hooked, 'seer');
  const way = async (hub: BenchHub, topic: string): Promise<Way> => ({
    hub,
    topic,
    publisher: await openSocketPublisher(hub.url, undefined),
  });
  const ways = {
    none: await way(plain, 'bench.other'),
    beside: await way(hooked, 'bench.other'),
    through: await way(hooked, 'bench.hooked'),
  };
  print('\nPublishing, durable, over one WebSocket');
  for (const inFlight of inFlights) {
    const n = Math.round((inFlight === 1 ? 1_000 : 20_000) * scale);
    const run =
      ({ publisher, topic }: Way): (() => Promise<Load>) =>
      () =>
        load(n, inFlight, (index) => publisher.publish(topic, { index }));
    const results = await inTurns(rounds, {
      none: run(ways.none),
      beside: run(ways.beside),
      through: run(ways.through),
    });
    print(`  ${inFlight} in flight, n = ${n} in each round`);
    print(`    no plugin             ${perSec(results.none)}, ${latency(results.none)}`);
    print(
      `    a hook of other topics ${perSec(results.beside)}, ${latency(results.beside)}, ratio ${ratio(results.beside, results.none)}`,
    );
    print(
      `    a hook of this topic  ${perSec(results.through)}, ${latency(results.through)}, ratio ${ratio(results.through, results.none)}`,
    );
  }
  for (const { publisher } of Object.values(ways)) await publisher.close();
  await plain.close();
  await hooked.close();
};
