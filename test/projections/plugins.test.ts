import test from 'ava';
import fc from 'fast-check';
import { pluginDecider } from '../../domain/plugin/decider.ts';
import type { PluginEvent } from '../../domain/plugin/plugin.ts';
import type { PluginDocument } from '../../projections/documents.ts';
import { maxFailures, plugins, restorePlugin } from '../../projections/plugins.ts';
import { historyOf, seeded } from '../support/arbitraries.ts';
import { foldLog } from '../support/fold-log.ts';
import { type By, by, foldAll } from '../support/given.ts';
import { anyPluginEvent } from '../support/plugin-arbitraries.ts';
import { pluginSamples, versionOf } from '../support/plugin-samples.ts';
import { record } from '../support/recorded.ts';

const after = (history: readonly By<PluginEvent>[]) =>
  foldLog(plugins, record('plugin-audit-trail', history)) as PluginDocument | undefined;

const failed = (strikes: number) =>
  by('system', { type: 'PluginFailed', data: { ...pluginSamples.PluginFailed.data, strikes } });

test('restoring a plugin from its document equals folding its events', (t) => {
  const property = fc.property(historyOf(anyPluginEvent), (history) => {
    const document = after(history);
    const restored = document === undefined ? pluginDecider.initial : restorePlugin(document);
    t.deepEqual(restored, foldAll(pluginDecider, history));
    if (document !== undefined) t.is(Number(document.revision), history.length - 1);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('a plugin’s document is bounded, whatever nodes tell', (t) => {
  const property = fc.property(historyOf(anyPluginEvent), (history) => {
    const document = after(history);
    t.true((document?.failures.length ?? 0) <= maxFailures);
    t.true(Object.keys(document?.exceeded ?? {}).length <= 5);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('a plugin’s document tells who changed it last and why, the newest failures, and what was exceeded in all', (t) => {
  const exceeded = by('system', {
    type: 'PluginLimitExceeded',
    data: pluginSamples.PluginLimitExceeded.data,
  });
  const history = [
    by('ann', { type: 'PluginInstalled', data: { ...versionOf('a'), cause: 'enable' } }),
    by('ann', { type: 'PluginEnabled', data: pluginSamples.PluginEnabled.data }),
    ...Array.from({ length: maxFailures + 2 }, (_, strikes) => failed(strikes)),
    exceeded,
    exceeded,
    by('bob', { type: 'PluginDisabled', data: { reason: 'enough' } }),
  ];
  const document = foldLog(plugins, record('plugin-audit-trail', history)) as PluginDocument | undefined;
  t.like(document, {
    name: 'audit-trail',
    enabled: false,
    changedBy: 'bob',
    reason: 'enough',
    installedAt: '2026-01-01T00:00:00.000Z',
    exceeded: { memoryMb: { count: 6, detail: '33 of 32 MB', node: 'n1' } },
  });
  t.is(document?.failures.length, maxFailures);
  t.is(document?.failures.at(-1)?.strikes, maxFailures + 1);
  t.deepEqual(document?.grant?.config, { to: 'x' });
});
