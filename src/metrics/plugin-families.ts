import type { PluginDocument } from '../../projections/documents.ts';
import { plugins as model } from '../../projections/plugins.ts';
import type { PluginMetrics } from '../nexus-plugins.ts';
import type { Family, Sample } from './exposition.ts';
import type { Measured } from './families.ts';

type Told = { readonly name: string; readonly metrics: PluginMetrics };

/** Plugins, as this node runs them. */
export const pluginFamilies = ({ parts, meters }: Measured): readonly Family[] => {
  const { plugins, runner, hooks } = parts;

  function* enabled(): Iterable<string> {
    for (const [name, document] of runner.store.range<PluginDocument>(model.name))
      if (document.enabled) yield name;
  }
  function* told(): Iterable<Told> {
    for (const name of enabled()) {
      const metrics = plugins.facts(name)?.metrics;
      if (metrics !== undefined) yield { name, metrics };
    }
  }
  function* each(value: (metrics: PluginMetrics) => number): Iterable<Sample> {
    for (const { name, metrics } of told()) yield { labels: { plugin: name }, value: value(metrics) };
  }
  function* by(
    label: string,
    counts: (metrics: PluginMetrics) => Readonly<Record<string, number>>,
  ): Iterable<Sample> {
    for (const { name, metrics } of told())
      for (const [key, value] of Object.entries(counts(metrics)))
        yield { labels: { plugin: name, [label]: key }, value };
  }
  function* statuses(): Iterable<Sample> {
    const counts = new Map<string, number>();
    for (const name of enabled()) {
      const status = plugins.facts(name)?.status ?? 'missing';
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    for (const [status, value] of counts) yield { labels: { status }, value };
  }
  function* unanswered(): Iterable<Sample> {
    for (const { plugin, hook, skipped, failed, dropped } of hooks.counts())
      for (const [outcome, value] of Object.entries({ skipped, refused: failed, dropped }))
        yield { labels: { plugin, hook, outcome }, value };
  }

  return [
    {
      name: 'nexus_plugins',
      help: 'Enabled plugins by what this node makes of them.',
      type: 'gauge',
      labels: ['status'],
      samples: statuses,
    },
    {
      name: 'nexus_plugin_processes',
      help: 'Processes that plugins run in.',
      type: 'gauge',
      samples: () => [{ value: plugins.processes() }],
    },
    {
      name: 'nexus_plugin_calls_total',
      help: 'Calls of a plugin since it was started.',
      type: 'counter',
      labels: ['plugin'],
      samples: () => each(({ calls }) => calls),
    },
    {
      name: 'nexus_plugin_call_failures_total',
      help: 'Calls of a plugin without an answer of use, by fault.',
      type: 'counter',
      labels: ['plugin', 'fault'],
      samples: () => by('fault', ({ failures }) => failures),
    },
    {
      name: 'nexus_plugin_call_duration_seconds',
      help: 'Time from handing a call to a plugin until its answer.',
      type: 'histogram',
      labels: ['plugin'],
      *series() {
        for (const [plugin, of] of meters.plugins.durations) yield { labels: { plugin }, of };
      },
    },
    {
      name: 'nexus_plugin_wishes_total',
      help: 'What a plugin asked of the hub.',
      type: 'counter',
      labels: ['plugin'],
      samples: () => each(({ wishes }) => wishes),
    },
    {
      name: 'nexus_plugin_refused_total',
      help: 'What a plugin asked for and was not granted.',
      type: 'counter',
      labels: ['plugin', 'operation'],
      samples: () => by('operation', ({ refused }) => refused),
    },
    {
      name: 'nexus_plugin_limited_total',
      help: 'How often a plugin met a limit, counted once a second at most.',
      type: 'counter',
      labels: ['plugin', 'limit'],
      samples: () => by('limit', ({ limited }) => limited),
    },
    {
      name: 'nexus_plugin_restarts_total',
      help: 'Starts of a plugin after a death of it, or of a neighbour in its process.',
      type: 'counter',
      labels: ['plugin'],
      samples: () => each(({ restarts }) => restarts),
    },
    {
      name: 'nexus_plugin_heap_bytes',
      help: 'Heap of a plugin.',
      type: 'gauge',
      labels: ['plugin'],
      samples: () => each(({ heapBytes }) => heapBytes),
    },
    {
      name: 'nexus_plugin_cpu_seconds_total',
      help: 'Processor time of a plugin.',
      type: 'counter',
      labels: ['plugin'],
      samples: () => each(({ cpuMs }) => cpuMs / 1_000),
    },
    {
      name: 'nexus_plugin_hooks_unanswered_total',
      help: 'Questions of hooks, and events, that a plugin gave no answer of use to, by what became of them.',
      type: 'counter',
      labels: ['plugin', 'hook', 'outcome'],
      samples: unanswered,
    },
  ];
};
