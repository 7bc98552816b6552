/**
 * What consumers of a durable subscription record while they are killed, and what may stand in such records. Times are
 * those of the machine's monotonic clock, which all its processes share: of two things of which one has led to the other
 * the first has the smaller time, so nothing here is held to a tolerance.
 */

/** Nanoseconds of the clock that all processes of the machine share. */
export const nowNs = (): number => Number(process.hrtime.bigint());

/** A message came. */
export type Received = {
  readonly what: 'received';
  readonly ns: number;
  readonly delivery: string;
  readonly attempt: number;
  readonly messageId: string;
  readonly key: string;
  readonly position: string;
};

/** `acking`: about to be acknowledged; `acked`, `durable`: the hub has answered so; `refused`: it has not taken it. */
export type Told = {
  readonly what: 'acking' | 'acked' | 'durable' | 'refused';
  readonly ns: number;
  readonly delivery: string;
  readonly code?: string;
};

/** The connection has ended: what it held is no more the consumer's. */
export type Cut = { readonly what: 'cut'; readonly ns: number };

export type Entry = Received | Told | Cut;

export const lineOf = (entry: Entry): string => `${JSON.stringify(entry)}\n`;

/** Those of a file that ends wherever its writer was killed. Decode boundary: only `lineOf` writes there. */
export const entriesIn = (text: string): readonly Entry[] =>
  text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Entry]));

/** One life of a consumer; `endedNs` when it was killed: a moment before that. */
export type Life = { readonly entries: readonly Entry[]; readonly endedNs?: number };

export type Records = {
  readonly lives: readonly Life[];
  /** Moments right before the hub that served the subscription was killed or replaced. */
  readonly handovers: readonly number[];
  /** Ids of the messages whose publisher was told that they are durable. */
  readonly published: readonly string[];
};

/** One delivery, as its consumer saw it. Times that never came are infinite. */
export type Held = Received & {
  readonly ackingNs: number;
  readonly ackedNs: number;
  readonly isDurable: boolean;
  /** When the consumer or its connection ended, or the hub that had given it. */
  readonly brokenNs: number;
};

const never = Number.POSITIVE_INFINITY;
const firstAfter = (times: readonly number[], ns: number): number =>
  times.reduce((first, time) => (time >= ns && time < first ? time : first), never);

const heldIn = ({ entries, endedNs = never }: Life, handovers: readonly number[]): readonly Held[] => {
  const cuts = entries.flatMap(({ what, ns }) => (what === 'cut' ? [ns] : []));
  const ends = [...cuts, ...handovers];
  const told = new Map<string, { ackingNs: number; ackedNs: number; isDurable: boolean }>();
  for (const entry of entries) {
    if (entry.what === 'received') {
      told.set(entry.delivery, { ackingNs: never, ackedNs: never, isDurable: false });
      continue;
    }
    const of = entry.what === 'cut' ? undefined : told.get(entry.delivery);
    if (of === undefined) continue;
    if (entry.what === 'acking') of.ackingNs = Math.min(of.ackingNs, entry.ns);
    if (entry.what === 'acked' || entry.what === 'durable') of.ackedNs = entry.ns;
    if (entry.what === 'durable') of.isDurable = true;
  }
  return entries.flatMap((entry) => {
    if (entry.what !== 'received') return [];
    const of = told.get(entry.delivery) ?? { ackingNs: never, ackedNs: never, isDurable: false };
    // A moment passes between the end that was noted and the kill: what came in it is broken at once.
    const killedNs = Math.max(endedNs, entry.ns);
    return [{ ...entry, ...of, brokenNs: Math.min(killedNs, firstAfter(ends, entry.ns)) }];
  });
};

/** Every delivery, in the order in which they came. */
export const deliveriesIn = ({ lives, handovers }: Records): readonly Held[] =>
  lives.flatMap((life) => heldIn(life, handovers)).sort((left, right) => left.ns - right.ns);

const groupedBy = (held: readonly Held[], by: 'messageId' | 'key'): ReadonlyMap<string, readonly Held[]> =>
  Map.groupBy(held, (one) => one[by]);

const orderFaults = (held: readonly Held[]): readonly string[] => {
  const faults: string[] = [];
  for (const [key, ofKey] of groupedBy(held, 'key')) {
    const seen = new Set<string>();
    let last: Held | undefined;
    for (const one of ofKey) {
      if (seen.has(one.messageId)) continue;
      seen.add(one.messageId);
      if (last !== undefined && one.position <= last.position)
        faults.push(`${key}: ${one.position} was first delivered behind ${last.position}`);
      last = one;
    }
  }
  return faults;
};

const holdFaults = (held: readonly Held[]): readonly string[] => {
  const faults: string[] = [];
  for (const [key, ofKey] of groupedBy(held, 'key')) {
    let last: Held | undefined;
    for (const one of ofKey) {
      if (last !== undefined && one.ns < Math.min(last.ackingNs, last.brokenNs))
        faults.push(`${key}: ${one.position} came while ${last.position} was held`);
      last = one;
    }
  }
  return faults;
};

/** Why a message was delivered again behind `one`, or undefined when it should not have been. */
const reasonFor = (
  one: Held,
  again: Held,
  handovers: readonly number[],
): 'unanswered' | 'forgotten' | undefined => {
  if (one.isDurable) return undefined;
  if (one.ackedNs < again.ns) return firstAfter(handovers, one.ns) < again.ns ? 'forgotten' : undefined;
  return one.brokenNs < again.ns ? 'unanswered' : undefined;
};

export type Findings = {
  readonly faults: readonly string[];
  readonly deliveries: number;
  /** Deliveries of a message that was delivered before. */
  readonly again: number;
  /** Those of them whose acknowledgement had been answered before its hub was killed: less than a second before, by the rule. */
  readonly forgotten: number;
  readonly durable: number;
};

/** Holds what consumers saw to what a durable subscription with `order: "key"` promises. */
export const findingsOf = (records: Records): Findings => {
  const held = deliveriesIn(records);
  const byMessage = groupedBy(held, 'messageId');
  const faults: string[] = [];
  let again = 0;
  let forgotten = 0;
  for (const id of records.published) {
    const of = byMessage.get(id) ?? [];
    if (!of.some(({ ackingNs }) => ackingNs < never)) faults.push(`${id} was never acknowledged`);
  }
  for (const [id, of] of byMessage) {
    for (const [index, next] of of.entries()) {
      const one = of[index - 1];
      if (one === undefined) continue;
      again++;
      const reason = reasonFor(one, next, records.handovers);
      if (reason === 'forgotten') forgotten++;
      if (reason === undefined) faults.push(`${id} was delivered again (${next.attempt}) for no reason`);
    }
  }
  faults.push(...orderFaults(held), ...holdFaults(held));
  const durable = held.filter(({ isDurable }) => isDurable).length;
  return { faults, deliveries: held.length, again, forgotten, durable };
};
