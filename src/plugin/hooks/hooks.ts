import type * as z from 'zod';
import type { Json, StreamId } from '../../../domain/event.ts';
import type { HookDeclaration, HookName } from '../../../domain/plugin/manifest.ts';
import type { Result } from '../../errors.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';

/** One plugin's handler of one hook. */
export type HookEntry = {
  readonly plugin: string;
  readonly hook: HookName;
  /** As granted. */
  readonly declaration: HookDeclaration;
  /** Never rejects, and leaves `input` as it is. */
  call(input: Json, timeoutMs: number): Promise<CallAnswer>;
  /** Told when what was answered could not be used: it has the wrong shape, or is a change that no client could have sent. */
  unusable?(reason: string): void;
};

/** Those who fill the hooks: the plugin host. */
export type HookRegistry = {
  /**
   * Replaces whatever the plugin had, at once: a call sees either all of the old or all of the new. One that the old has
   * answered with `gone` is put to the new.
   */
  set(plugin: string, entries: readonly HookEntry[]): void;
  /** For a plugin that is not wanted any more. One that is only away keeps its entries, which answer `gone`: their policy holds. */
  remove(plugin: string): void;
};

/** An entry among those of its hook. */
export type Filled = {
  readonly entry: HookEntry;
  matches(name: string): boolean;
};

/** By hook those that fill it, in the order in which they are asked; undefined where nobody does. */
export type FilledHooks = { readonly [Name in HookName]: readonly Filled[] | undefined };

export type HookAnswer<Change> =
  | { readonly change: Change }
  | { readonly refuse: string; readonly details?: Json | undefined };

/** What a hook is asked about. */
export type Question<Value, Change> = {
  readonly hook: HookName;
  /** Topic, key, name of the service, or path. */
  readonly name: string;
  /** Whose doing it is. */
  readonly subject: string;
  readonly value: Value;
  /** Of an answer that is not empty (answers.ts). */
  readonly answers: z.ZodType<HookAnswer<Change>>;
  input(value: Value): Json;
  /** The value as changed, or what is wrong with the change. */
  change(value: Value, change: Change): Result<Value>;
};

/** An event that `after_…` hooks are told of. */
export type Told = {
  readonly hook: 'after_publish' | 'after_state_change';
  /** Topic or key. */
  readonly name: string;
  readonly subject: string;
  readonly stream: StreamId;
  readonly revision: number;
};

export type HookCount = {
  readonly plugin: string;
  readonly hook: HookName;
  /** Questions that had no answer of use, and were passed over. */
  readonly skipped: number;
  /** The same, where that refused what was asked about. */
  readonly failed: number;
  /** What it was to be told and was not. */
  readonly dropped: number;
};

/** What the places of the hooks call. */
export type Hooks = FilledHooks & {
  /** True when a plugin other than the subject fills the hook for this name. */
  concerns(hook: HookName, name: string, subject: string): boolean;
  /**
   * Asks one after the other; each sees what the one before has changed. `plugin_refused` when one says no, `plugin_failed`
   * when one fails whose policy is to refuse, or when plugins go on answering each other.
   */
  ask<Value, Change>(question: Question<Value, Change>): Promise<Result<Value>>;
  /**
   * A call of the plugin that is no hook, on behalf of the subject: it counts among those that are under way, and is
   * `overloaded` when there are too many, or too many steps. Rejects when `call` does.
   */
  during(plugin: string, subject: string, call: () => Promise<CallAnswer>): Promise<CallAnswer>;
  /** Told once it is durable; returns at once. */
  tell(event: Told): void;
  /** Since the process began; of plugins that are gone too. */
  counts(): readonly HookCount[];
  /** Nobody is told any more. */
  close(): void;
};
