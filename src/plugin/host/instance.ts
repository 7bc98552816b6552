import { setTimeout as delay } from 'node:timers/promises';
import type { Json } from '../../../domain/event.ts';
import type { HookName, PluginLimits, PluginPermissions } from '../../../domain/plugin/manifest.ts';
import { hookNames } from '../../../domain/plugin/manifest.ts';
import type { Logger } from '../../logger.ts';
import type { Capabilities, CapabilitiesOptions } from '../capabilities/capabilities.ts';
import type {
  CallAnswer,
  CallTarget,
  Death,
  Guest,
  GuestHost,
  LimitName,
  Program,
  Sandbox,
} from '../sandbox/sandbox.ts';
import type { Recorder } from '../shadow/recorder.ts';
import type { Candidate } from './candidates.ts';
import { createRedaction, type PluginConfig } from './config.ts';
import type { Stats } from './stats.ts';

/** What a running version has handlers for. */
export type Registered = { readonly hooks: readonly HookName[]; readonly resolvers: readonly string[] };

/** One version of a plugin that runs, over the deaths of its process. */
export type Instance = {
  readonly candidate: Candidate;
  readonly program: Program;
  /** Asked for and granted, both. */
  readonly permissions: PluginPermissions;
  readonly config: PluginConfig;
  readonly stats: Stats;
  /** Of this version alone. */
  readonly recorder: Recorder;
  readonly guest: Guest;
  /** Why it was given up; undefined while it lives. */
  readonly death: Death | undefined;
  registered(): Registered;
  /** Never rejects. Counted and recorded. */
  call(target: CallTarget, input: Json, timeoutMs: number): Promise<CallAnswer>;
  /** From here on it is handed messages and changes. */
  activate(): void;
  /** True once `retire` was called. */
  readonly retired: boolean;
  /** Gets nothing new; what is under way may end within `graceMs`, then it is gone. */
  retire(graceMs: number): Promise<void>;
};

/** What is told of it while it lives. */
export type InstanceEvents = {
  down(death: Death): void;
  /** Not the first time. */
  back(): void;
  ended(death: Death): void;
  limited(limit: LimitName, detail: string): void;
  answered(answer: CallAnswer, durationMs: number): void;
};

export type InstanceOptions = {
  readonly candidate: Candidate;
  readonly program: Program;
  readonly permissions: PluginPermissions;
  readonly limits: PluginLimits;
  readonly config: PluginConfig;
  readonly sandbox: Sandbox;
  readonly stats: Stats;
  readonly recorder: Recorder;
  readonly logger: Logger;
  readonly events: InstanceEvents;
  readonly capabilities: (
    options: Pick<CapabilitiesOptions, 'name' | 'permissions' | 'limits' | 'call' | 'limited' | 'refused'>,
  ) => Capabilities;
};

export type InstanceStarted =
  | { readonly ok: true; readonly instance: Instance }
  | { readonly ok: false; readonly death: Death };

const gone = (message: string): CallAnswer => ({ ok: false, fault: 'gone', message });
const maxReasonLength = 1_024;

const isHookName = (name: string): name is HookName => hookNames.some((known) => known === name);

