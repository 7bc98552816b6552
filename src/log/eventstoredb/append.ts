import { randomBytes } from 'node:crypto';
import { asRevision, type NewEvent, type Position, type StreamId } from '../../../domain/event.ts';
import { checkAppend, type EncodedEvent, encodedBytes } from '../encode.ts';
import { type Appended, type AppendResult, type Expected, LogError } from '../event-log.ts';
import type { AppendAnswer } from './client.ts';
import { attemptOf } from './codec.ts';
import { closedError, Fault, faultOf, isPassing, logErrorOf } from './fault.ts';
import { type Freshness, timeOfId } from './freshness.ts';
import { createGate } from './gate.ts';
import type { Lookback, Place } from './lookback.ts';
import { pause, type Session, withRetries } from './session.ts';

/** How long repeated ids are recognised with `any` and `exists`: the day that the port asks for, and some more. */
const rememberMs = 25 * 3_600_000;
/** Clocks of hub and server may differ so far without an id being looked for in vain. */
const skewMs = 300_000;

/** Tries that others may come before, until the expectation is given up. */
const maxOvertaken = 5;

type Written = AppendAnswer & { readonly type: 'written' };

/** One append under way. */
type Task = {
  readonly stream: StreamId;
  readonly events: readonly EncodedEvent[];
  readonly ids: readonly string[];
  readonly expected: Expected;
  /** `any` or `exists`: the server itself recognises repeated ids only for a short while. */
  readonly isOpen: boolean;
  readonly attempt: string;
  readonly giveUpAt: number;
};

const places = (task: Task, found: ReadonlyMap<string, Place>): Place[] =>
  task.ids.flatMap((id) => found.get(id) ?? []);

const mixed = (task: Task): LogError =>
  new LogError(
    'invalid',
    `some of the events of the append to ${task.stream} are in the log already, others are not`,
    {
      stream: task.stream,
    },
  );

/**
 * Appends, and finds out what became of an append whose answer did not come: by the server's own check where the
 * expectation is a revision, by looking for the ids in the stream where it is not (docs/adr/0005).
 */
