import { mkdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { startHubProcess } from '../../support/hub-process.ts';
import { type Host, openArena } from './arena.ts';
import { kinds } from './cases.ts';
import { judge } from './judge.ts';
import { type Measured, openMeter } from './measured.ts';
import type { Ground } from './offer.ts';

/**
 * Each hostile plugin by itself, `NEXUS_ROUNDS` times (3), against the real program, whose health another process asks for each
 * 10 ms. Prints tables for docs/figures.md; arguments name kinds or plugins. Ends with 1 if anything came of any of them.
 */

const rounds = Number(process.env.NEXUS_ROUNDS ?? 3);
const wanted = process.argv.slice(2);

const startHub = async ({ pluginDir }: Ground): Promise<Host> => {
  const unlimited = '100000000';
  const folder = join(dirname(pluginDir), 'hub');
  await mkdir(folder);
  const hub = await startHubProcess(folder, [], {
    NEXUS_PLUGIN_DIR: pluginDir,
    NEXUS_PLUGIN_TRUST: 'far=low',
    NEXUS_RATE_LIMIT_READ_MAX: unlimited,
    NEXUS_RATE_LIMIT_WRITE_MAX: unlimited,
    CANARY: process.env.CANARY ?? '',
  });
  return {
    url: hub.url,
    pid: hub.pid,
    logged: () =>
      hub
        .stderr()
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>),
    close: () => hub.kill('SIGTERM'),
  };
};

const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};
const shown = (value: number): string =>
  Number.isNaN(value) ? '' : value >= 100 ? value.toFixed(0) : value.toFixed(1);

const line = (name: string, all: readonly Measured[]): string => {
  const health = all.flatMap(({ healthMs }) => healthMs);
  const back = all.flatMap(({ backMs }) => backMs);
  return `| ${[
    name,
    health.length,
    ...[0.5, 0.99, 1].map((share) => shown(quantile(health, share))),
    all.reduce((sum, { unhealthy }) => sum + unhealthy, 0),
    back.length,
    shown(quantile(back, 0.5)),
    shown(quantile(back, 1)),
    shown(Math.max(...all.map(({ hubMb }) => hubMb))),
    shown(Math.max(...all.map(({ childMb }) => childMb))),
  ].join(' | ')} |`;
};

const arena = await openArena(startHub);
const meter = await openMeter(arena);
const measured: { readonly kind: string; readonly facts: Measured }[] = [];
const wrong: string[] = [];
const attackers = Object.entries(kinds).flatMap(([kind, plugins]) =>
  plugins
    .filter(({ name }) => wanted.length === 0 || wanted.includes(kind) || wanted.includes(name))
    .map((plugin) => ({ kind, plugin })),
);
for (let round = 0; round < rounds; round++) {
  for (const { kind, plugin } of attackers) {
    const facts = await meter.measure(plugin.name, async () => {
      const happened = await arena.attack(plugin);
      const found = [...judge(plugin, happened), ...(await arena.harm())];
      for (const one of found) {
        wrong.push(`${plugin.name}: ${one}`);
        process.stderr.write(`${plugin.name}: ${one}\n`);
      }
    });
    measured.push({ kind, facts });
    process.stderr.write(`${round + 1} ${line(plugin.name, [facts])}\n`);
  }
}
wrong.push(...(await arena.traces(attackers.map(({ plugin }) => plugin))));
meter.close();
await arena.close();

const head = `| | health asked | p50 ms | p99 ms | slowest ms | not answered | processes ended | siblings back, median ms | worst ms | hub MB | process MB |
|---|---|---|---|---|---|---|---|---|---|---|`;
const ofKind = (kind: string): readonly Measured[] =>
  measured.filter((one) => one.kind === kind).map(({ facts }) => facts);
const ofName = (name: string): readonly Measured[] =>
  measured.filter(({ facts }) => facts.name === name).map(({ facts }) => facts);
const out = [
  `${attackers.length} plugins, ${rounds} times each; ${cpus().length} × ${cpus()[0]?.model ?? ''}, Node ${process.version}`,
  head,
  ...[...new Set(measured.map(({ kind }) => kind))].map((kind) => line(kind, ofKind(kind))),
  line(
    'all',
    measured.map(({ facts }) => facts),
  ),
  '',
  head,
  ...attackers.map(({ plugin }) => line(plugin.name, ofName(plugin.name))),
  '',
  wrong.length === 0 ? 'nothing came of any of them' : `${wrong.length} faults:\n${wrong.join('\n')}`,
];
process.stdout.write(`${out.join('\n')}\n`);
process.exitCode = wrong.length === 0 ? 0 : 1;