/** Starts the version beside whatever runs; until `activate` it is called by nobody. */
export const startInstance = async (options: InstanceOptions): Promise<InstanceStarted> => {
  const { program, permissions, limits, sandbox, stats, recorder, logger, events, config } = options;
  const { name } = program;
  const redaction = createRedaction(config.secrets);
  const active = Promise.withResolvers<void>();
  let activated = false;
  let retired = false;
  let guest: Guest | undefined;
  let registered: Registered = { hooks: [], resolvers: [] };
  let started = false;
  let ended: Death | undefined;
  let capabilities: Capabilities | undefined;
  /** Capabilities of lives that are over, while they give back what they had. */
  const ending = new Set<Promise<void>>();

  const call = async (target: CallTarget, input: Json, timeoutMs: number): Promise<CallAnswer> => {
    if (guest === undefined) return gone('it is being started');
    const startedMs = performance.now();
    const answer = await guest.call(target, input, timeoutMs);
    const durationMs = performance.now() - startedMs;
    stats.answered(answer, durationMs);
    events.answered(answer, durationMs);
    recorder.call(target, input, answer, durationMs);
    return answer;
  };

  const newLife = (): Capabilities => {
    recorder.restarted();
    return options.capabilities({
      name,
      permissions,
      limits,
      limited,
      refused: stats.refused,
      // What comes while it is not the version that runs waits, and goes to nobody when it never is.
      call: async (target, input, timeoutMs) => {
        await active.promise;
        return activated ? call(target, input, timeoutMs) : gone('it was not taken');
      },
    });
  };

  const endLife = (life: Capabilities): void => {
    const end = life
      .stop()
      .catch((error: unknown) =>
        logger.warn({ plugin: name, error }, 'what a plugin had asked for could not be ended'),
      )
      .finally(() => ending.delete(end));
    ending.add(end);
  };

  const limited = (limit: LimitName, detail: string): void => {
    stats.limited(limit);
    events.limited(limit, redaction.text(detail).slice(0, maxReasonLength));
  };

  const clean = (death: Death): Death => ({
    ...death,
    reason: redaction.text(death.reason).slice(0, maxReasonLength),
  });

  const host: GuestHost = {
    async wish(wish) {
      capabilities ??= newLife();
      stats.wished();
      const answer = await capabilities.wish(wish);
      recorder.wish(wish, answer);
      return answer;
    },
    log: (level, message, fields) =>
      logger[level]({ plugin: name, fields: redaction.json(fields) }, redaction.text(message)),
    limited,
    down(death) {
      if (capabilities !== undefined) endLife(capabilities);
      capabilities = undefined;
      if (started) events.down(clean(death));
    },
    ready(given) {
      const hooks = given.hooks.filter(isHookName).filter((hook) => permissions.hooks[hook] !== undefined);
      const resolvers = given.resolvers.filter((resolver) => permissions.resolvers.includes(resolver));
      for (const hook of given.hooks) if (!hooks.some((one) => one === hook)) stats.refused('hooks.register');
      for (const one of given.resolvers) if (!resolvers.includes(one)) stats.refused('resolvers.register');
      registered = { hooks, resolvers };
      if (started) events.back();
    },
    ended(death) {
      ended = clean(death);
      if (capabilities !== undefined) endLife(capabilities);
      capabilities = undefined;
      if (started) events.ended(ended);
    },
  };

  const result = await sandbox.start(program, host);
  if (!result.ok) {
    retired = true;
    active.resolve();
    if (capabilities !== undefined) endLife(capabilities);
    return { ok: false, death: clean(result.death) };
  }
  guest = result.guest;
  started = true;
  const running = result.guest;

  return {
    ok: true,
    instance: {
      candidate: options.candidate,
      program,
      permissions,
      config,
      stats,
      recorder,
      guest: running,
      get death() {
        return ended;
      },
      registered: () => registered,
      call,
      activate() {
        activated = true;
        active.resolve();
      },
      get retired() {
        return retired;
      },
      async retire(graceMs) {
        if (retired) return;
        retired = true;
        const life = capabilities;
        // What waits for it to be the one that runs is not for it any more.
        const quiet = life?.quiet();
        active.resolve();
        const given = quiet?.catch((error: unknown) =>
          logger.warn({ plugin: name, error }, 'messages could not be given back'),
        );
        // A handler that takes longer is answered with \`gone\` below, and its message is delivered again.
        await Promise.race([given, delay(graceMs, undefined, { ref: false })]);
        await running.stop(graceMs);
        if (life !== undefined) endLife(life);
        await Promise.all(ending);
      },
    },
  };
};
