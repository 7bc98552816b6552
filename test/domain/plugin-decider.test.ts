import test from 'ava';
import fc from 'fast-check';
import { pluginDecider } from '../../domain/plugin/decider.ts';
import { defaultLimits, noPermissions } from '../../domain/plugin/manifest.ts';
import type {
  InstallCause,
  PluginCommand,
  PluginEvent,
  PluginGrant,
  PluginRecord,
} from '../../domain/plugin/plugin.ts';
import { historyOf, seeded } from '../support/arbitraries.ts';
import { by, foldAll, given } from '../support/given.ts';
import { anyPluginCommand, anyPluginEvent } from '../support/plugin-arbitraries.ts';
import { hashOf, somePermissions, versionOf } from '../support/plugin-samples.ts';

const enable = (letter: string, more: object = {}): PluginCommand => ({
  type: 'EnablePlugin',
  offered: versionOf(letter),
  ...more,
});
const reload = (letter: string, hash: string | null = null): PluginCommand => ({
  type: 'ReloadPlugin',
  offered: versionOf(letter),
  hash,
});
const disable: PluginCommand = { type: 'DisablePlugin', reason: 'by ann' };
const record = (event: PluginRecord): PluginCommand => ({ type: 'RecordPlugin', event });

const wasInstalled = (letter: string, cause: InstallCause = 'enable') => ({
  type: 'PluginInstalled' as const,
  data: { ...versionOf(letter), cause },
});
const wasEnabled = (grant: Partial<PluginGrant> = {}): PluginEvent => ({
  type: 'PluginEnabled',
  data: { permissions: somePermissions, limits: defaultLimits, config: {}, hash: null, ...grant },
});
const wasDisabled = { type: 'PluginDisabled' as const, data: { reason: 'three strikes' } };
const failed = {
  type: 'PluginFailed' as const,
  data: { reason: 'it looped', cause: 'cpu' as const, version: '1.0.0', node: 'n1', strikes: 1 },
};

const running = [by('ann', wasInstalled('a')), by('ann', wasEnabled())];
const reloaded = [...running, by('ann', wasInstalled('b', 'reload'))];
const rolledBack = [...reloaded, by('system', wasInstalled('a', 'rollback'))];

test('EnablePlugin › of a plugin that is new installs what the folder holds, and grants what its manifest asks for', (t) => {
  given(t, pluginDecider).when(enable('a')).thenEvents(wasInstalled('a'), wasEnabled());
});

test('EnablePlugin › grants what it says, and what it leaves out of the limits is what the manifest asks for', (t) => {
  given(t, pluginDecider)
    .when(enable('a', { permissions: noPermissions, limits: { memoryMb: 8 }, config: { to: 1 } }))
    .thenEvents(
      wasInstalled('a'),
      wasEnabled({
        permissions: noPermissions,
        limits: { ...defaultLimits, memoryMb: 8 },
        config: { to: 1 },
      }),
    );
});

test('EnablePlugin › with the same content and grant changes nothing, with another grant only that', (t) => {
  given(t, pluginDecider, ...running)
    .when(enable('a'))
    .thenEvents();
  given(t, pluginDecider, ...running)
    .when(enable('a', { config: { to: 2 } }))
    .thenEvents(wasEnabled({ config: { to: 2 } }));
});

test('EnablePlugin › keeps what it leaves out as it was, also behind a disable, unless what is asked for is granted', (t) => {
  const config = { to: 'x', deep: [1, { a: null }] };
  const had = {
    permissions: noPermissions,
    limits: { ...defaultLimits, memoryMb: 9 },
    config,
    hash: hashOf('a'),
  };
  const before = [by('ann', wasInstalled('a')), by('ann', wasEnabled(had)), by('ann', wasDisabled)];
  given(t, pluginDecider, ...before)
    .when(enable('a'))
    .thenEvents(wasEnabled(had));
  given(t, pluginDecider, ...before)
    .when(enable('a', { limits: { cpuMsPerCall: 7 }, hash: null }))
    .thenEvents(wasEnabled({ ...had, limits: { ...had.limits, cpuMsPerCall: 7 }, hash: null }));
  given(t, pluginDecider, ...before)
    .when(enable('a', { permissions: 'requested' }))
    .thenEvents(wasEnabled({ config, hash: hashOf('a') }));
  given(t, pluginDecider, ...before)
    .when(enable('b'))
    .thenRejected({ code: 'other_hash', expected: hashOf('a'), offered: hashOf('b') });
});

test('EnablePlugin › of another content than the one that runs installs it, and grants only what is news', (t) => {
  given(t, pluginDecider, ...running)
    .when(enable('b'))
    .thenEvents(wasInstalled('b'));
});

test('a command that names a content is refused when the folder has another', (t) => {
  const rejection = { code: 'other_hash', expected: hashOf('z'), offered: hashOf('b') } as const;
  given(t, pluginDecider)
    .when(enable('b', { hash: hashOf('z') }))
    .thenRejected(rejection);
  given(t, pluginDecider, ...running)
    .when(reload('b', hashOf('z')))
    .thenRejected(rejection);
});

