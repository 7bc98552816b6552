import type { Json } from '../../../domain/event.ts';
import type { HookDeclaration, HookName } from '../../../domain/plugin/manifest.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';

/** One plugin's handler of one hook. */
export type HookEntry = {
  readonly plugin: string;
  readonly hook: HookName;
  /** As granted. */
  readonly declaration: HookDeclaration;
  /** Never rejects. */
  call(input: Json, timeoutMs: number): Promise<CallAnswer>;
};

/** Those who fill the hooks: the plugin host. */
export type HookRegistry = {
  /** Replaces whatever the plugin had, at once: a call sees either all of the old or all of the new. */
  set(plugin: string, entries: readonly HookEntry[]): void;
  remove(plugin: string): void;
};
