import { AssertionError } from 'node:assert';
import { isDeepStrictEqual } from 'node:util';
import type { Position } from '../../../domain/event.ts';
import type { Result } from '../../errors.ts';
import type { Message, Watch } from '../../nexus-core.ts';
import type { Outcome, Step } from './api.ts';
import { type Ended, perform, type Stage } from './stage.ts';
import { defaultSubject } from './steps.ts';

export type OutcomeOptions = {
  readonly stage: Stage;
  readonly plugin: string;
  readonly given: readonly Step[];
  readonly step: Step;
  /** How long what happens later is waited for. */
  readonly waitMs: number;
  /** Of the log. */
  position(): Promise<Position>;
};

const failed = (message: string, actual: unknown, expected: unknown): AssertionError =>
  new AssertionError({ message, actual, expected, operator: 'deepStrictEqual' });

const fits = (text: unknown, expected: string | RegExp): boolean =>
  typeof text === 'string' && (typeof expected === 'string' ? text === expected : expected.test(text));

export const createOutcome = (options: OutcomeOptions): Outcome => {
  const { stage, plugin, given, step, waitMs } = options;
  const reader = stage.contextOf(defaultSubject);

  const performAll = async (): Promise<Ended & { readonly began: Position }> => {
    for (const before of given) {
      const { refusal } = await perform(before, stage);
      if (refusal !== undefined) throw failed(`given ${before.text} did not happen`, refusal, undefined);
    }
    const began = await options.position();
    return { ...(await perform(step, stage)), began };
  };
  let performed: ReturnType<typeof performAll> | undefined;
  const done = () => (performed ??= performAll());

  const outcome: Outcome = {
    async thenAccepted() {
      const { refusal } = await done();
      if (refusal !== undefined) throw failed(`${step.text} was refused`, refusal, undefined);
      return outcome;
    },

    async thenRefused(expected = {}) {
      const { refusal } = await done();
      if (refusal?.code !== 'plugin_refused' || refusal.plugin !== plugin)
        throw failed(`${step.text} was not refused by ${plugin}`, refusal, {
          code: 'plugin_refused',
          plugin,
        });
      const { reason, details, hook } = expected;
      const same =
        (reason === undefined || fits(refusal.reason, reason)) &&
        (details === undefined || isDeepStrictEqual(refusal.details, details)) &&
        (hook === undefined || refusal.hook === hook);
      if (!same) throw failed(`${step.text} was refused in another way`, refusal, expected);
      return outcome;
    },

    async thenAnswered(expected) {
      const { refusal, value } = await done();
      if (refusal !== undefined) throw failed(`${step.text} was refused`, refusal, expected);
      if (!isDeepStrictEqual(value, expected))
        throw failed(`${step.text} was answered with something else`, value, expected);
      return outcome;
    },

    async thenHeaders(expected) {
      const { headers } = await done();
      const named = Object.fromEntries(Object.keys(expected).map((name) => [name, headers[name]]));
      if (!isDeepStrictEqual(named, { ...expected }))
        throw failed(`the answer to ${step.text} has other headers`, named, expected);
      return outcome;
    },

    async thenPublished(expected) {
      const { began, refusal } = await done();
      const seen: Message[] = [];
      const signal = AbortSignal.timeout(waitMs);
      const watch = await stage.core.watchMessages(expected.topic, { after: began, signal }, reader);
      for await (const message of itemsOf(watch, signal)) {
        const like =
          (expected.payload === undefined || isDeepStrictEqual(message.payload, expected.payload)) &&
          (expected.key === undefined || message.key === expected.key) &&
          (expected.publisher === undefined || message.publisher === expected.publisher);
        if (like) return outcome;
        seen.push(message);
      }
      const others = seen.map(({ topic, payload, publisher }) => ({ topic, payload, publisher }));
      throw failed(`no such message within ${waitMs} ms after ${step.text}`, refusal ?? others, expected);
    },

    async thenState(key, expected) {
      const { began, refusal } = await done();
      const signal = AbortSignal.timeout(waitMs);
      const watch = await stage.core.watchState({ key }, { after: began, signal }, reader);
      const entry = await stage.core.state(key, {}, { ...reader, minPosition: began });
      let value = entry.ok ? entry.value.value : undefined;
      if (isDeepStrictEqual(value, expected)) return outcome;
      for await (const change of itemsOf(watch, signal)) {
        value = change.deleted ? undefined : change.value;
        if (isDeepStrictEqual(value, expected)) return outcome;
      }
      const text = `${key} has another value ${waitMs} ms after ${step.text}`;
      throw failed(text, refusal ?? value, expected);
    },
  };
  return outcome;
};

/** What comes, until the signal aborts. */
async function* itemsOf<Item>(watch: Result<Watch<Item>>, signal: AbortSignal): AsyncIterable<Item> {
  if (!watch.ok) throw new Error(watch.problem.detail);
  try {
    for await (const batch of watch.value.items) if (batch.type === 'items') yield* batch.items;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
