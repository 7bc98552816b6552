import type { Json } from '../../../domain/event.ts';
import type { Strategy } from '../../../domain/service/policy.ts';
import type { Clock } from '../../clock.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { Invoked } from '../../nexus-core.ts';
import type { Balancer, CallOutcome, Picked } from '../balance/balancer.ts';
import type { Instance, Instances } from '../instance.ts';
import type { Schedule } from '../schedule.ts';
import { parseAnswer } from './answer.ts';
import type { RetryBudget } from './budget.ts';
import type { Bulkhead } from './bulkhead.ts';
import { attemptMs, deadlineHeaders, defaultTimeoutMs, maxAttempts } from './deadline.ts';
import { nobodyFor } from './nobody.ts';
import { type Trace, traceHeaders } from './trace.ts';
import type { Attempt, Transport } from './transport.ts';

/** What goes along with an invocation: the trace reaches the instance, an abort cancels the request there. */
export type InvokeCall = Trace & {
  readonly signal?: AbortSignal;
  /** What is left to the caller: the call ends by then, whatever its own limit is. */
  readonly leftMs?: number;
};

/** As checked by the input schema of an invocation. */
export type InvokeRequest = {
  readonly method: string;
  /** Absent: the instance gets `null`. */
  readonly data?: Json | undefined;
  readonly strategy?: Strategy | undefined;
  readonly key?: string | undefined;
  /** Default: the method's, else 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Only instances that have it. */
  readonly capability?: string | undefined;
  /** Default: what the method says. */
  readonly idempotent?: boolean | undefined;
};

export type Invoke = (name: string, input: InvokeRequest, call?: InvokeCall) => Promise<Result<Invoked>>;

export type InvokeOptions = {
  readonly instances: Instances;
  readonly balancer: Balancer;
  readonly transport: Transport;
  readonly bulkhead: Bulkhead;
  readonly budget: RetryBudget;
  readonly schedule: Schedule;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly timeOfDay: () => number;
};

/** Why an attempt was ended from this side. */
type Ended = 'time' | 'caller' | undefined;

/** Statuses by which an instance, or what stands before it, says that it could not take the request. */
export const unavailable: ReadonlySet<number> = new Set([502, 503, 504]);

export const outcomeOf = (attempt: Attempt, ended: Ended): CallOutcome => {
  switch (attempt.outcome) {
    case 'answered':
      return attempt.status >= 500 || attempt.body === 'too large' ? 'failed' : 'answered';
    case 'result':
    case 'refused':
      return 'answered';
    case 'unsent':
      return ended === 'caller' ? 'cancelled' : 'unreachable';
    case 'broken':
      return ended === 'time' ? 'timeout' : ended === 'caller' ? 'cancelled' : 'failed';
  }
};

/** What the log is told when the attempt counts against the instance. */
const reasonOf = (attempt: Attempt): string | undefined => {
  switch (attempt.outcome) {
    case 'answered':
      return `status ${attempt.status}`;
    case 'unsent':
      return attempt.failure.message;
    case 'broken':
      return attempt.why;
    case 'result':
    case 'refused':
      return undefined;
  }
};

type Failure = {
  readonly problem: Problem;
  /** Whether the call may be repeated, and where: `anywhere` is at the same instance too. */
  readonly repeat: 'never' | 'elsewhere' | 'anywhere';
};
type Judged = { readonly ok: true; readonly value: Json } | ({ readonly ok: false } & Failure);

/** What an attempt means for the call. @param repeatable the call is idempotent. */
const judge = (
  attempt: Attempt,
  ended: Ended,
  repeatable: boolean,
  { id }: Instance,
  facts: Readonly<Record<string, unknown>>,
): Judged => {
  const failed = (
    code: 'upstream_failed' | 'upstream_timeout' | 'target_refused',
    detail: string,
    repeat: Failure['repeat'],
    more?: Readonly<Record<string, unknown>>,
  ): Judged => ({ ok: false, problem: problem(code, detail, { ...facts, ...more }), repeat });

  if (ended === 'caller' && attempt.outcome !== 'answered' && attempt.outcome !== 'result')
    return failed('upstream_failed', 'the caller gave the invocation up', 'never');
  switch (attempt.outcome) {
    case 'result':
      return { ok: true, value: attempt.value };
    case 'refused':
      return failed('upstream_failed', `${id} ${attempt.why}`, 'never', { body: attempt.error });
    case 'unsent': {
      const { message, refused } = attempt.failure;
      const code = ended === 'time' ? 'upstream_timeout' : refused ? 'target_refused' : 'upstream_failed';
      return failed(code, message, 'elsewhere');
    }
    case 'broken':
      return ended === 'time'
        ? failed('upstream_timeout', `${id} did not answer in time`, repeatable ? 'elsewhere' : 'never')
        : failed(
            'upstream_failed',
            `the connection to ${id} broke: ${attempt.why}`,
            repeatable ? 'anywhere' : 'never',
          );
    case 'answered': {
      const answer = parseAnswer(attempt.status, attempt.body);
      if (answer.ok) return answer;
      const repeat = repeatable && unavailable.has(attempt.status) ? 'elsewhere' : 'never';
      return failed('upstream_failed', `${id} ${answer.why}`, repeat, answer.facts);
    }
  }
};

