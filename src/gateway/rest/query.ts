import { ProblemError, problem } from '../../errors.ts';

/** The parameters of a URL's query, each looked up by its name and checked. */
export type Query = {
  /** Undefined when the parameter is absent. */
  text(name: string): string | undefined;
  /** @throws {ProblemError} `invalid` when it is no whole number from `min`. */
  integer(name: string, min: number): number | undefined;
  /** Entries of a page, from 1; how many at most is the hub's own matter, and not the client's fault. */
  limit(): number | undefined;
  all(name: string): readonly string[];
};

type Fault = { readonly pointer: string; readonly detail: string };

const none: Query = {
  text: () => undefined,
  integer: () => undefined,
  limit: () => undefined,
  all: () => [],
};
const digits = /^-?\d{1,64}$/;
const maxShown = 64;

/**
 * Reads the query of `url`. A parameter may come once, those of `repeatable` as often as it likes; one that the route
 * does not know is a fault, because a misspelt filter would otherwise be none.
 *
 * @throws {ProblemError} `invalid` with a pointer (`/name`) per fault.
 */
export const readQuery = (
  url: string,
  names: readonly string[],
  repeatable: readonly string[] = [],
): Query => {
  const mark = url.indexOf('?');
  if (mark < 0 || mark === url.length - 1) return none;
  const parameters = new URLSearchParams(url.slice(mark + 1));
  const faults: Fault[] = [];
  for (const name of new Set(parameters.keys())) {
    const pointer = `/${name.slice(0, maxShown)}`;
    if (repeatable.includes(name)) continue;
    if (!names.includes(name)) {
      const known = [...names, ...repeatable];
      const detail =
        known.length === 0 ? 'is unknown: there are none here' : `is unknown; known: ${known.join(', ')}`;
      faults.push({ pointer, detail });
    } else if (parameters.getAll(name).length > 1) {
      faults.push({ pointer, detail: 'may be given only once' });
    }
  }
  if (faults.length > 0) throw invalidQuery(faults);
  const integer = (name: string, min: number, clampAt?: number): number | undefined => {
    const text = parameters.get(name);
    if (text === null) return undefined;
    const value = digits.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= Number.MAX_SAFE_INTEGER) return value;
    if (clampAt !== undefined && value > clampAt) return clampAt;
    throw invalidQuery([{ pointer: `/${name}`, detail: `must be a whole number from ${min}` }]);
  };
  return {
    text: (name) => parameters.get(name) ?? undefined,
    integer,
    limit: () => integer('limit', 1, Number.MAX_SAFE_INTEGER),
    all: (name) => parameters.getAll(name),
  };
};

export const invalidQuery = (errors: readonly Fault[]): ProblemError => {
  const [first] = errors;
  const detail = first === undefined ? '' : `: ${first.pointer.slice(1)} ${first.detail}`;
  return new ProblemError(problem('invalid', `The query has the wrong shape${detail}`, { errors }));
};
