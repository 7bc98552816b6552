import type { Json } from 'nexus-integration-core/plugin';

/** Pure: what the documents of the view are, and what they become. */

export const actions = ['publish', 'state', 'register', 'invoke'] as const;
export type Action = (typeof actions)[number];

/** One thing that somebody did. */
export type Entry = {
  /** Position of the message; a number of the plugin's own for what hooks told. Once in the view. */
  readonly id: string;
  /** RFC 3339. */
  readonly at: string;
  readonly subject: string;
  readonly action: Action;
  /** The topic, key or service, its first 256 characters. */
  readonly target: string;
  /** What became of a call; `asked` of a registration, which may have been refused after that. */
  readonly outcome?: string;
};

export type Counts = { readonly [action in Action]: number };

export type Day = {
  readonly day: string;
  readonly subjects: { readonly [subject: string]: Counts };
  /** Of those subjects that came when there were `maxSubjects` already. */
  readonly others: Counts;
  /** Ids that were counted last, messages apart from the rest: what is delivered, or written, again is not counted again. */
  readonly counted: { readonly messages: readonly string[]; readonly others: readonly string[] };
};

export type Recent = { readonly entries: readonly Entry[] };

export const maxInFlight = 192;
/** More than the messages that can be on their way unacknowledged, and a batch of the rest. */
const maxCounted = 2 * maxInFlight;
const maxTarget = 256;
const maxSubject = 256;

export const none: Counts = { publish: 0, state: 0, register: 0, invoke: 0 };

export const entryOf = (
  id: string,
  at: string,
  subject: string,
  action: Action,
  target: string,
  outcome?: string,
): Entry => ({
  id,
  at,
  subject: subject.slice(0, maxSubject),
  action,
  target: target.slice(0, maxTarget),
  ...(outcome === undefined ? {} : { outcome }),
});

export const dayOf = (at: string): string => at.slice(0, 10);

/** The document with the entries counted that it has not counted yet; undefined when there is none. */
export const count = (day: Day, entries: readonly Entry[], maxSubjects: number): Day | undefined => {
  const known = new Set([...day.counted.messages, ...day.counted.others]);
  // A message that two topic patterns match comes twice.
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const fresh = [...byId.values()].filter(({ id }) => !known.has(id));
  if (fresh.length === 0) return undefined;
  const subjects = new Map(Object.entries(day.subjects));
  let { others } = day;
  for (const { subject, action } of fresh) {
    const counts = subjects.get(subject);
    if (counts === undefined && subjects.size >= maxSubjects) others = plusOne(others, action);
    else subjects.set(subject, plusOne(counts ?? none, action));
  }
  const [messages, rest] = [fresh.filter(isMessage), fresh.filter((entry) => !isMessage(entry))];
  return {
    day: day.day,
    subjects: Object.fromEntries(subjects),
    others,
    counted: {
      messages: lastIds(day.counted.messages, messages),
      others: lastIds(day.counted.others, rest),
    },
  };
};

const isMessage = ({ action }: Entry): boolean => action === 'publish';

const lastIds = (known: readonly string[], entries: readonly Entry[]): readonly string[] =>
  [...known, ...entries.map(({ id }) => id)].slice(-maxCounted);

const plusOne = (counts: Counts, action: Action): Counts => ({ ...counts, [action]: counts[action] + 1 });

/** The last `limit` entries of both, the newest first, each once; undefined when those of `recent` are. */
export const remember = (recent: Recent, entries: readonly Entry[], limit: number): Recent | undefined => {
  const known = new Set(recent.entries.map(({ id }) => id));
  const byId = new Map([...recent.entries, ...entries].map((entry) => [entry.id, entry]));
  const sorted = [...byId.values()].sort((one, other) =>
    one.at < other.at ? 1 : one.at > other.at ? -1 : 0,
  );
  const last = sorted.slice(0, limit);
  return last.length === known.size && last.every(({ id }) => known.has(id)) ? undefined : { entries: last };
};

const isRecord = (value: Json | undefined): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const countsOf = (value: Json | undefined): Counts => {
  const counts = { ...none };
  for (const action of actions) {
    const held = isRecord(value) ? value[action] : undefined;
    if (typeof held === 'number') counts[action] = held;
  }
  return counts;
};

const textsIn = (value: Json | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** What is kept, or a new document: an operator may have written there. */
export const dayIn = (day: string, value: Json | undefined): Day => {
  if (!isRecord(value)) return { day, subjects: {}, others: none, counted: { messages: [], others: [] } };
  const subjects = isRecord(value.subjects) ? Object.entries(value.subjects) : [];
  const counted = isRecord(value.counted) ? value.counted : {};
  return {
    day,
    subjects: Object.fromEntries(subjects.map(([subject, counts]) => [subject, countsOf(counts)])),
    others: countsOf(value.others),
    counted: { messages: textsIn(counted.messages), others: textsIn(counted.others) },
  };
};

const isAction = (value: Json | undefined): value is Action => actions.some((action) => action === value);

export const recentIn = (value: Json | undefined): Recent => {
  const entries: Entry[] = [];
  for (const held of isRecord(value) && Array.isArray(value.entries) ? value.entries : []) {
    if (!isRecord(held) || !isAction(held.action)) continue;
    const { id, at, subject, action, target, outcome } = held;
    if ([id, at, subject, target].some((text) => typeof text !== 'string')) continue;
    entries.push(
      entryOf(
        String(id),
        String(at),
        String(subject),
        action,
        String(target),
        typeof outcome === 'string' ? outcome : undefined,
      ),
    );
  }
  return { entries };
};
