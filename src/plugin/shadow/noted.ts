import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import type { Json } from '../../../domain/event.ts';
import type { Wish, WishAnswer } from '../sandbox/sandbox.ts';
import { fieldsOf } from './following.ts';
import type { Recorded } from './recorder.ts';

/** The JSON that is shown of one input, answer or wish. */
const maxShownChars = 2_048;

/** A copy: the slice of a text holds all of it. */
const startOf = (text: string): string => `${Buffer.from(text.slice(0, maxShownChars)).toString()}…`;

/** As it is, or the start of its JSON when that is long. */
export const shown = (value: Json): Json => {
  const text = JSON.stringify(value);
  return text.length <= maxShownChars ? value : startOf(text);
};

/** A wish as it is compared and shown; its data, which may be large, is not held. */
export type Noted = {
  readonly operation: string;
  /** The same for wishes that are the same, whatever the order of their keys. */
  readonly digest: string;
  /** What it is aimed at: two of one aim are the same wish with another content. */
  readonly aim: string;
  /** The JSON of its data, when that is long the start of it. */
  readonly text: string;
  /** Characters of that JSON as a whole. */
  readonly length: number;
};

const digestOf = (operation: string, text: string): string =>
  hash('sha256', `${operation} ${text}`, 'base64url');

export const noteOf = ({ operation, data }: Wish): Noted => {
  const text = canonicalJson(data);
  const { topic, key, service, method, url } = fieldsOf(data);
  const aim = canonicalJson([topic ?? null, key ?? null, service ?? null, method ?? null, url ?? null]);
  return {
    operation,
    digest: digestOf(operation, text),
    aim: digestOf(operation, aim),
    text: text.length <= maxShownChars ? text : startOf(text),
    length: text.length,
  };
};

/** The data of a wish as it is shown. */
export const shownData = ({ text, length }: Noted): Json => {
  if (length > maxShownChars) return text;
  const data: Json = JSON.parse(text);
  return data;
};

/** A wish of the running version, and what it was answered. */
export type NotedWish = { readonly atMs: number; readonly noted: Noted; readonly answer: WishAnswer };

/** Some milliseconds of work, when it is of small numbers. */
const charsPerTurn = 65_536;
/** What a wish costs beyond the length of its JSON. */
const charsPerWish = 256;

/** The wishes among what was recorded; others have their turn between them when they are many. */
export const noteAll = async (recorded: readonly Recorded[]): Promise<NotedWish[]> => {
  const found: NotedWish[] = [];
  let chars = 0;
  for (const entry of recorded) {
    if (entry.type !== 'wish') continue;
    const noted = noteOf(entry.wish);
    found.push({ atMs: entry.atMs, noted, answer: entry.answer });
    chars += noted.length + charsPerWish;
    if (chars < charsPerTurn) continue;
    chars = 0;
    await nextTurn();
  }
  return found;
};
