import type { NewMetadata } from '../../domain/event.ts';
import type { Handler } from '../command/handle.ts';
import { newId } from '../ids.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Runner } from '../projection/runner.ts';
import { createTopicKind } from './kinds.ts';
import { createLane } from './lane.ts';
import { finishTrims } from './trim.ts';

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

/** How long the first run waits for the read models to have met the log's end. */
const readModelsMs = 10_000;

export const createEnforcer = ({ log, runner, handler, node, onPolicies }: EnforcerOptions): Enforcer => {
  const topics = createTopicKind(runner, onPolicies);
  const topicLane = createLane({ log, runner, handler, kind: topics });
  let finished = false;

  const unfollow = runner.onFolded((changes) => {
    for (const { model, key } of changes) if (model === topics.model) topicLane.touch(key);
  });

  const work = async (nowMs: number, signal: AbortSignal): Promise<Run> => {
    const nothing = { topics: 0, truncatedEvents: 0, done: true };
    // Read models that are being built know only some of the topics and policies.
    if (!runner.ready) return nothing;
    if (!finished) {
      if (!(await runner.reached(await log.position(), readModelsMs))) return nothing;
      await finishTrims(log, runner, signal);
      finished = true;
    }
    const metadata: NewMetadata = {
      actor: 'system',
      correlationId: newId(),
      causationId: null,
      node,
      schema: 1,
    };
    const { looked, truncatedEvents, done } = await topicLane.run(nowMs, metadata, signal);
    return { topics: looked, truncatedEvents, done };
  };

  return {
    async run(nowMs, signal) {
      try {
        return await work(nowMs, signal);
      } catch (error) {
        topicLane.startOver();
        throw error;
      }
    },
    close() {
      unfollow();
      topics.close();
    },
  };
};
