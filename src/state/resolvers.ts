import type { Json } from '../../domain/event.ts';
import { parseJson } from '../../domain/parse-json.ts';
import {
  builtInNames,
  builtInResolver,
  type Conflict,
  isResolverName,
  type Resolved,
  type Resolver,
} from '../../domain/state/resolvers.ts';
import { attachedBy } from './attachments.ts';

/** Custom resolvers of one hub. */
export const maxCustomResolvers = 1_000;

const maxUnits = 1_000_000;
const maxReasonLength = 1_024;
const maxConflicts = 100;
const maxPointerLength = 4_096;

/**
 * A resolver that answers later. It is asked about a version of the key, and again when another writer was faster; it takes no
 * longer than a write may wait.
 */
export type AskedResolver = {
  /** @param subject whose write it is. */
  ask(conflict: Conflict, subject: string): Promise<Resolved>;
};

/** What a program that embeds the hub, and plugins, do with resolvers. */
export type ResolverApi = {
  /**
   * Makes `resolve` a resolver that writes and key patterns can name. It must be the same on every node of the log, and pure unless it
   * is asked; it gets copies, and is refused what is no JSON. Returns how to take it away.
   *
   * @param name a lower-case letter, then up to 63 letters, digits and hyphens.
   * @throws {RangeError} for another name, one that is taken, and beyond 1,000 resolvers.
   */
  register(name: string, resolve: Resolver | AskedResolver): () => void;
  /** Those that a write may name, the built-in ones first. */
  names(): readonly string[];
};

export type Resolvers = ResolverApi & {
  /** True for `reject` too. */
  isKnown(name: string): boolean;
  /** Undefined unless it is one that is asked. What it answers never rejects. */
  askedOf(name: string): AskedResolver | undefined;
  /** Never throws. One that this node does not know refuses every conflict. */
  resolverOf(name: string): Resolver;
  /** Name of the resolver that the configuration attaches to the longest pattern of `key`. */
  attachedTo(key: string): string | undefined;
};

const refuse = (reason: string): Resolved => ({ ok: false, reason });

const textOf = (error: unknown): string => {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'what was thrown has no text';
  }
};

const copyOf = ({ base, current, incoming }: Conflict): Conflict => ({
  ...(base === undefined ? {} : { base: structuredClone(base) }),
  ...(current === undefined ? {} : { current: structuredClone(current) }),
  incoming: structuredClone(incoming),
});

const pointersOf = (given: unknown): readonly string[] | undefined => {
  if (!Array.isArray(given)) return undefined;
  const pointers: readonly unknown[] = given.slice(0, maxConflicts);
  return pointers.filter(
    (pointer): pointer is string => typeof pointer === 'string' && pointer.length <= maxPointerLength,
  );
};

/** What a custom function has answered; nothing of it is believed. */
const checked = (answer: unknown): Resolved => {
  if (typeof answer !== 'object' || answer === null) return refuse('it gave no answer');
  const given: { readonly ok?: unknown; readonly value?: unknown } & {
    readonly reason?: unknown;
    readonly conflicts?: unknown;
  } = answer;
  if (given.ok === true) {
    const value: Json | undefined = parseJson(given.value, maxUnits);
    return value === undefined
      ? refuse('it gave a value that is no JSON, too large or too deep')
      : { ok: true, value };
  }
  if (given.ok !== false) return refuse('it gave no answer');
  const { reason } = given;
  const conflicts = pointersOf(given.conflicts);
  return {
    ok: false,
    reason: typeof reason === 'string' ? reason.slice(0, maxReasonLength) : 'it gave no reason',
    ...(conflicts === undefined ? {} : { conflicts }),
  };
};

/** A resolver of others' code that never throws, changes nothing, and gives JSON. */
const guarded =
  (resolve: Resolver): Resolver =>
  (conflict) => {
    try {
      return checked(resolve(copyOf(conflict)));
    } catch (error) {
      return refuse(`it failed: ${textOf(error).slice(0, maxReasonLength)}`);
    }
  };

const guardedAsked = ({ ask }: AskedResolver): AskedResolver => ({
  ask: async (conflict, subject) => {
    try {
      return checked(await ask(copyOf(conflict), subject));
    } catch (error) {
      return refuse(`it failed: ${textOf(error).slice(0, maxReasonLength)}`);
    }
  },
});

/** @param attached what the configuration attaches, `PATTERN=NAME` each. */
export const createResolvers = (attached: readonly string[]): Resolvers => {
  const custom = new Map<string, Resolver | AskedResolver>();
  const attachedTo = attachedBy(attached);
  const isKnown = (name: string): boolean => builtInNames.includes(name) || custom.has(name);

  return {
    register(name, resolve) {
      if (!isResolverName(name)) throw new RangeError(`${JSON.stringify(name)} is no name of a resolver`);
      if (isKnown(name)) throw new RangeError(`there is a resolver ${name} already`);
      if (custom.size >= maxCustomResolvers) {
        throw new RangeError(`there are ${maxCustomResolvers} resolvers already`);
      }
      const own = typeof resolve === 'function' ? guarded(resolve) : guardedAsked(resolve);
      custom.set(name, own);
      return () => {
        if (custom.get(name) === own) custom.delete(name);
      };
    },
    names: () => [...builtInNames, ...custom.keys()],
    isKnown,
    askedOf(name) {
      const own = custom.get(name);
      return typeof own === 'function' ? undefined : own;
    },
    resolverOf(name) {
      const own = builtInResolver(name) ?? custom.get(name);
      return typeof own === 'function' ? own : () => refuse('there is no resolver of this name on this node');
    },
    attachedTo,
  };
};
