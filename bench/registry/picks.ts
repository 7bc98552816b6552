import { strategies } from '../../domain/service/policy.ts';
import { systemClock } from '../../src/clock.ts';
import { type Balancer, createBalancer } from '../../src/registry/balance/balancer.ts';
import { createInstance, type Instance } from '../../src/registry/instance.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { createSchedule } from '../../src/registry/schedule.ts';
import { createTargets } from '../../src/registry/target/targets.ts';
import type { PartOptions } from '../bus/part.ts';
import { median, print } from '../support/measure.ts';
import { benchService } from './service.ts';
import { seededRandom } from './simulation.ts';

const sizes = [10, 1_000, 100_000];
const keys = Array.from({ length: 4_096 }, (_, index) => `customer-${index}`);
const none: ReadonlySet<Instance> = new Set();

const balancerOf = (size: number): Balancer => {
  const schedule = createSchedule(systemClock);
  const balancer = createBalancer({
    clock: { now: () => performance.now(), after: systemClock.after },
    timeOfDay: Date.now,
    schedule,
    random: seededRandom(1),
    onCircuit: () => {},
  });
  for (let index = 0; index < size; index++)
    balancer.put(createInstance(benchService(`i${index}`, { weight: 1 + (index % 3) })));
  return balancer;
};

/** Per second, and per second that the thread had a processor: the machine may have had other work. */
type Rate = { readonly perSec: number; readonly perOwnSec: number };

const rateOf = (count: number, pick: (index: number) => void): Rate => {
  const ownBefore = process.threadCpuUsage();
  const started = performance.now();
  for (let index = 0; index < count; index++) pick(index);
  const seconds = (performance.now() - started) / 1_000;
  const own = process.threadCpuUsage(ownBefore);
  return { perSec: count / seconds, perOwnSec: (count * 1e6) / (own.user + own.system) };
};

type Node = { readonly next: { readonly next: { value: number } } };

/** What this machine needs to reach as many objects at random, through two others each: no pick can do with less. */
const walk = (size: number): ((index: number) => void) => {
  const nodes: Node[] = Array.from({ length: size }, (_, value) => ({ next: { next: { value } } }));
  const random = seededRandom(2);
  return () => {
    const node = nodes[Math.floor(random() * size)];
    if (node !== undefined) node.next.next.value++;
  };
};

const millions = (value: number): string => `${(value / 1e6).toFixed(2)} M/s`;

const benchRegistering = (rounds: number, scale: number): void => {
  const size = Math.round(100_000 * scale);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const registry = openRegistry({
      logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      targets: createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }),
      changeStatus: async () => {},
      deregister: async () => {},
    });
    const documents = Array.from({ length: size }, (_, index) => benchService(`i${index}`));
    const started = performance.now();
    for (const document of documents) registry.put(document);
    times.push(performance.now() - started);
    void registry.close();
  }
  const ms = median(times);
  print(`  registering ${size} in memory: ${ms.toFixed(0)} ms, ${millions((size * 1_000) / ms)}`);
};

/** Picks among few and many instances under each strategy, and how fast instances come in. */
export const benchPicks = async ({ rounds, scale, ways }: PartOptions): Promise<void> => {
  const count = Math.round(1_000_000 * scale);
  print(`\nPicks, each with the end of its call, ${count} per round; in brackets per second of processor`);
  const balancers = sizes.map(balancerOf);
  const walks = sizes.map(walk);
  const wanted = strategies.filter((strategy) => ways === undefined || ways.includes(strategy));
  const rates = new Map<string, Rate[]>();
  const note = (name: string, rate: Rate): void => {
    rates.set(name, [...(rates.get(name) ?? []), rate]);
  };
  // The first round warms up: code is compiled, rings and trees are built, every instance is touched.
  for (let round = 0; round <= rounds; round++)
    for (const [at, size] of sizes.entries()) {
      for (const strategy of wanted) {
        const isKeyed = strategy === 'consistent-hash' || strategy === 'sticky';
        const rate = rateOf(count, (index) => {
          const key = isKeyed ? keys[index % keys.length] : undefined;
          balancers[at]?.pick({ service: 'svc', strategy, key, tried: none })?.settle('answered');
        });
        if (round > 0) note(`${strategy} ${size}`, rate);
      }
      const rate = rateOf(count, walks[at] ?? (() => {}));
      if (round > 0) note(`walk ${size}`, rate);
    }
  const at = (name: string): string => {
    const noted = rates.get(name) ?? [];
    const wall = median(noted.map(({ perSec }) => perSec));
    return `${millions(wall)} (${millions(median(noted.map(({ perOwnSec }) => perOwnSec)))})`;
  };
  const row = (name: string): string =>
    sizes.map((size) => `${at(`${name} ${size}`)} among ${size}`).join(', ');
  for (const strategy of wanted) print(`  ${strategy.padEnd(16)} ${row(strategy)}`);
  print(`  ${'one of as many objects at random, for comparison'.padEnd(16)}: ${row('walk')}`);
  benchRegistering(rounds, scale);
};
