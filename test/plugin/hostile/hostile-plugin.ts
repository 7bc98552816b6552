import type { PluginLimits, PluginPermissions } from '../../../domain/plugin/manifest.ts';
import type { PluginFailure } from '../../../domain/plugin/plugin.ts';
import type { CallFault, LimitName } from '../../../src/plugin/sandbox/sandbox.ts';

/**
 * What sets the attack off: `start` (it is imported and initialized), `hook` (a message to `attack.{name}`, of which
 * `before_publish` is asked), `message` (its handler of that message), `timer` (10 ms after its start), `stop` (`shutdown`).
 */
export type Trigger = 'start' | 'hook' | 'message' | 'timer' | 'stop';

/**
 * `ok`, or why the call that sets it off has no answer, `unusable` being one that the hub cannot use; any one of several
 * where V8 or the machine decides.
 */
export type Answered = 'ok' | 'unusable' | CallFault;

export type Fate =
  /** It goes on running, in the same child as before. `limit`: an event tells that it met one of these. */
  | { readonly end: 'lives'; readonly answer: readonly Answered[]; readonly limit?: readonly LimitName[] }
  /** It is ended or quarantined, and an event names it and one of `causes`. */
  | {
      readonly end: 'falls';
      readonly answer: readonly Answered[];
      readonly causes: readonly PluginFailure[];
      /** `may`: it depends on V8 whether the child that it stands in goes down with it. */
      readonly child: 'stays' | 'may' | 'dies';
    }
  /** Either of the two before: what it does is bounded by whichever limit is met first. */
  | {
      readonly end: 'either';
      readonly answer: readonly Answered[];
      readonly causes: readonly PluginFailure[];
    }
  /** It does not come to run: refused by the hub before a line of it runs (`offer`), or at its start. */
  | { readonly end: 'refused'; readonly by: 'offer' | 'start'; readonly child: 'stays' | 'may' | 'dies' };

/** True when each way in which the call may go is one that an event tells of. */
export const mustBeLimited = (
  fate: Fate,
): fate is Extract<Fate, { readonly end: 'lives' }> & { readonly limit: readonly LimitName[] } =>
  fate.end === 'lives' &&
  fate.limit !== undefined &&
  !fate.answer.some((answer) => answer === 'ok' || answer === 'threw');

/** A file of the plugin's folder: its text, or what stands there instead. */
export type Planted =
  | string
  | { readonly link: string }
  | { readonly pipe: true }
  /** Zeros that take no place on the disk. */
  | { readonly holeBytes: number }
  | { readonly repeat: string; readonly times: number; readonly before?: string; readonly after?: string };

export type HostilePlugin = {
  /** Name of the plugin, and of its folder. */
  readonly name: string;
  /** What it tries, in words. */
  readonly attack: string;
  readonly by: Trigger;
  /** The entry module, JavaScript. */
  readonly code: string;
  readonly permissions?: Partial<PluginPermissions>;
  readonly limits?: Partial<PluginLimits>;
  /** What stands in the manifest instead of what it would. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** Beside `plugin.json` and the entry; one of these names replaces it. */
  readonly files?: Readonly<Record<string, Planted>>;
  readonly config?: unknown;
  /** Takes so long that only the long form has it. */
  readonly long?: true;
  readonly fate: Fate;
};

/**
 * In front of each probe. What the plugin got hold of stands in the payload that it changes the message to, as
 * `found`: it must be empty.
 */
const prelude = `
const found = [];
const say = (name, value) => {
  let text;
  try { text = typeof value + ' ' + String(value); } catch { text = typeof value; }
  found.push(name + ': ' + text.slice(0, 100));
};
const attempt = (name, run) => {
  try { const value = run(); if (value !== undefined && value !== null && value !== false) say(name, value); } catch {}
};
const attemptLater = async (name, run) => {
  try { const value = await run(); if (value !== undefined && value !== null && value !== false) say(name, value); } catch {}
};
`;

/** The attack is the handler of `before_publish`. */
export const inHook = (body: string, before = ''): string => `${before}
export const initialize = (context) => {
  context.hooks.register('before_publish', (input) => {${body}});
};`;

/** Whatever it has found by the end of `body`, which may await, is in the message. */
export const probe = (body: string, before = ''): string => `${prelude}${before}
export const initialize = (context) => {
  context.hooks.register('before_publish', async (input) => {
    found.length = 0;
    ${body}
    return { change: { payload: { found } } };
  });
};`;

export const inInitialize = (body: string): string =>
  `export const initialize = async (context) => {${body}};`;

export const inMessage = (body: string): string => `
export const initialize = async (context) => {
  await context.messageBus.subscribe('attack.' + context.name, (message) => {${body}});
};`;

export const inTimer = (body: string): string => `
export const initialize = (context) => { context.timers.after(10, () => {${body}}); };`;

export const inShutdown = (body: string): string => `
export const initialize = () => undefined;
export const shutdown = () => {${body}};`;

/** An endless loop that is ended by the budget of processor time; the plugin goes on. */
export const stopped = {
  end: 'lives',
  answer: ['cpu', 'timeout'],
  limit: ['cpuMsPerCall', 'timeoutMs'],
} satisfies Fate;
/** Native code that looks at no interrupt: nothing but the child's end ends it. */
export const killed: Fate = {
  end: 'falls',
  answer: ['cpu', 'timeout', 'gone'],
  causes: ['cpu', 'hang'],
  child: 'may',
};
export const outOfMemory = {
  end: 'falls',
  answer: ['gone', 'threw', 'cpu', 'timeout'],
  causes: ['memory', 'crash', 'cpu', 'hang'],
  child: 'may',
} satisfies Fate;
/** The limit of memory or of time ends it, or V8 refuses what it asks for and it goes on. */
export const bounded: Fate = {
  end: 'either',
  answer: ['ok', 'gone', 'threw', 'cpu', 'timeout', 'too_large'],
  causes: ['memory', 'crash', 'cpu', 'hang'],
};
/** It is answered as if nothing had been, and has found nothing. */
export const harmless: Fate = { end: 'lives', answer: ['ok'] };
export const lives = (...answer: readonly Answered[]): Fate => ({ end: 'lives', answer });
export const notOffered: Fate = { end: 'refused', by: 'offer', child: 'stays' };
export const notStarted: Fate = { end: 'refused', by: 'start', child: 'stays' };

/** One row of a table: name, what it tries, its module, its fate, and what else there is to it. */
export const row = (
  name: string,
  attack: string,
  code: string,
  fate: Fate,
  more: Partial<Omit<HostilePlugin, 'name' | 'attack' | 'code' | 'fate'>> = {},
): HostilePlugin => ({ name, attack, by: 'hook', code, fate, ...more });
