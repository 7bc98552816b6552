import type { NewMetadata } from '../../domain/event.ts';
import type { Handler } from '../command/handle.ts';
import { newId } from '../ids.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Runner } from '../projection/runner.ts';
import { createKeyKind, type KeyPolicies } from './key-kind.ts';
import { createTopicKind } from './kinds.ts';
import { createLane } from './lane.ts';
import { finishTrims } from './trim.ts';

export type Run = {
  /** Topics and state keys that were looked at. */
  readonly topics: number;
  readonly keys: number;
  readonly truncatedEvents: number;
  /** False when there is more to do at once. */
  readonly done: boolean;
};

/**
 * Removes what the policies of topics and state keys leave no place for. A run looks at those that were written since the
 * last one and at those whose oldest event is too old by now; at all of them after a start, a change of policies or a failure.
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
  readonly statePolicies: KeyPolicies;
  /** A policy was set or removed. */
  readonly onPolicies: () => void;
};

/** How long the first run waits for the read models to have met the log's end. */
const readModelsMs = 10_000;

export const createEnforcer = (options: EnforcerOptions): Enforcer => {
  const { log, runner, handler, node, statePolicies, onPolicies } = options;
  const topics = createTopicKind(runner, onPolicies);
  const keys = createKeyKind(runner, statePolicies, onPolicies);
  const topicLane = createLane({ log, runner, handler, kind: topics });
  const keyLane = createLane({ log, runner, handler, kind: keys });
  let finished = false;

  const unfollow = runner.onFolded((changes) => {
    for (const { model, key } of changes) {
      if (model === topics.model) topicLane.touch(key);
      else if (model === keys.model) keyLane.touch(key);
    }
  });

  const work = async (nowMs: number, signal: AbortSignal): Promise<Run> => {
    const nothing = { topics: 0, keys: 0, truncatedEvents: 0, done: true };
    // Read models that are being built know only some of the topics, keys and policies.
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
    const ofTopics = await topicLane.run(nowMs, metadata, signal);
    const ofKeys = await keyLane.run(nowMs, metadata, signal);
    return {
      topics: ofTopics.looked,
      keys: ofKeys.looked,
      truncatedEvents: ofTopics.truncatedEvents + ofKeys.truncatedEvents,
      done: ofTopics.done && ofKeys.done,
    };
  };

  return {
    async run(nowMs, signal) {
      try {
        return await work(nowMs, signal);
      } catch (error) {
        topicLane.startOver();
        keyLane.startOver();
        throw error;
      }
    },
    close() {
      unfollow();
      topics.close();
      keys.close();
    },
  };
};
