/** Asks the child, whose Node parses: the question and the answer are JSON. Empty when there is no such URL. */
export type AskUrl = (question: string) => string;

/** What may be set of a URL. */
export const urlParts = [
  'href',
  'protocol',
  'username',
  'password',
  'host',
  'hostname',
  'port',
  'pathname',
  'search',
  'hash',
] as const;
export type UrlPart = (typeof urlParts)[number];
export type UrlFacts = Readonly<Record<UrlPart | 'origin', string>>;
export type UrlQuestion =
  | { readonly href: string; readonly base?: string }
  | { readonly href: string; readonly part: UrlPart; readonly value: string };

const encode = (text: string): string =>
  encodeURIComponent(text.toWellFormed())
    .replace(/[!'()~]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');

const decode = (text: string): string => {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
};

type Pair = [name: string, value: string];

const pairsOf = (text: string): Pair[] =>
  text
    .replace(/^\?/, '')
    .split('&')
    .filter((piece) => piece !== '')
    .map((piece) => {
      const equals = piece.indexOf('=');
      return equals < 0
        ? [decode(piece), '']
        : [decode(piece.slice(0, equals)), decode(piece.slice(equals + 1))];
    });

const isIterable = (value: object): value is Iterable<readonly [string, string]> => Symbol.iterator in value;

class URLSearchParams {
  #pairs: Pair[];
  #changed: (text: string) => void = () => {};

  constructor(init: string | Iterable<readonly [string, string]> | Readonly<Record<string, string>> = '') {
    if (typeof init === 'object' && init !== null) {
      const entries = isIterable(init) ? [...init] : Object.entries(init);
      this.#pairs = entries.map(([name, value]): Pair => [`${name}`, `${value}`]);
    } else this.#pairs = pairsOf(`${init}`);
  }
  static following(text: string, changed: (text: string) => void): URLSearchParams {
    const made = new URLSearchParams(text);
    made.#changed = changed;
    return made;
  }
  get size(): number {
    return this.#pairs.length;
  }
  get(name: string): string | null {
    return this.#pairs.find(([other]) => other === `${name}`)?.[1] ?? null;
  }
  getAll(name: string): string[] {
    return this.#pairs.filter(([other]) => other === `${name}`).map(([, value]) => value);
  }
  has(name: string, value?: string): boolean {
    return this.#pairs.some(
      ([other, has]) => other === `${name}` && (value === undefined || has === `${value}`),
    );
  }
  append(name: string, value: string): void {
    this.#pairs.push([`${name}`, `${value}`]);
    this.#changed(this.toString());
  }
  delete(name: string, value?: string): void {
    this.#pairs = this.#pairs.filter(
      ([other, has]) => other !== `${name}` || (value !== undefined && has !== `${value}`),
    );
    this.#changed(this.toString());
  }
  set(name: string, value: string): void {
    const first = this.#pairs.findIndex(([other]) => other === `${name}`);
    if (first < 0) this.#pairs.push([`${name}`, `${value}`]);
    else {
      this.#pairs = this.#pairs.filter(([other], index) => index <= first || other !== `${name}`);
      this.#pairs[first] = [`${name}`, `${value}`];
    }
    this.#changed(this.toString());
  }
  sort(): void {
    this.#pairs.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
    this.#changed(this.toString());
  }
  forEach(run: (value: string, name: string, all: URLSearchParams) => void): void {
    for (const [name, value] of this.#pairs) run(value, name, this);
  }
  *keys() {
    for (const [name] of this.#pairs) yield name;
  }
  *values() {
    for (const [, value] of this.#pairs) yield value;
  }
  *entries() {
    for (const [name, value] of this.#pairs) yield [name, value];
  }
  [Symbol.iterator]() {
    return this.entries();
  }
  toString(): string {
    return this.#pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
  }
}

/** `URL` and `URLSearchParams`; without `createObjectURL`. */
export const urlClasses = (ask: AskUrl) => {
  const asked = (question: UrlQuestion): UrlFacts | undefined => {
    const answer = ask(JSON.stringify(question));
    return answer === '' ? undefined : JSON.parse(answer);
  };
  const parsed = (href: unknown, base: unknown): UrlFacts | undefined =>
    asked(base === undefined ? { href: `${href}` } : { href: `${href}`, base: `${base}` });

  class URL {
    #facts: UrlFacts;
    #params: URLSearchParams | undefined;

    constructor(href: unknown, base?: unknown) {
      const facts = parsed(href, base);
      if (facts === undefined) throw new TypeError('Invalid URL');
      this.#facts = facts;
    }
    static canParse(href: unknown, base?: unknown): boolean {
      return parsed(href, base) !== undefined;
    }
    static parse(href: unknown, base?: unknown): URL | null {
      return URL.canParse(href, base) ? new URL(href, base) : null;
    }
    static {
      for (const part of urlParts) {
        Object.defineProperty(URL.prototype, part, {
          get(this: URL) {
            return this.#facts[part];
          },
          set(this: URL, value: unknown) {
            const facts = asked({ href: this.#facts.href, part, value: `${value}` });
            if (facts === undefined) throw new TypeError('Invalid URL');
            this.#facts = facts;
            this.#params = undefined;
          },
          enumerable: true,
          configurable: true,
        });
      }
    }
    get origin(): string {
      return this.#facts.origin;
    }
    get searchParams(): URLSearchParams {
      this.#params ??= URLSearchParams.following(this.#facts.search, (value) => {
        this.#facts = asked({ href: this.#facts.href, part: 'search', value }) ?? this.#facts;
      });
      return this.#params;
    }
    toString(): string {
      return this.#facts.href;
    }
    toJSON(): string {
      return this.#facts.href;
    }
  }
  return { URL, URLSearchParams };
};
