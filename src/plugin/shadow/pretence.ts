import { canonicalJson } from '../../../domain/canonical-json.ts';
import type { Json } from '../../../domain/event.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { Wish, WishAnswer } from '../sandbox/sandbox.ts';
import { fieldsOf } from './following.ts';
import type { Recorded } from './recorder.ts';

/** Does the wishes of a shadow, so that nothing of them happens. */
export type Pretence = {
  wish(wish: Wish): Promise<WishAnswer>;
  /** In the order in which they came; the first 10,000. */
  readonly wishes: readonly Wish[];
  /** What was not granted, by operation. */
  readonly refused: Readonly<Record<string, number>>;
};

export type PretenceInput = {
  /** What the running version asked for, and was answered. */
  readonly recorded: readonly Recorded[];
  granted(wish: Wish): boolean;
  /** Carries out a wish that only reads. */
  read(wish: Wish): Promise<WishAnswer>;
  /** Ms since 1970. */
  now(): number;
};

const maxWishes = 10_000;
const reads: ReadonlySet<string> = new Set(['state.get', 'state.list', 'services.list']);
/** Begin and end what is followed: the calls of it are the recorded ones. */
const follows: ReadonlySet<string> = new Set(['subscribe', 'unsubscribe', 'state.watch', 'state.unwatch']);

/** What the shadow has made of a key; null: deleted. */
type Written = { readonly value: Json; readonly version: number; readonly updatedAt: string } | null;

const refuse = (code: string, message: string): WishAnswer => ({ ok: false, code, message });
const answer = (value: Json): WishAnswer => ({ ok: true, value });

const keyOf = ({ operation, data }: Wish): string => `${operation} ${canonicalJson(data)}`;

/** The answers that the running version got to each wish, the one that comes next first; the last one stays. */
const answersOf = (recorded: readonly Recorded[]) => {
  const byWish = new Map<string, WishAnswer[]>();
  for (const entry of recorded) {
    if (entry.type !== 'wish') continue;
    const key = keyOf(entry.wish);
    const known = byWish.get(key);
    if (known === undefined) byWish.set(key, [entry.answer]);
    else known.push(entry.answer);
  }
  return (wish: Wish): WishAnswer | undefined => {
    const known = byWish.get(keyOf(wish));
    return known !== undefined && known.length > 1 ? known.shift() : known?.[0];
  };
};

export const createPretence = ({ recorded, granted, read, now }: PretenceInput): Pretence => {
  const wishes: Wish[] = [];
  const refused: Record<string, number> = {};
  const answered = answersOf(recorded);
  const written = new Map<string, Written>();
  let made = 0;

  const entryOf = (key: string, entry: Written): Json =>
    entry === null ? null : { key, ...entry, updatedBy: 'shadow', position: '' };

  const write = (key: string, { value }: JsonObject): WishAnswer => {
    const version = (written.get(key)?.version ?? 0) + 1;
    if (written.has(key) || written.size < maxWishes) {
      written.set(key, { value: value ?? null, version, updatedAt: new Date(now()).toISOString() });
    }
    return answer({ version, position: '' });
  };

  /** What a good answer would look like; nobody knows what a stranger answers. */
  const pretend = ({ operation, data }: Wish): WishAnswer => {
    const fields = fieldsOf(data);
    const key = String(fields.key);
    switch (operation) {
      case 'publish':
        made += 1;
        return answer({ messageId: `shadow-${made}`, position: '' });
      case 'state.set':
        return write(key, fields);
      case 'state.delete':
        if (written.has(key) || written.size < maxWishes) written.set(key, null);
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
    async wish(wish) {
      const { operation, data } = wish;
      if (wishes.length < maxWishes) wishes.push(wish);
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
      const known = answered(wish);
      if (known !== undefined) {
        // Later reads see what was written, whoever answered.
        if (known.ok) pretend(wish);
        return known;
      }
      return reads.has(operation) ? read(wish) : pretend(wish);
    },
  };
};
