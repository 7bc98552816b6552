import { type RecordedEvent, streamKey } from '../domain/event.ts';
import { pluginDecider } from '../domain/plugin/decider.ts';
import type { PluginEvent, PluginState } from '../domain/plugin/plugin.ts';
import type { PluginDocument } from './documents.ts';
import type { Projection } from './projection.ts';

/** The newest failures of a plugin that its document tells. */
export const maxFailures = 10;

/** The decider's state as of `document.revision`, so that a command need not fold the stream. */
export const restorePlugin = ({
  enabled,
  grant,
  installed,
  before,
  rolledBack,
}: PluginDocument): PluginState => ({ enabled, grant, installed, before, rolledBack });

/** The document with what the decider makes of the event; of a stream whose beginning is gone too. */
const folded = (
  document: PluginDocument | undefined,
  event: RecordedEvent<PluginEvent>,
  name: string,
): PluginDocument => {
  const { revision, position, metadata } = event;
  const { recordedAt, actor } = metadata;
  const state = document === undefined ? pluginDecider.initial : restorePlugin(document);
  const first = { changedAt: recordedAt, changedBy: actor, reason: null, installedAt: recordedAt };
  return {
    name,
    ...(document ?? { ...first, failures: [], exceeded: {} }),
    ...pluginDecider.evolve(state, event, { revision, actor }),
    revision,
    position,
  };
};

/** Which plugins are to run, with what grants, and what nodes told of them. One document per plugin. */
export const plugins: Projection<PluginDocument, PluginEvent> = {
  name: 'plugins',
  version: 1,
  category: 'plugin',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    PluginInstalled: (document, event, name) => ({
      ...folded(document, event, name),
      installedAt: event.metadata.recordedAt,
    }),
    PluginEnabled: (document, event, name) => ({
      ...folded(document, event, name),
      changedAt: event.metadata.recordedAt,
      changedBy: event.metadata.actor,
      reason: null,
    }),
    PluginDisabled: (document, event, name) => ({
      ...folded(document, event, name),
      changedAt: event.metadata.recordedAt,
      changedBy: event.metadata.actor,
      reason: event.data.reason,
    }),
    PluginFailed: (document, event, name) => {
      const next = folded(document, event, name);
      const failure = { at: event.metadata.recordedAt, ...event.data };
      return { ...next, failures: [...next.failures, failure].slice(-maxFailures) };
    },
    PluginLimitExceeded: (document, event, name) => {
      const next = folded(document, event, name);
      const { limit, count, ...told } = event.data;
      const before = next.exceeded[limit]?.count ?? 0;
      const excess = { ...told, at: event.metadata.recordedAt, count: before + count };
      return { ...next, exceeded: { ...next.exceeded, [limit]: excess } };
    },
  },
};
