import type { Operation, Scope } from '../../src/gateway/operations/operation.ts';
import type { CommandDone, CommandInput } from '../../src/nexus-core.ts';

/** What the words in capitals of a scope stand for in an example. */
export type Values = Partial<Record<'KEY' | 'PREFIX' | 'TOPIC' | 'PATTERN' | 'NAME', string>>;

/** One use of an operation; `tag` tells the things of one example from those of all others. */
export type Example = {
  readonly values?: Values;
  /** Which needs it has beside those that are always there. */
  readonly when?: readonly string[];
  /** Done by an admin before. */
  readonly setup?: readonly CommandInput[];
  /** How it ends when it is allowed and yet not done, as there is nothing that it could be done to. */
  readonly code?: string;
  /** What `forbidden` names, where that is less than the scope: nobody is told the topic of a message by its position. */
  readonly named?: string;
  /** How it ends for another subject that has the scope, where it is the owner’s alone. */
  readonly others?: 'id_taken' | 'forbidden';
};

export type CommandExample = Example & { readonly data: Readonly<Record<string, unknown>> };
export type RestExample = Example & {
  readonly path?: (before: readonly CommandDone[]) => string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};
export type FieldExample = Example & { readonly args?: Readonly<Record<string, unknown>> };
export type FrameExample = Example & { readonly frame?: Readonly<Record<string, unknown>> };

export type Examples<Kind> = Readonly<Record<string, (tag: string) => readonly Kind[]>>;

const fill = (scope: Scope, values: Values): string =>
  scope.replace(/KEY|PREFIX|TOPIC|PATTERN|NAME/, (word) => {
    const value = values[word as keyof Values];
    if (value === undefined) throw new Error(`the example has no ${word}, which ${scope} is about`);
    return value;
  });

const plain = ['services:read', 'services:write', 'log:read', 'plugins:admin'];
const widest = ['services:invoke:*', 'events:publish:>', 'events:read:>', 'state:read:*', 'state:write:*'];

const nameOf = (scope: string): string => scope.split(':', 2).join(':');

/** Scopes that look like `scope` and do not cover it. */
const nearMisses = (scope: string): readonly string[] => {
  const name = nameOf(scope);
  const what = scope.slice(name.length + 1);
  if (what === '') {
    const [first = ''] = scope.split(':');
    return [`${scope}:*`, `${scope}s`, `${first}:*`, scope.toUpperCase(), scope.slice(0, -1)];
  }
  const shorter = what.endsWith('*') ? `${what.slice(0, -1)}x*` : what.slice(0, -1);
  const near = [
    name,
    `${name}:`,
    `${name}:${shorter}`,
    `${name}:${what.replace(/[*>]?$/, '2$&')}`,
    `${name}:${what.slice(1)}`,
    `${name.replace('read', 'write').replace('publish', 'read')}:${what}`,
    `${name.toUpperCase()}:${what}`,
  ];
  if (name.startsWith('events:')) {
    const [first = ''] = what.split('.');
    // One segment where the rest is asked for, and the other way round.
    near.push(
      `${name}:*`,
      `${name}:${first}`,
      `${name}:other.>`,
      `${name}:${what.replace(/\.?>$/, '')}.*.*.*`,
    );
    if (!what.endsWith('>')) near.push(`${name}:${what}.>`);
  } else near.push(`${name}:${what}/*`, `${name}:other/*`, `${name}:**`);
  return near.filter((other) => other !== scope);
};

type Refusal = { readonly what: string; readonly scopes: readonly string[] };

type Case = {
  /** Sets of scopes with which it is done. */
  readonly allowed: readonly (readonly string[])[];
  readonly refused: readonly Refusal[];
  /** One of these is named by each refusal. */
  readonly names: readonly string[];
};

/** Who may do an example, and who may not, as the operation's row tells it. */
const caseOf = (operation: Operation, example: Example): Case => {
  const { values = {}, when = [] } = example;
  const needs = operation.needs.filter((need) => need.when === undefined || when.includes(need.when));
  const scopes = needs.map(({ scope }) => scope).filter((scope) => scope !== 'any' && scope !== 'public');
  const needed = scopes.map((scope) => fill(scope, values));
  const instead = needs.flatMap(({ or }) => (or === undefined ? [] : [fill(or, values)]));
  if (needed.length === 0) return { allowed: [[]], refused: [], names: [] };
  const met = new Set([...needed, ...instead].map(nameOf));
  const others = [...plain, ...widest].filter((scope) => !met.has(nameOf(scope)));
  const reserved = needed.some((scope) => scope.startsWith('state:write:nexus/'));
  const exact = reserved ? ['admin'] : needed;
  return {
    allowed: [exact, ...instead.map((scope) => [scope])],
    refused: [
      { what: 'no scope', scopes: [] },
      { what: 'every other scope', scopes: others },
      { what: 'scopes that nearly cover it', scopes: needed.flatMap(nearMisses) },
      ...(reserved ? [{ what: 'all of state:write', scopes: ['state:write:*', ...needed] }] : []),
      ...(needed.length < 2
        ? []
        : needed.map((scope) => ({
            what: `all but ${scope}`,
            scopes: [...others, ...needed.filter((other) => other !== scope)],
          }))),
    ],
    names: example.named === undefined ? [...exact, ...instead] : [example.named],
  };
};

/** Who is refused has another name than who is allowed, so that the log tells whether anything was done. */
export type Who = { readonly subject: 'ada' | 'mallory'; readonly scopes: readonly string[] };

export type Trial<Kind> = {
  readonly who: Who;
  readonly example: Kind;
  /** Undefined: it is done. `names`: what `forbidden` may name, where it is the scope that is missing. */
  readonly refused:
    | { readonly what: string; readonly code: string; readonly names: readonly string[] | undefined }
    | undefined;
};

/** Everything that is tried of an operation: all examples, each with every set of scopes that its row tells of. */
export const trialsOf = <Kind extends Example>(
  operation: Operation,
  examples: (tag: string) => readonly Kind[],
  tag: string,
): readonly Trial<Kind>[] =>
  examples(tag).flatMap((example, index) => {
    const { allowed, refused, names } = caseOf(operation, example);
    return [
      ...refused.map(({ what, scopes }): Trial<Kind> => {
        return { who: { subject: 'mallory', scopes }, example, refused: { what, code: 'forbidden', names } };
      }),
      ...(example.others === undefined
        ? []
        : allowed.map((scopes): Trial<Kind> => {
            const refusal = { what: 'another subject', code: example.others ?? '', names: undefined };
            return { who: { subject: 'mallory', scopes }, example, refused: refusal };
          })),
      ...allowed.map((_, turn): Trial<Kind> => {
        // What was done once may not be possible again: each time it is done to other things.
        const own = turn === 0 ? example : examples(`${tag}-${turn}`)[index];
        if (own === undefined) throw new Error('there are fewer examples for another tag');
        const scopes = caseOf(operation, own).allowed[turn] ?? [];
        return { who: { subject: 'ada', scopes }, example: own, refused: undefined };
      }),
    ];
  });