test('DisablePlugin › of an enabled plugin is recorded once; of one that nobody ever enabled it is refused', (t) => {
  given(t, pluginDecider, ...running)
    .when(disable)
    .thenEvents({ type: 'PluginDisabled', data: { reason: 'by ann' } });
  given(t, pluginDecider, ...running, by('ann', wasDisabled))
    .when(disable)
    .thenEvents();
  given(t, pluginDecider).when(disable).thenRejected({ code: 'not_found' });
});

test('ReloadPlugin › is recorded for the same content too, as it starts the plugin again', (t) => {
  given(t, pluginDecider, ...running)
    .when(reload('a'))
    .thenEvents(wasInstalled('a', 'reload'));
  given(t, pluginDecider, ...running)
    .when(reload('b', hashOf('b')))
    .thenEvents(wasInstalled('b', 'reload'));
});

test('ReloadPlugin › is for plugins that are enabled', (t) => {
  given(t, pluginDecider).when(reload('a')).thenRejected({ code: 'not_found' });
  given(t, pluginDecider, ...running, by('ann', wasDisabled))
    .when(reload('a'))
    .thenRejected({ code: 'not_enabled' });
});

test('ReloadPlugin › cannot take another content than the grant names', (t) => {
  const pinned = [by('ann', wasInstalled('a')), by('ann', wasEnabled({ hash: hashOf('a') }))];
  given(t, pluginDecider, ...pinned)
    .when(reload('b', hashOf('b')))
    .thenRejected({ code: 'pinned', expected: hashOf('a'), offered: hashOf('b') });
  given(t, pluginDecider, ...pinned)
    .when(reload('a'))
    .thenEvents(wasInstalled('a', 'reload'));
});

test('what was rolled back is taken again only by its name', (t) => {
  const rejection = { code: 'rolled_back', hash: hashOf('b') } as const;
  given(t, pluginDecider, ...rolledBack)
    .when(reload('b'))
    .thenRejected(rejection);
  given(t, pluginDecider, ...rolledBack)
    .when(enable('b'))
    .thenRejected(rejection);
  given(t, pluginDecider, ...rolledBack)
    .when(reload('b', hashOf('b')))
    .thenEvents(wasInstalled('b', 'reload'));
  given(t, pluginDecider, ...rolledBack)
    .when(reload('c'))
    .thenEvents(wasInstalled('c', 'reload'));
});

test('a rollback › is recorded when it leads from the newest version to the one before', (t) => {
  const back = wasInstalled('a', 'rollback');
  given(t, pluginDecider, ...reloaded)
    .when(record(back))
    .thenEvents(back);
});

test('a rollback › is no news from the second node, and none once an operator has installed another version', (t) => {
  const back = record(wasInstalled('a', 'rollback'));
  given(t, pluginDecider, ...rolledBack)
    .when(back)
    .thenEvents();
  given(t, pluginDecider, ...reloaded, by('ann', wasInstalled('c', 'reload')))
    .when(back)
    .thenEvents();
  given(t, pluginDecider, ...reloaded, by('ann', wasDisabled))
    .when(back)
    .thenEvents();
});

test('a rollback › has nothing before it to go back to', (t) => {
  given(t, pluginDecider, ...rolledBack)
    .when(record(wasInstalled('b', 'rollback')))
    .thenEvents();
});

test('the version before is still known when the newest one was reloaded once more', (t) => {
  given(t, pluginDecider, ...reloaded, by('ann', wasInstalled('b', 'reload')))
    .when(record(wasInstalled('a', 'rollback')))
    .thenEvents(wasInstalled('a', 'rollback'));
});

test('what nodes tell › a disable is recorded once, a failure each time, and nothing of a plugin that nobody enabled', (t) => {
  given(t, pluginDecider, ...running)
    .when(record(wasDisabled))
    .thenEvents(wasDisabled);
  given(t, pluginDecider, ...running, by('ann', wasDisabled))
    .when(record(wasDisabled))
    .thenEvents();
  given(t, pluginDecider, ...running, by('system', failed))
    .when(record(failed))
    .thenEvents(failed);
  given(t, pluginDecider).when(record(failed)).thenEvents();
  given(t, pluginDecider, by('ann', wasInstalled('a')))
    .when(record(wasDisabled))
    .thenEvents();
});

test('plugin › what was enabled, and is enabled so again, changes nothing', (t) => {
  const property = fc.property(historyOf(anyPluginEvent), anyPluginCommand, (history, command) => {
    if (command.type !== 'EnablePlugin') return;
    const decision = pluginDecider.decide(command, foldAll(pluginDecider, history));
    if (!decision.ok) return;
    const after = [...history, ...decision.events.map((event) => by('ann', event))];
    t.deepEqual(pluginDecider.decide(command, foldAll(pluginDecider, after)), { ok: true, events: [] });
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('plugin › only an operator enables: whatever nodes tell, one that is disabled stays so', (t) => {
  const property = fc.property(historyOf(anyPluginEvent), anyPluginCommand, (history, command) => {
    const state = foldAll(pluginDecider, history);
    if (command.type !== 'RecordPlugin' || state.enabled) return;
    const decision = pluginDecider.decide(command, state);
    const after = decision.ok ? decision.events.map((event) => by('system', event)) : [];
    const next = foldAll(pluginDecider, [...history, ...after]);
    t.deepEqual([next.enabled, next.grant, next.installed], [false, state.grant, state.installed]);
  });
  t.notThrows(() => fc.assert(property, seeded));
});
