import type { Json } from '../../domain/event.ts';
import type { HookDeclaration, HookName } from '../../domain/plugin/manifest.ts';
import type { HookEntry } from '../../src/plugin/hooks/hooks.ts';

export type Heard = { readonly [name: string]: Json };

/** What a plugin of the tests does with what it is handed. */
export type Handler = (input: Heard) => unknown;

/** A copy of what code answers, as it comes out of a sandbox. */
const asJson = (value: unknown): Json =>
  value === undefined ? null : (JSON.parse(JSON.stringify(value)) as Json);

/** An entry of a plugin that is a function of this process: what it throws is a fault, and it gets and gives copies. */
export const entryOf = (
  plugin: string,
  hook: HookName,
  handler: Handler,
  declaration: Partial<HookDeclaration> = {},
): HookEntry => ({
  plugin,
  hook,
  declaration: {
    match: [hook.endsWith('publish') ? '>' : '*'],
    order: 0,
    timeoutMs: 5_000,
    onFailure: 'refuse',
    ...declaration,
  },
  call: async (input) => {
    try {
      return { ok: true, value: asJson(await handler(JSON.parse(JSON.stringify(input)) as Heard)) };
    } catch (error) {
      return { ok: false, fault: 'threw', message: String(error) };
    }
  },
});