/** Calls an instance of a service and answers with what it answered (contract: POST /services/{name}/invoke). */
export const createInvoke = (options: InvokeOptions): Invoke => {
  const { instances, balancer, transport, bulkhead, budget, schedule, clock, timeOfDay } = options;

  /** One attempt, ended when its time is over or the caller is gone. */
  const tryAt = async (
    { instance, settle }: Picked,
    input: InvokeRequest,
    body: string,
    trace: Readonly<Record<string, string>>,
    limitMs: number,
    caller: AbortSignal | undefined,
  ): Promise<{ readonly attempt: Attempt; readonly ended: Ended }> => {
    const end = new AbortController();
    let ended: Ended;
    const stop = (why: 'time' | 'caller') => (): void => {
      ended ??= why;
      end.abort();
    };
    const onGone = stop('caller');
    const alarm = schedule.alarm(clock.now() + limitMs, stop('time'));
    caller?.addEventListener('abort', onGone);
    if (caller?.aborted) onGone();
    const headers = { ...trace, ...deadlineHeaders(limitMs, timeOfDay()) };
    const attempt = await transport(instance, { method: input.method, body, headers, signal: end.signal });
    alarm.cancel();
    caller?.removeEventListener('abort', onGone);
    // A socket that is away for a moment, or full, says nothing of how calls fare: its status tells when it stays away.
    const isAway = attempt.outcome === 'unsent' && instance.document.reach === 'socket';
    settle(isAway ? 'cancelled' : outcomeOf(attempt, ended), reasonOf(attempt));
    return { attempt, ended };
  };

  const run = async (
    name: string,
    input: InvokeRequest,
    call: InvokeCall,
    limitMs: number,
    repeatable: boolean,
  ): Promise<Result<Invoked>> => {
    const { method, capability, strategy, key } = input;
    const startedMs = clock.now();
    const body = JSON.stringify(input.data ?? null);
    const trace = traceHeaders(call);
    const tried = new Set<Instance>();
    let failure: Failure | undefined;

    for (let attempts = 1; ; attempts++) {
      const leftMs = limitMs - (clock.now() - startedMs);
      if (failure !== undefined) {
        if (failure.repeat === 'never' || attempts > maxAttempts || leftMs < 1) return fault(failure.problem);
        if (!budget.allows(name)) return fault(withoutBudget(failure.problem));
      }
      const wanted = { service: name, method, strategy, key, capability };
      const picked =
        balancer.pick({ ...wanted, tried }) ??
        (failure?.repeat === 'anywhere' ? balancer.pick({ ...wanted, tried: none }) : undefined);
      if (picked === undefined) return fault(failure?.problem ?? nobodyFor(instances, name, capability));
      if (failure !== undefined) budget.spend(name);

      const { instance } = picked;
      tried.add(instance);
      const ownMs = attemptMs(leftMs, attempts, repeatable);
      const { attempt, ended } = await tryAt(picked, input, body, trace, ownMs, call.signal);
      const facts = { service: name, instance: instance.id, attempts };
      const judged = judge(attempt, ended, repeatable, instance, facts);
      if (judged.ok) {
        const durationMs = Math.round(clock.now() - startedMs);
        return ok({ result: judged.value, instance: instance.id, attempts, durationMs });
      }
      failure = judged;
    }
  };

  return async (name, input, call = {}) => {
    const rules = balancer.rules(name);
    if (rules === undefined) return fault(nobodyFor(instances, name, undefined));
    const method = rules.method(input.method);
    const ownMs = input.timeoutMs ?? method?.timeoutMs ?? defaultTimeoutMs;
    const limitMs = Math.min(ownMs, call.leftMs ?? ownMs);
    if (limitMs < 1)
      return fault(problem('upstream_timeout', 'no time was left for the call', { service: name }));
    const full = bulkhead.enter(name, rules.maxInFlight);
    if (full !== undefined) return fault(full);
    budget.deposit(name);
    try {
      return await run(name, input, call, limitMs, input.idempotent ?? method?.idempotent ?? false);
    } finally {
      bulkhead.leave(name);
    }
  };
};

const none: ReadonlySet<Instance> = new Set();

/** The failure itself, and that it was not tried again for want of budget. */
export const withoutBudget = (failed: Problem): Problem =>
  problem(failed.code, failed.detail, { ...failed.facts, retry: 'budget_used_up' });
