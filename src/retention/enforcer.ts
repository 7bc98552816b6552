import { setImmediate as nextTurn } from 'node:timers/promises';
import { type NewMetadata, streamId } from '../../domain/event.ts';
import type { Limits } from '../../domain/retention/retention.ts';
import type { RetentionDocument, TopicDocument } from '../../projections/documents.ts';
import { retention, retentionKey } from '../../projections/retention.ts';
import { topics } from '../../projections/topics.ts';
import type { Handler } from '../command/handle.ts';
import { newId } from '../ids.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Runner } from '../projection/runner.ts';
import { cutOf, type Progress } from './cut.ts';
import { createTopicLimits, type TopicLimits, withDefaults } from './limits.ts';
import { finishTrims, trimTopic } from './trim.ts';

export type Run = {
  /** Topics that were looked at. */
  readonly topics: number;
  readonly truncatedEvents: number;
  /** False when there is more to do at once. */
  readonly done: boolean;
};

/**
 * Removes what the retention policies leave no place for. A run looks at the topics that were published on since the last
 * one and at those whose oldest message is too old by now; at all of them after a start, a change of policies or a failure.
 */
export type Enforcer = {
  /** One at a time. @throws {LogError} when the log fails in the middle: the next run begins anew. */
  run(nowMs: number, signal: AbortSignal): Promise<Run>;
  close(): void;
};

export type EnforcerOptions = {
  readonly log: EventLog;
  readonly runner: Runner;
  readonly handler: Pick<Handler, 'appendAny'>;
  readonly node: string;
  /** A policy was set or removed. */
  readonly onPolicies: () => void;
};

/** Topics that are remembered; with more, each run looks at all of them, and counts the bytes of the others anew. */
const maxRemembered = 50_000;
const maxTouched = 100_000;
const pageTopics = 256;
/** How long the first run waits for the read models to have met the log's end. */
const readModelsMs = 10_000;
/** Topics that are worked on at a time: their appends share a commit. */
const side = 16;

type Candidate = readonly [topic: string, newest: number];

export const createEnforcer = ({ log, runner, handler, node, onPolicies }: EnforcerOptions): Enforcer => {
  const remembered = new Map<string, Progress>();
  let touched = new Set<string>();
  let everything = true;
  let unfinished = false;
  let finished = false;
  let limits: TopicLimits | undefined;
  /** Revision of the policies that `limits` are of. */
  let limitsAt: number | undefined;

  const touch = (topic: string): void => {
    if (touched.size < maxTouched) touched.add(topic);
    else everything = true;
  };

  const unfollow = runner.onFolded((changes) => {
    let changed = false;
    for (const { model, key } of changes) {
      if (model === topics.name && limits !== undefined) touch(key);
      else if (model === retention.name) changed = true;
    }
    if (changed) onPolicies();
  });

  const allTopics = function* (): Iterable<readonly Candidate[]> {
    for (let after: string | undefined; ; ) {
      const page: Candidate[] = [];
      const range = runner.store.range<TopicDocument>(topics.name, after === undefined ? {} : { after });
      for (const [topic, { revision }] of range) {
        page.push([topic, revision]);
        after = topic;
        if (page.length === pageTopics) break;
      }
      yield page;
      if (page.length < pageTopics) return;
    }
  };

  const isDue = (topic: string, { oldest }: Progress, nowMs: number): boolean => {
    const maxAgeSec = limits?.of(topic)?.maxAgeSec ?? null;
    return maxAgeSec !== null && oldest !== undefined && oldest.ms < nowMs - maxAgeSec * 1_000;
  };

  const someTopics = function* (names: ReadonlySet<string>): Iterable<readonly Candidate[]> {
    let page: Candidate[] = [];
    for (const topic of names) {
      const document = runner.store.read<TopicDocument>(topics.name, topic);
      if (document !== undefined) page.push([topic, document.revision]);
      if (page.length < pageTopics) continue;
      yield page;
      page = [];
    }
    yield page;
  };

  /** What the next run is to look at, taken over from those who tell of it. */
  const takeCandidates = (nowMs: number): Iterable<readonly Candidate[]> => {
    const names = touched;
    touched = new Set();
    if (everything) {
      everything = false;
      return allTopics();
    }
    for (const [topic, progress] of remembered) if (isDue(topic, progress, nowMs)) names.add(topic);
    return someTopics(names);
  };

  const progressOf = async (topic: string): Promise<Progress> => {
    const known = remembered.get(topic);
    if (known !== undefined) return known;
    const head = await log.head(streamId('topic', topic));
    const progress = { before: head?.truncatedBefore ?? 0, oldest: undefined, tally: undefined };
    if (remembered.size < maxRemembered) remembered.set(topic, progress);
    else everything = true;
    return progress;
  };

  /** How many messages were removed. */
  const enforce = async (
    [topic, newest]: Candidate,
    topicLimits: Limits,
    nowMs: number,
    metadata: NewMetadata,
  ): Promise<number> => {
    const progress = await progressOf(topic);
    const { before } = progress;
    const cut = await cutOf(log, streamId('topic', topic), topicLimits, progress, newest, nowMs);
    if (!cut.done) {
      touch(topic);
      unfinished = true;
    }
    if (cut.before <= before) return 0;
    if (await trimTopic(log, handler, topic, cut.before, metadata)) {
      progress.before = cut.before;
      return cut.before - before;
    }
    // Another node was at it: what it has left is seen by the next run.
    remembered.delete(topic);
    touch(topic);
    return 0;
  };

  const readPolicies = (): void => {
    const document = runner.store.read<RetentionDocument>(retention.name, retentionKey);
    const revision = document?.revision;
    if (limits !== undefined && revision === limitsAt) return;
    limitsAt = revision;
    limits = createTopicLimits(withDefaults(document?.policies ?? []));
    remembered.clear();
    touched.clear();
    everything = true;
  };

  const work = async (nowMs: number, signal: AbortSignal): Promise<Run> => {
    const nothing = { topics: 0, truncatedEvents: 0, done: true };
    // Read models that are being built know only some of the topics and policies.
    if (!runner.ready) return nothing;
    if (!finished) {
      if (!(await runner.reached(await log.position(), readModelsMs))) return nothing;
      await finishTrims(log, runner, signal);
      finished = true;
    }
    readPolicies();
    if (limits === undefined) return nothing;
    const metadata: NewMetadata = {
      actor: 'system',
      correlationId: newId(),
      causationId: null,
      node,
      schema: 1,
    };
    let looked = 0;
    unfinished = false;
    let truncatedEvents = 0;
    for (const page of takeCandidates(nowMs)) {
      const matching: (readonly [Candidate, Limits])[] = [];
      for (const candidate of page) {
        const topicLimits = limits.of(candidate[0]);
        if (topicLimits !== undefined) matching.push([candidate, topicLimits]);
      }
      for (let at = 0; at < matching.length; at += side) {
        const settled = await Promise.allSettled(
          matching
            .slice(at, at + side)
            .map(([candidate, topicLimits]) => enforce(candidate, topicLimits, nowMs, metadata)),
        );
        for (const one of settled) {
          if (one.status === 'rejected') throw one.reason;
          truncatedEvents += one.value;
        }
        looked += settled.length;
        if (signal.aborted) throw signal.reason;
      }
      await nextTurn();
    }
    return { topics: looked, truncatedEvents, done: !unfinished };
  };

  return {
    async run(nowMs, signal) {
      try {
        return await work(nowMs, signal);
      } catch (error) {
        everything = true;
        throw error;
      }
    },
    close: unfollow,
  };
};
