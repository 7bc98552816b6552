import type { ParseArgsConfig } from 'node:util';
import type { Client } from './client.ts';
import type { Output, Surroundings } from './output.ts';

/** The command line is wrong: the process ends with 2, and says how it is used. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A call failed: the process ends with 1, and says why in one line. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
}

export type Options = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export type Invocation = {
  readonly words: readonly string[];
  readonly options: Options;
  /** Machine-readable lines are wanted. */
  readonly json: boolean;
  readonly client: Client;
  readonly output: Output;
  readonly env: Surroundings['env'];
  /** Aborted when the process is asked to end. */
  readonly signal: AbortSignal;
};

/** One thing that a command does: `nexus COMMAND ACTION`. */
export type Action = {
  /** Words and options behind the action's name, as the help shows them. */
  readonly usage: string;
  readonly summary: string;
  /** How many words it takes: fewest and most. */
  readonly words: readonly [number, number];
  readonly options: NonNullable<ParseArgsConfig['options']>;
  readonly run: (invocation: Invocation) => Promise<void>;
};

/** By name; `''` is the command without an action. */
export type Actions = Readonly<Record<string, Action>>;

/** The value of an option that takes one. */
export const textOf = ({ options }: Pick<Invocation, 'options'>, name: string): string | undefined => {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
};

/** The values of an option that may be given several times. */
export const textsOf = ({ options }: Pick<Invocation, 'options'>, name: string): readonly string[] => {
  const value = options[name];
  return typeof value === 'object' ? value : [];
};

/** @throws {UsageError} when it is no whole number. */
export const wholeOf = (invocation: Pick<Invocation, 'options'>, name: string): number | undefined => {
  const text = textOf(invocation, name);
  if (text === undefined) return undefined;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value))
    throw new UsageError(`--${name} must be a whole number, not ${JSON.stringify(text)}`);
  return value;
};
