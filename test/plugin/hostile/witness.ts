import { type HostilePlugin, harmless, row } from './hostile-plugin.ts';

/** What a witness answers to a message on `attack.{name}`: the message's payload becomes this. */
export type Testimony = {
  readonly witness: string;
  /** The message's payload as it came. */
  readonly asked: unknown;
  /** What it sees that others might have left: nothing. */
  readonly seen: readonly string[];
};

const code = `
export const initialize = async (context) => {
  await context.state.set(context.state.prefix + 'secret', 'of ' + context.name);
  context.hooks.register('before_publish', (input) => {
    const seen = [];
    for (const name of ['marker', 'caught', 'made', 'listed', 'kept']) if (globalThis[name] !== undefined) seen.push(name);
    for (const name in {}) seen.push(name);
    for (const name in []) seen.push(name);
    if (JSON.stringify([1, { a: 'b' }]) !== '[1,{"a":"b"}]') seen.push('JSON');
    return { change: { payload: { witness: context.name, asked: input.payload, seen } } };
  });
};`;

/** A plugin that does nothing wrong, in the midst of those that do. What it is not asked about is refused. */
export const witness = (name: string): HostilePlugin =>
  row(name, 'nothing', code, harmless, {
    limits: { timeoutMs: 10_000, cpuMsPerCall: 5_000 },
    manifest: {
      permissions: {
        hooks: {
          before_publish: { match: [`attack.${name}`], order: 0, timeoutMs: 10_000, onFailure: 'refuse' },
        },
      },
    },
  });
