import { type StreamId, streamId } from '../../domain/event.ts';
import { pinOf } from '../../domain/plugin/decider.ts';
import type { PluginCommand, PluginRejection, PluginVersion } from '../../domain/plugin/plugin.ts';
import type { Command, CommandData } from '../command/catalog.ts';
import type { Handler } from '../command/handle.ts';
import { fault, ok, type Problem, problem, type Result, within } from '../errors.ts';
import { given } from '../given.ts';
import type { Offer } from '../plugin/runtime.ts';
import { type Call, type Done, notShown, optionsOf, ownReadModelsMs } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';
import { pluginViewOf } from './plugin-view.ts';
import { mismatchOf, refusalOf, writtenBy } from './refusals.ts';

type PluginInput = Extract<Command, { readonly type: 'EnablePlugin' | 'DisablePlugin' | 'ReloadPlugin' }>;

const versionOf = ({ manifest, hash }: Offer): PluginVersion => {
  const { version, permissions, limits } = manifest;
  return { version, hash, permissions, limits };
};

const rejected = (plugin: string, reason: string, facts: Record<string, unknown> = {}): Problem =>
  problem('plugin_rejected', `${plugin} ${reason}`, { plugin, reason, ...facts });

const explainPlugin =
  (plugin: string) =>
  (rejection: PluginRejection): Problem => {
    switch (rejection.code) {
      case 'not_found':
        return problem('not_found', `no plugin ${plugin} was ever enabled`, { plugin });
      case 'not_enabled':
        return rejected(plugin, 'is not enabled');
      case 'other_hash':
        return rejected(plugin, 'has another content than the one that is asked for', given(rejection));
      case 'pinned':
        return rejected(plugin, 'has another content than the one that its grant names', given(rejection));
      case 'rolled_back':
        return rejected(plugin, 'has the content that was rolled back: name its hash to take it', {
          hash: rejection.hash,
        });
    }
  };

/** Runs work of one plugin one behind the other. */
const createTurns = () => {
  const last = new Map<string, Promise<unknown>>();
  return async <Value>(name: string, work: () => Promise<Value>): Promise<Value> => {
    const before = last.get(name);
    const own = before === undefined ? work() : before.then(work, work);
    last.set(name, own);
    try {
      return await own;
    } finally {
      if (last.get(name) === own) last.delete(name);
    }
  };
};

/** The commands on plugins: each answers with the plugin as this node has it once it has done what was written. */
export const createPluginCommands = (parts: Parts, handler: Handler, deciders: Pick<Deciders, 'plugin'>) => {
  const { log, runner, plugins } = parts;
  const inTurn = createTurns();

  /** What the folder holds; a fault of its manifest is none of the command's input. */
  const offerOf = async (name: string): Promise<Result<Offer>> => {
    const offer = await plugins.offer(name);
    return offer.ok || offer.problem.code !== 'invalid'
      ? offer
      : fault(rejected(name, `cannot be read: ${offer.problem.detail}`, { ...offer.problem.facts }));
  };

  const handle = async (stream: StreamId, name: string, command: PluginCommand, call: Call) => {
    const outcome = await handler.handle(deciders.plugin, stream, command, optionsOf(call, stream));
    if (outcome.outcome === 'repeated') {
      const wrong = mismatchOf(outcome.recorded[0], call.metadata);
      if (wrong !== undefined) return wrong;
    } else if (outcome.outcome !== 'done' && outcome.outcome !== 'unchanged') {
      return refusalOf(outcome, stream, explainPlugin(name));
    }
    return ok(writtenBy(stream, outcome));
  };
  type Written = Awaited<ReturnType<typeof handle>>;

  const enable = async (
    { name, permissions, limits, config, hash }: CommandData<'EnablePlugin'>,
    stream: StreamId,
    call: Call,
  ): Promise<Written> => {
    const offered = await offerOf(name);
    if (!offered.ok) return offered;
    const { state } = await handler.newest(deciders.plugin, stream);
    const admitted = await plugins.admit(name, {
      hash: pinOf(hash, state),
      config: config ?? state.grant?.config ?? {},
    });
    if (!admitted.ok) return fault(within('/config', admitted.problem));
    const command: PluginCommand = {
      type: 'EnablePlugin',
      offered: versionOf(admitted.value),
      ...given({ permissions, limits: limits && given(limits), config, hash }),
    };
    return handle(stream, name, command, call);
  };

  const disable = (
    { name, reason }: CommandData<'DisablePlugin'>,
    stream: StreamId,
    call: Call,
  ): Promise<Written> | Written => {
    const dependents = plugins.dependants(name);
    if (dependents.length > 0) {
      const detail = `${dependents.join(', ')} ${dependents.length === 1 ? 'depends' : 'depend'} on ${name}`;
      return fault(problem('plugin_in_use', detail, { plugin: name, dependents }));
    }
    const why = reason ?? `by ${call.context.subject.id}`;
    return handle(stream, name, { type: 'DisablePlugin', reason: why }, call);
  };

  const reload = async (
    { name, hash }: CommandData<'ReloadPlugin'>,
    stream: StreamId,
    call: Call,
  ): Promise<Written> => {
    const offered = await offerOf(name);
    if (!offered.ok) return offered;
    const { state } = await handler.newest(deciders.plugin, stream);
    const command = (offer: Offer) =>
      ({ type: 'ReloadPlugin', offered: versionOf(offer), hash: hash ?? null }) as const;
    // What is refused anyway is not started to find that out.
    const expected = deciders.plugin.decider.decide(command(offered.value), state);
    if (!expected.ok) return fault(explainPlugin(name)(expected.rejection));
    const prepared = await plugins.prepare(name);
    if (!prepared.ok) return prepared;
    const { offer, commit, discard } = prepared.value;
    let written: Written | undefined;
    try {
      written = await handle(stream, name, command(offer), call);
    } finally {
      // Also when the log failed to take it: what was not acknowledged is not called.
      await (written?.ok === true && !written.value.duplicate ? commit() : discard());
    }
    return written;
  };

  const write = async (input: PluginInput, stream: StreamId, call: Call): Promise<Written> => {
    const recorded = await handler.recorded(optionsOf(call, stream), stream);
    if (recorded !== undefined) {
      return (
        mismatchOf(recorded[0], call.metadata) ?? ok(writtenBy(stream, { outcome: 'repeated', recorded }))
      );
    }
    switch (input.type) {
      case 'EnablePlugin':
        return enable(input.data, stream, call);
      case 'DisablePlugin':
        return disable(input.data, stream, call);
      case 'ReloadPlugin':
        return reload(input.data, stream, call);
    }
  };

  return async (input: PluginInput, call: Call): Promise<Result<Done>> => {
    const { name } = input.data;
    const stream = streamId('plugin', name);
    const written = await inTurn(name, () => write(input, stream, call));
    if (!written.ok) return written;
    const { events, duplicate } = written.value;
    const position = events.at(-1)?.position ?? (await log.position());
    if (!(await runner.reached(position, ownReadModelsMs))) return notShown(position);
    await plugins.settled(name, position);
    const view = await pluginViewOf(parts, name);
    return view.ok
      ? ok({ events, position, result: { ...view.value, position }, created: false, duplicate })
      : view;
  };
};
