import { type HookName, hookNames } from '../../../domain/plugin/manifest.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { boundedDetails, plainText, readAnswer } from './answers.ts';
import { type Called, createCalls, tooMany } from './calls.ts';
import { createHookCounts } from './counts.ts';
import { createFlights, maxHops, pluginOf } from './flights.ts';
import type { Filled, FilledHooks, HookEntry, HookRegistry, Hooks, Question } from './hooks.ts';
import { compileMatch } from './matching.ts';
import { createTelling, type ReadTold } from './telling.ts';

export type HooksOptions = {
  readonly logger: Logger;
  /** What a plugin is told of an event, as the log has it; undefined when it has it no longer. */
  readonly readTold: ReadTold;
};

const filledOf = (entry: HookEntry): Filled => ({
  entry,
  matches: compileMatch(entry.hook, entry.declaration.match),
});

const inOrder = (one: Filled, other: Filled): number =>
  one.entry.declaration.order - other.entry.declaration.order ||
  (one.entry.plugin < other.entry.plugin ? -1 : 1);

/** Who fills the hooks, and how they are asked (docs/adr/0052-hooks.md). */
export const createHooks = ({ logger, readTold }: HooksOptions): HookRegistry & Hooks => {
  const byPlugin = new Map<string, readonly Filled[]>();
  const counts = createHookCounts();
  const flights = createFlights();
  const entryOf = (plugin: string, hook: HookName): HookEntry | undefined =>
    byPlugin.get(plugin)?.find(({ entry }) => entry.hook === hook)?.entry;
  const call = createCalls({ flights, entryOf });
  const telling = createTelling({ logger, counts, call, entryOf, readTold });

  const filled: { [Name in HookName]: readonly Filled[] | undefined } = {
    before_service_register: undefined,
    before_service_invoke: undefined,
    after_service_invoke: undefined,
    before_publish: undefined,
    after_publish: undefined,
    before_state_change: undefined,
    after_state_change: undefined,
    on_request: undefined,
  };

  const refill = (): void => {
    const all = [...byPlugin.values()].flat();
    for (const hook of hookNames) {
      const own = all.filter(({ entry }) => entry.hook === hook);
      filled[hook] = own.length === 0 ? undefined : own.toSorted(inOrder);
    }
  };

  const isConcerned = ({ entry, matches }: Filled, name: string, self: string | undefined): boolean =>
    entry.plugin !== self && matches(name);

  /** What came of one question, when it is the end of them all. */
  const failure = ({ plugin, hook, declaration }: HookEntry, why: string): Problem | undefined => {
    const isSkipped = declaration.onFailure === 'skip';
    counts.add(plugin, hook, isSkipped ? 'skipped' : 'failed');
    if (isSkipped) return undefined;
    return problem('plugin_failed', `the plugin ${plugin} has to be asked (${hook}) and ${why}`, {
      plugin,
      hook,
    });
  };

  const answered = <Value, Change>(
    { answers, change }: Question<Value, Change>,
    value: Value,
    { entry, answer }: Called<HookEntry>,
  ): Result<Value> => {
    const orFailure = (why: string): Result<Value> => {
      const failed = failure(entry, why);
      return failed === undefined ? ok(value) : fault(failed);
    };
    if (!answer.ok) return orFailure(faults[answer.fault]);
    const unusable = (reason: string): Result<Value> => {
      entry.unusable?.(plainText(reason));
      return orFailure('gave an answer that cannot be used');
    };
    const read = readAnswer(answer.value, answers);
    if (read.type === 'nothing') return ok(value);
    if (read.type === 'unusable') return unusable(read.reason);
    if ('refuse' in read.answer) {
      const { plugin, hook } = entry;
      const reason = plainText(read.answer.refuse);
      const details = boundedDetails(read.answer.details);
      return fault(
        problem('plugin_refused', `the plugin ${plugin} refused it: ${reason}`, {
          plugin,
          hook,
          reason,
          ...(details === undefined ? {} : { details }),
        }),
      );
    }
    const changed = change(value, read.answer.change);
    return changed.ok ? changed : unusable(changed.problem.detail);
  };

  const ask = async <Value, Change>(question: Question<Value, Change>): Promise<Result<Value>> => {
    const { hook, name, subject } = question;
    const self = pluginOf(subject);
    const concerned = filled[hook]?.filter((one) => isConcerned(one, name, self)) ?? [];
    const [first] = concerned;
    if (first === undefined) return ok(question.value);
    const hops = flights.hopsOf(subject);
    if (hops > maxHops) return fault(tooManySteps(first.entry));
    let { value } = question;
    for (const { entry } of concerned) {
      const called = await call(entry, question.input(value), hops);
      if (called === undefined) continue;
      const result = answered(question, value, called);
      if (!result.ok) return result;
      value = result.value;
    }
    return ok(value);
  };

  return Object.assign<FilledHooks, HookRegistry & Omit<Hooks, HookName>>(filled, {
    set(plugin, entries) {
      byPlugin.set(plugin, entries.map(filledOf));
      refill();
    },
    remove(plugin) {
      byPlugin.delete(plugin);
      telling.forget(plugin);
      refill();
    },
    concerns(hook, name, subject) {
      const entries = filled[hook];
      if (entries === undefined) return false;
      const self = pluginOf(subject);
      return entries.some((one) => isConcerned(one, name, self));
    },
    ask,
    async during(plugin, subject, called) {
      const hops = flights.hopsOf(subject);
      const end = hops > maxHops ? undefined : flights.begin(plugin, hops);
      if (end === undefined) return tooMany;
      try {
        return await called();
      } finally {
        end();
      }
    },
    tell({ hook, name, subject, ...place }) {
      const self = pluginOf(subject);
      const concerned = filled[hook]?.filter((one) => isConcerned(one, name, self)) ?? [];
      if (concerned.length === 0) return;
      const hops = flights.hopsOf(subject);
      for (const { entry } of concerned) {
        if (hops > maxHops) counts.add(entry.plugin, hook, 'dropped');
        else telling.add(entry.plugin, { hook, hops, ...place });
      }
    },
    counts: counts.all,
    close: telling.close,
  });
};

const faults = {
  threw: 'failed',
  timeout: 'did not answer in time',
  cpu: 'took too much processor time',
  too_large: 'its question or answer is too large',
  no_handler: 'has no handler for it',
  gone: 'is not there at this moment',
  overloaded: 'has too many calls under way',
} as const;

const tooManySteps = ({ plugin, hook }: HookEntry): Problem =>
  problem('plugin_failed', `plugins answer each other’s hooks in more than ${maxHops} steps`, {
    plugin,
    hook,
  });
