import type { Json } from '../../../domain/event.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { Wish, WishAnswer } from '../sandbox/sandbox.ts';
import { isEffect } from './compare.ts';
import { fieldsOf } from './following.ts';
import { type Noted, type NotedWish, noteOf } from './noted.ts';

/** Does the wishes of a shadow, so that nothing of them happens. */
export type Pretence = {
  wish(wish: Wish): Promise<WishAnswer>;
  /** Those that would bring something about, in the order in which they came: the first 10,000, of 4 MiB at most. */
  readonly wishes: readonly Noted[];
  /** How many could not be kept in `wishes`, or did not find room for what they wrote. */
  readonly leftOut: number;
  /** What was not granted, by operation. */
  readonly refused: Readonly<Record<string, number>>;
};

export type PretenceInput = {
  /** What the running version asked for, and was answered. */
  readonly recorded: readonly NotedWish[];
  granted(wish: Wish): boolean;
  /** Carries out a wish that only reads. */
  read(wish: Wish): Promise<WishAnswer>;
  /** Ms since 1970. */
  now(): number;
};

const maxWishes = 10_000;
/** Of the text of what is kept, and as much again of what was written. */
const maxBytes = 4_194_304;
const reads: ReadonlySet<string> = new Set(['state.get', 'state.list', 'services.list']);
/** Begin and end what is followed: the calls of it are the recorded ones. */
const follows: ReadonlySet<string> = new Set(['subscribe', 'unsubscribe', 'state.watch', 'state.unwatch']);

/** What the shadow has made of a key, its value as JSON: a text has a length that can be told; null: deleted. */
type Written = { readonly text: string; readonly version: number; readonly updatedAt: string } | null;

const refuse = (code: string, message: string): WishAnswer => ({ ok: false, code, message });
const answer = (value: Json): WishAnswer => ({ ok: true, value });

const weightOf = (key: string, entry: Written): number =>
  Buffer.byteLength(key) + (entry === null ? 0 : Buffer.byteLength(entry.text));

/** The answers that the running version got to each wish, the one that comes next first; the last one stays. */
const answersOf = (recorded: readonly NotedWish[]) => {
  const byWish = new Map<string, WishAnswer[]>();
  for (const { noted, answer } of recorded) {
    const known = byWish.get(noted.digest);
    if (known === undefined) byWish.set(noted.digest, [answer]);
    else known.push(answer);
  }
  return ({ digest }: Noted): WishAnswer | undefined => {
    const known = byWish.get(digest);
    return known !== undefined && known.length > 1 ? known.shift() : known?.[0];
  };
};

export const createPretence = ({ recorded, granted, read, now }: PretenceInput): Pretence => {
  const wishes: Noted[] = [];
  const refused: Record<string, number> = {};
  const answered = answersOf(recorded);
  const written = new Map<string, Written>();
  let made = 0;
  let leftOut = 0;
  let keptBytes = 0;
  let writtenBytes = 0;

  const entryOf = (key: string, entry: Written): Json => {
    if (entry === null) return null;
    const { text, version, updatedAt } = entry;
    const value: Json = JSON.parse(text);
    return { key, value, version, updatedAt, updatedBy: 'shadow', position: '' };
  };

  /** @returns false when it is left out. */
  const keep = (noted: Noted): boolean => {
    if (!isEffect(noted)) return true;
    const bytes = Buffer.byteLength(noted.text);
    if (wishes.length >= maxWishes || keptBytes + bytes > maxBytes) {
      leftOut += 1;
      return false;
    }
    keptBytes += bytes;
    wishes.push(noted);
    return true;
  };

  /** @param isKept false: the wish counts as left out already. */
  const put = (key: string, entry: Written, isKept: boolean): void => {
    const old = written.get(key);
    if (old !== undefined) writtenBytes -= weightOf(key, old);
    // Without room a read finds what the hub has, rather than what the shadow has replaced.
    written.delete(key);
    const bytes = weightOf(key, entry);
    if (written.size < maxWishes && writtenBytes + bytes <= maxBytes) {
      written.set(key, entry);
      writtenBytes += bytes;
    } else if (isKept) leftOut += 1;
  };

  const write = (key: string, { value }: JsonObject, isKept: boolean): WishAnswer => {
    const version = (written.get(key)?.version ?? 0) + 1;
    const text = JSON.stringify(value ?? null);
    put(key, { text, version, updatedAt: new Date(now()).toISOString() }, isKept);
    return answer({ version, position: '' });
  };

  /** What a good answer would look like; nobody knows what a stranger answers. */
  const pretend = ({ operation, data }: Wish, isKept: boolean): WishAnswer => {
    const fields = fieldsOf(data);
    const key = String(fields.key);
    switch (operation) {
      case 'publish':
        made += 1;
        return answer({ messageId: `shadow-${made}`, position: '' });
      case 'state.set':
        return write(key, fields, isKept);
      case 'state.delete':
        put(key, null, isKept);
        return answer(null);
      default:
        return refuse(
          'not_recorded',
          `nobody knows what ${operation} would have answered: it is not carried out`,
        );
    }
  };

  return {
    wishes,
    refused,
    get leftOut() {
      return leftOut;
    },
    async wish(wish) {
      const { operation, data } = wish;
      const noted = noteOf(wish);
      const isKept = keep(noted);
      if (!granted(wish)) {
        refused[operation] = (refused[operation] ?? 0) + 1;
        return refuse('not_granted', `${operation} is not granted`);
      }
      if (follows.has(operation)) return answer(null);
      const { key } = fieldsOf(data);
      if (operation === 'state.get' && typeof key === 'string') {
        const own = written.get(key);
        if (own !== undefined) return answer(entryOf(key, own));
      }
      const known = answered(noted);
      if (known !== undefined) {
        // Later reads see what was written, whoever answered.
        if (known.ok) pretend(wish, isKept);
        return known;
      }
      return reads.has(operation) ? read(wish) : pretend(wish, isKept);
    },
  };
};
