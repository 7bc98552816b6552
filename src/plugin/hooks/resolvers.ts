import * as z from 'zod';
import type { Json } from '../../../domain/event.ts';
import type { Conflict, Resolved } from '../../../domain/state/resolvers.ts';
import { anyJson } from '../../command/state-schemas.ts';
import { given } from '../../given.ts';
import type { Logger } from '../../logger.ts';
import type { AskedResolver, ResolverApi } from '../../state/resolvers.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';
import { plainText } from './answers.ts';
import { callInForce, type Target } from './calls.ts';
import type { Hooks } from './hooks.ts';

/** The longest that a write in conflict waits for one answer. */
const answerWithinMs = 5_000;

type CallResolver = (name: string, input: Json, timeoutMs: number) => Promise<CallAnswer>;

/** Where plugins bring their conflict resolvers (docs/adr/0052-hooks.md). */
export type PluginResolvers = {
  /** Replaces whatever the plugin had, at once. A name that there is already is not taken, and told in the log. */
  set(plugin: string, names: readonly string[], call: CallResolver): void;
  remove(plugin: string): void;
};

export type PluginResolversOptions = {
  readonly resolvers: Pick<ResolverApi, 'register'>;
  readonly hooks: Pick<Hooks, 'during'>;
  readonly logger: Logger;
};

const answerSchema = z.union([
  z.strictObject({ value: anyJson }),
  z.strictObject({ refuse: z.string(), conflicts: z.array(z.string()).optional() }),
]);

const refuse = (reason: string): Resolved => ({ ok: false, reason });
const gone: CallAnswer = { ok: false, fault: 'gone', message: 'it was taken away' };

const resolvedOf = (plugin: string, answer: CallAnswer): Resolved => {
  if (!answer.ok) return refuse(`the plugin ${plugin} gave no answer (${answer.fault})`);
  const parsed = answerSchema.safeParse(answer.value);
  if (!parsed.success) return refuse(`the plugin ${plugin} gave an answer of the wrong shape`);
  if ('value' in parsed.data) return { ok: true, value: parsed.data.value };
  const { refuse: reason, conflicts } = parsed.data;
  return { ok: false, reason: plainText(reason), ...given({ conflicts }) };
};

const inputOf = ({ base, current, incoming }: Conflict): Json => ({ ...given({ base, current }), incoming });

/** What a plugin has: by name what is asked now, and how to take the name away. */
type Bound = Map<string, { target: Target; readonly unregister: () => void }>;

export const createPluginResolvers = ({
  resolvers,
  hooks,
  logger,
}: PluginResolversOptions): PluginResolvers => {
  const byPlugin = new Map<string, Bound>();

  const resolverOf = (plugin: string, name: string, bound: Bound): AskedResolver => ({
    ask: async (conflict, subject) => {
      const inForce = (): Target | undefined => bound.get(name)?.target;
      const answer = await hooks.during(plugin, subject, async () => {
        const called = await callInForce(inForce, inputOf(conflict), answerWithinMs);
        return called?.answer ?? gone;
      });
      return resolvedOf(plugin, answer);
    },
  });

  const unbind = (bound: Bound, name: string): void => {
    bound.get(name)?.unregister();
    bound.delete(name);
  };

  return {
    set(plugin, names, call) {
      const bound: Bound = byPlugin.get(plugin) ?? new Map();
      byPlugin.set(plugin, bound);
      for (const name of [...bound.keys()]) if (!names.includes(name)) unbind(bound, name);
      for (const name of names) {
        const target: Target = { call: (input, timeoutMs) => call(name, input, timeoutMs) };
        const known = bound.get(name);
        if (known !== undefined) {
          known.target = target;
          continue;
        }
        try {
          const unregister = resolvers.register(name, resolverOf(plugin, name, bound));
          bound.set(name, { target, unregister });
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          logger.warn(
            { plugin, resolver: name, reason: error.message },
            'a resolver of a plugin is not taken',
          );
        }
      }
    },
    remove(plugin) {
      const bound = byPlugin.get(plugin);
      if (bound === undefined) return;
      for (const name of [...bound.keys()]) unbind(bound, name);
      byPlugin.delete(plugin);
    },
  };
};
