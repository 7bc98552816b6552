import type { Parts } from '../core/parts.ts';
import type { Expiry } from '../state/expiry.ts';
import { version } from '../version.ts';
import { busFamilies } from './bus-families.ts';
import { type Family, samplesOf } from './exposition.ts';
import { hostFamilies } from './host-families.ts';
import type { KeyCount } from './key-count.ts';
import type { Meters } from './meters.ts';
import { pluginFamilies } from './plugin-families.ts';
import { registryFamilies } from './registry-families.ts';

export type Measured = {
  readonly parts: Pick<
    Parts,
    'node' | 'log' | 'hub' | 'runner' | 'registry' | 'subscriptions' | 'clock' | 'plugins' | 'hooks'
  >;
  readonly expiry: Expiry;
  readonly keyCount: KeyCount;
  readonly meters: Meters;
};

const logFamilies = ({ parts: { log, node }, meters: { appends } }: Measured): readonly Family[] => [
  {
    name: 'nexus_info',
    help: 'Always 1: the version, the node and the kind of event log of this hub.',
    type: 'gauge',
    labels: ['version', 'node', 'log'],
    samples: () => [{ labels: { version, node, log: log.kind }, value: 1 }],
  },
  {
    name: 'nexus_log_reachable',
    help: 'Whether the event log can be reached: 1 or 0.',
    type: 'gauge',
    samples: () => [{ value: Number(log.reachable) }],
  },
  {
    name: 'nexus_log_durable',
    help: 'Whether every acknowledged append is on disk, as far as this node can know: 1 or 0.',
    type: 'gauge',
    samples: () => [{ value: Number(log.durability.durable) }],
  },
  {
    name: 'nexus_log_append_duration_seconds',
    help: 'Time from handing events to the log until they were durable, of appends that were written.',
    type: 'histogram',
    series: () => [{ of: appends.duration }],
  },
  {
    name: 'nexus_log_append_events',
    help: 'Events of one append that was written.',
    type: 'histogram',
    series: () => [{ of: appends.events }],
  },
  {
    name: 'nexus_log_appends_total',
    help: 'Appends by what came of them: written, duplicate, conflict, or the code of the failure.',
    type: 'counter',
    labels: ['outcome'],
    samples: () => samplesOf('outcome', appends.outcomes),
  },
];

const readModelFamilies = ({ parts: { runner }, expiry, keyCount }: Measured): readonly Family[] => [
  {
    name: 'nexus_read_models_ready',
    help: 'Whether the read models serve: 1, or 0 while they are built for the first time.',
    type: 'gauge',
    samples: () => [{ value: Number(runner.ready) }],
  },
  {
    name: 'nexus_projection_lag_events',
    help: 'Events of the log that a projection has not folded yet.',
    type: 'gauge',
    labels: ['projection'],
    samples: () =>
      runner.progress().map(({ name, lagEvents }) => ({ labels: { projection: name }, value: lagEvents })),
  },
  {
    name: 'nexus_projection_parked_streams',
    help: 'Streams that stand still for a projection, as an event of theirs cannot be read.',
    type: 'gauge',
    samples: () => [{ value: runner.parked().length }],
  },
  {
    name: 'nexus_state_keys',
    help: 'Living state keys; absent until they were counted, which begins with the first scrape.',
    type: 'gauge',
    samples: () => {
      const value = keyCount.now();
      return value === undefined ? [] : [{ value }];
    },
  },
  {
    name: 'nexus_state_expiries_waiting',
    help: 'State keys whose expiry this node holds in memory.',
    type: 'gauge',
    samples: () => [{ value: expiry.held }],
  },
  {
    name: 'nexus_state_expiries_due',
    help: 'State keys whose time has come and that are not expired yet.',
    type: 'gauge',
    samples: () => [{ value: expiry.due }],
  },
];

/** All that a hub tells of itself; what each means to an operator stands in docs/observability.md, which a test holds to this. */
export const familiesOf = (measured: Measured): readonly Family[] => [
  ...hostFamilies(measured.meters),
  ...logFamilies(measured),
  ...readModelFamilies(measured),
  ...busFamilies(measured),
  ...registryFamilies(measured),
  ...pluginFamilies(measured),
];
