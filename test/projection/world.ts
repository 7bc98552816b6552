import { randomUUID } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import { asStreamId, type NewEvent } from '../../domain/event.ts';
import { projections } from '../../projections/index.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { openRunner, type Runner, type RunnerOptions } from '../../src/projection/runner.ts';
import { createHub, type Hub } from '../../src/watch/hub.ts';
import { positionAt } from '../support/recorded.ts';
import { letterAt, refAt, wasCreated } from '../support/subscription-samples.ts';

export const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export type Running = { readonly hub: Hub; readonly runner: Runner; close(): Promise<void> };

/** A hub and a runner over `log`, as the core opens them. */
export const run = async (
  log: EventLog,
  directory: string,
  options: Partial<RunnerOptions> = {},
): Promise<Running> => {
  const hub = createHub({ log, logger: quiet });
  await hub.start();
  const runner = await openRunner({
    hub,
    log,
    logId: 'log-1',
    directory,
    projections,
    logger: quiet,
    ...options,
  });
  return {
    hub,
    runner,
    close: async () => {
      await runner.close();
      await hub.close();
    },
  };
};

/** The embedded log in `directory`, closed at the end of the test. */
export const openLog = async (t: ExecutionContext, directory: string): Promise<EventLog> => {
  const log = await openEmbeddedLog({ directory, watchdogMs: 60_000 });
  t.teardown(() => log.close());
  return log;
};

export const newEvent = (type: string, data: unknown, schema = 1): NewEvent => ({
  id: randomUUID(),
  type,
  data,
  metadata: { actor: 'test', correlationId: 'c', causationId: null, node: 'n', schema },
});

export const stateSet = (value: unknown): NewEvent => newEvent('StateSet', { value });

export const published = (topic: string, n: number): NewEvent =>
  newEvent('MessagePublished', { messageId: `m${n}`, topic, payload: { n }, priority: 'NORMAL' });

export const append = async (log: EventLog, stream: string, ...events: readonly NewEvent[]) => {
  const result = await log.append(asStreamId(stream), events, 'any');
  if (!result.ok) throw new Error('conflict');
  return result;
};

/** A creation, dead letters over a few places, and removals of several of them. */
const subscribed = (n: number): NewEvent => {
  if (n % 101 === 0) return newEvent(wasCreated.event.type, wasCreated.event.data);
  if (n % 4 !== 1) return newEvent('MessageDeadLettered', letterAt(n % 31));
  const letters = [refAt(n % 31, n), refAt((n + 7) % 31, n), refAt((n + 9) % 31, n)];
  const type = n % 8 === 1 ? 'DeadLettersRedriven' : 'DeadLettersDiscarded';
  return newEvent(type, { letters, through: positionAt(n) });
};

/** `count` events over a few states, topics and subscriptions, many appends in flight. */
export const appendMixed = async (log: EventLog, count: number, first = 0): Promise<void> => {
  const sent: Promise<unknown>[] = [];
  for (let n = first; n < first + count; n++) {
    const topic = `orders.t${n % 5}`;
    if (n % 3 === 0) {
      sent.push(append(log, `subscription-s${n % 2}`, subscribed(n)));
      continue;
    }
    sent.push(
      n % 2 === 0
        ? append(log, `state-k${n % 97}`, n % 11 === 0 ? newEvent('StateDeleted', {}) : stateSet({ n }))
        : append(log, `topic-${topic}`, published(topic, n)),
    );
    if (sent.length === 1_000) await Promise.all(sent.splice(0));
  }
  await Promise.all(sent);
};

/** Waits until all that stands in the log is folded. */
export const settled = async ({ runner }: Running, log: EventLog): Promise<void> => {
  if (!(await runner.reached(await log.position(), 20_000))) throw new Error('the runner did not catch up');
};