export const createAppender = (session: Session, freshness: Freshness, lookback: Lookback) => {
  const { client, limits, health } = session;
  const gate = createGate(limits.inFlightBytes, limits.waitingAppends);

  /** The places of all ids, or undefined when none is there. */
  const look = async (task: Task) => {
    const times = task.ids.map((id) => timeOfId(id) ?? Date.now() - rememberMs);
    const found = await lookback.find(task.stream, task.ids, Math.min(...times) - skewMs);
    if (found.places.size > 0 && found.places.size < task.ids.length) throw mixed(task);
    return { head: found.head, known: found.places.size === 0 ? undefined : places(task, found.places) };
  };

  const readBack = async (
    task: Task,
    from: number,
  ): Promise<{ places: Place[]; isOurs: boolean } | undefined> => {
    const stored = await withRetries(session, `read of ${task.stream}`, () =>
      client.readStream(task.stream, { from, limit: task.ids.length }, limits.silenceMs),
    );
    if (stored.length !== task.ids.length) return undefined;
    if (stored.some((event, index) => event.id !== task.ids[index])) return undefined;
    const [first] = stored;
    return {
      places: stored.map(({ revision, position }) => ({ revision: asRevision(revision), position })),
      isOurs: first !== undefined && attemptOf(first) === task.attempt,
    };
  };

  /** Without a position of the server's own there is none to give. */
  const positionOf = (answer: Written): Position => {
    if (answer.position !== undefined) return answer.position;
    throw logErrorOf(new Fault('unavailable', 'the server gave no position'), 'append');
  };

  const settled = async (task: Task, answer: Written, inDoubt: boolean): Promise<Appended> => {
    const first = Math.max(0, answer.last - task.ids.length + 1);
    if (task.ids.length === 1 && !inDoubt && answer.position !== undefined) {
      return {
        ok: true,
        events: [{ revision: asRevision(answer.last), position: answer.position }],
        duplicate: false,
      };
    }
    const back = await readBack(task, first);
    if (back !== undefined) return { ok: true, events: back.places, duplicate: !back.isOurs };
    // The same ids in several appends of before, or already truncated.
    const { known } = await look(task);
    if (known !== undefined) return { ok: true, events: known, duplicate: true };
    const position = positionOf(answer);
    const events = task.ids.map((_, index) => ({ revision: asRevision(first + index), position }));
    return { ok: true, events, duplicate: false };
  };

  const conflict = async (task: Task, actual: number | undefined): Promise<AppendResult> => {
    const { stream, expected, ids } = task;
    // The server words it as a conflict when it knows the first id of the append and not all the others.
    if (task.isOpen && actual !== undefined) throw mixed(task);
    if (ids.length > 1 && actual !== undefined) {
      const from = typeof expected === 'number' ? expected + 1 : 0;
      const [there] = await withRetries(session, `read of ${stream}`, () =>
        client.readStream(stream, { from, limit: 1 }, limits.silenceMs),
      );
      if (there !== undefined && there.revision === from && there.id === ids[0]) throw mixed(task);
    }
    return { ok: false, stream, expected, actual: actual === undefined ? 'none' : asRevision(actual) };
  };

  /** One try; undefined when its outcome is not known. */
  const attempt = async (task: Task, expected: Expected): Promise<AppendAnswer | Fault> => {
    const { stream, events, attempt } = task;
    const leftMs = Math.max(1, task.giveUpAt - performance.now());
    try {
      const answer = await client.append(
        { stream, events, expected, attempt },
        Math.min(limits.tryMs, leftMs),
      );
      health.works();
      return answer;
    } catch (error) {
      return faultOf(error);
    }
  };

  /** @throws {LogError} when there is no use or no time left to try again after `fault`. */
  const mayTryAgain = (task: Task, fault: Fault, pauseMs: number, isHopeless: boolean): void => {
    const isOver = isHopeless || performance.now() + pauseMs >= task.giveUpAt;
    if (isOver || !isPassing(fault)) throw logErrorOf(fault, `append to ${task.stream}`);
  };

  const run = async (task: Task, isFresh: boolean): Promise<AppendResult> => {
    let inDoubt = !isFresh;
    if (task.isOpen && inDoubt) {
      const { known } = await look(task);
      if (known !== undefined) return { ok: true, events: known, duplicate: true };
    }
    const wasReachable = health.reachable;
    let expected = task.expected;
    let pauseMs = limits.retryMs;
    let lost = 0;
    let overtaken = 0;
    for (;;) {
      if (session.closed.aborted) throw closedError();
      const answer = await attempt(task, expected);
      if (answer instanceof Fault) {
        // One lost call is a connection that has to be opened again; two are a server that is not there.
        if (answer.kind === 'unavailable' && ++lost >= 2) health.fails(answer);
        mayTryAgain(task, answer, pauseMs, lost >= 2 && !wasReachable);
        await pause(session, pauseMs);
        pauseMs = Math.min(pauseMs * 2, limits.maxRetryMs);
        if (answer.kind === 'busy') continue;
      } else if (answer.type === 'written') {
        return settled(task, answer, inDoubt);
      } else {
        if (expected === task.expected) return conflict(task, answer.actual);
        // Another writer came between the look and this try.
        overtaken++;
        mayTryAgain(task, new Fault('busy', 'too many writers on the stream'), 0, false);
      }
      inDoubt = true;
      if (!task.isOpen) continue;
      const { head, known } = await look(task);
      if (known !== undefined) {
        const back = await readBack(task, known[0]?.revision ?? 0);
        return { ok: true, events: known, duplicate: back !== undefined && !back.isOurs };
      }
      if (task.expected === 'exists' && head === 'none') return conflict(task, undefined);
      // The ids are not there up to `head`. Expecting exactly that, an earlier try that arrives late is recognised by
      // the server whatever its cache remembers. Where others write all the time that would never succeed: after
      // several answers to newer tries, none of the earlier ones is still on its way.
      expected = overtaken < maxOvertaken ? head : task.expected;
    }
  };

  return async (stream: StreamId, events: readonly NewEvent[], expected: Expected): Promise<AppendResult> => {
    const encoded = checkAppend(stream, events, expected);
    const task: Task = {
      stream,
      events: encoded,
      ids: encoded.map((event) => event.id),
      expected,
      isOpen: expected === 'any' || expected === 'exists',
      attempt: randomBytes(9).toString('base64url'),
      giveUpAt: performance.now() + limits.callMs,
    };
    const isFresh = freshness.claim(task.ids);
    const weight = encoded.reduce((sum, event) => sum + encodedBytes(event), 0);
    const leave = await gate.enter(weight, limits.callMs);
    if (leave === undefined) {
      throw logErrorOf(new Fault('busy', 'too many appends wait for an answer'), `append to ${stream}`);
    }
    try {
      return await run(task, isFresh);
    } finally {
      leave();
    }
  };
};

export type Appender = ReturnType<typeof createAppender>;
