import { sameJson } from '../../../domain/json.ts';
import type { ShadowDifference, ShadowReport } from '../../nexus-plugins.ts';
import type { Death, GuestHost, Program, Sandbox, Wish, WishAnswer } from '../sandbox/sandbox.ts';
import { compareWishes, shownAnswer } from './compare.ts';
import { createFollowing } from './following.ts';
import { noteAll, shown, shownData } from './noted.ts';
import { createPretence } from './pretence.ts';
import type { Recorded } from './recorder.ts';

export type ShadowInput = {
  readonly running: { readonly version: string; readonly hash: string };
  readonly hash: string;
  /** With the configuration and the limits of the running version. */
  readonly program: Program;
  readonly sandbox: Pick<Sandbox, 'start'>;
  readonly minutes: number;
  /** Of the last `minutes`. */
  readonly recorded: readonly Recorded[];
  /** What the running version follows: `Recorder.following`. */
  readonly following: readonly string[];
  granted(wish: Wish): boolean;
  read(wish: Wish): Promise<WishAnswer>;
  /** Ms since 1970. */
  now(): number;
  /** 60,000 unless given. */
  readonly maxMs?: number;
};

/** `reason`: why the version does not start. */
export type ShadowOutcome =
  | { readonly ok: true; readonly report: ShadowReport }
  | { readonly ok: false; readonly reason: string };

const defaultMaxMs = 60_000;
const maxShown = 100;
const stopMs = 1_000;

type RecordedCall = Extract<Recorded, { readonly type: 'call' }>;

const quantile = (sorted: Float64Array, share: number): number | null =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;

const latencyOf = (durationsMs: readonly number[]) => {
  const sorted = Float64Array.from(durationsMs).sort();
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
};

const isCall = (entry: Recorded): entry is RecordedCall => entry.type === 'call';

type WishDifference = ShadowReport['wishes'][number];

/** What only one of the two follows, told as wishes. */
const followingDifferences = (running: readonly string[], shadow: readonly string[]): WishDifference[] => [
  ...running
    .filter((label) => !shadow.includes(label))
    .map((label) => ({ operation: 'follow', running: label, shadow: null })),
  ...shadow
    .filter((label) => !running.includes(label))
    .map((label) => ({ operation: 'follow', running: null, shadow: label })),
];

/** Shows the program what was recorded, one call after the other, and tells what it did otherwise (ADR 0054). */
export const runShadow = async (input: ShadowInput): Promise<ShadowOutcome> => {
  const { program, recorded, minutes, running, maxMs = defaultMaxMs } = input;
  const noted = await noteAll(recorded);
  const pretence = createPretence({ ...input, recorded: noted });
  const following = createFollowing();
  const died = Promise.withResolvers<Death>();
  let death: Death | undefined;
  const end = (how: Death): void => {
    death ??= how;
    died.resolve(how);
  };
  const host: GuestHost = {
    async wish(wish) {
      const answer = await pretence.wish(wish);
      following.noted(wish, answer);
      return answer;
    },
    log: () => {},
    limited: () => {},
    down: end,
    ready: () => {},
    ended: end,
  };
  const started = await input.sandbox.start(program, host);
  if (!started.ok) return { ok: false, reason: started.death.reason };
  const { guest } = started;

  const calls = recorded.filter(isCall);
  const differences: ShadowDifference[] = [];
  const failures: Record<string, number> = {};
  const took: { readonly running: number[]; readonly shadow: number[] } = { running: [], shadow: [] };
  let differentAnswers = 0;
  let shownCalls = 0;

  const compare = async (call: RecordedCall): Promise<void> => {
    const target = following.targetOf(call.label);
    const startedMs = performance.now();
    const answer =
      target === undefined
        ? ({ ok: false, fault: 'no_handler', message: `nothing follows ${call.label}` } as const)
        : await guest.call(target, call.input, program.limits.timeoutMs);
    took.running.push(call.durationMs);
    took.shadow.push(performance.now() - startedMs);
    if (!answer.ok) failures[answer.fault] = (failures[answer.fault] ?? 0) + 1;
    const [was, is] = [shownAnswer(call.answer), shownAnswer(answer)];
    if (sameJson(was, is)) return;
    differentAnswers += 1;
    if (differences.length < maxShown)
      differences.push({
        target: call.label,
        input: shown(call.input),
        running: shown(was),
        shadow: shown(is),
      });
  };

  const untilMs = performance.now() + maxMs;
  for (const call of calls) {
    if (death !== undefined || performance.now() >= untilMs) break;
    await Promise.race([compare(call), died.promise]);
    shownCalls += 1;
  }
  await guest.stop(stopMs);

  // What belongs to calls that were not shown would be missing.
  const shownToMs = calls[shownCalls]?.atMs ?? Number.POSITIVE_INFINITY;
  const wished = noted.filter(({ atMs }) => atMs <= shownToMs).map((wish) => wish.noted);
  const wishes = await compareWishes(wished, pretence.wishes);
  const follows = followingDifferences(input.following, following.labels());
  const wishDifferences = wishes.differences.slice(0, maxShown).map((one) => ({
    operation: one.operation,
    running: one.running && shownData(one.running),
    shadow: one.shadow && shownData(one.shadow),
  }));
  if (death !== undefined) failures[death.cause] = (failures[death.cause] ?? 0) + 1;
  return {
    ok: true,
    report: {
      name: program.name,
      running,
      shadow: { version: program.version, hash: input.hash },
      minutes,
      calls: shownCalls,
      notShown: calls.length - shownCalls,
      differentAnswers,
      missingWishes: wishes.missing + follows.filter(({ shadow }) => shadow === null).length,
      additionalWishes: wishes.additional + follows.filter(({ running: label }) => label === null).length,
      differentWishes: wishes.different,
      wishesLeftOut: pretence.leftOut,
      refused: pretence.refused,
      failures,
      latencyMs: { running: latencyOf(took.running), shadow: latencyOf(took.shadow) },
      differences,
      wishes: [...follows, ...wishDifferences].slice(0, maxShown),
    },
  };
};
