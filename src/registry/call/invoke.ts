import type { Json } from '../../../domain/event.ts';
import type { Strategy } from '../../../domain/service/policy.ts';
import type { Clock } from '../../clock.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { Invoked } from '../../nexus-core.ts';
import type { Balancer, CallOutcome } from '../balance/balancer.ts';
import { type Instance, type Instances, statusOf } from '../instance.ts';
import type { ConnectFailed } from '../target/connector.ts';
import { parseAnswer } from './answer.ts';
import type { Attempt, Transport } from './transport.ts';

/** What goes along with an invocation: the ids reach the instance as headers, an abort cancels the request there. */
export type InvokeCall = {
  readonly signal?: AbortSignal;
  readonly correlationId?: string;
  readonly traceparent?: string;
};

/** As checked by the input schema of an invocation. */
export type InvokeRequest = {
  readonly method: string;
  /** Absent: the instance gets `null`. */
  readonly data?: Json | undefined;
  readonly strategy?: Strategy | undefined;
  readonly key?: string | undefined;
  /** Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Only instances that have it. */
  readonly capability?: string | undefined;
  readonly idempotent?: boolean | undefined;
};

export type Invoke = (name: string, input: InvokeRequest, call?: InvokeCall) => Promise<Result<Invoked>>;

export type InvokeOptions = {
  readonly instances: Instances;
  readonly balancer: Balancer;
  readonly transport: Transport;
  readonly clock: Clock;
};

const defaultTimeoutMs = 30_000;
const maxAttempts = 3;
const maxInFlight = 4_096;
/** Instances that a `no_healthy_instance` names. */
const maxNamed = 20;

const outcomeOf = (attempt: Attempt, limit: AbortSignal, signal: AbortSignal): CallOutcome => {
  switch (attempt.outcome) {
    case 'answered':
      return attempt.status >= 500 ? 'failed' : 'answered';
    case 'result':
    case 'refused':
      return 'answered';
    case 'unsent':
      return 'unreachable';
    case 'broken':
      return limit.aborted ? 'timeout' : signal.aborted ? 'cancelled' : 'failed';
  }
};

/** Calls one instance of a service and answers with what it answered (contract: POST /services/{name}/invoke). */
export const createInvoke = ({ instances, balancer, transport, clock }: InvokeOptions): Invoke => {
  let inFlight = 0;

  const nobody = (name: string, capability: string | undefined): Problem => {
    const known = [...instances.byName(name)];
    if (known.length === 0)
      return problem('service_not_found', `no service is registered as ${name}`, { service: name });
    const wanted = capability === undefined ? '' : ` with the capability ${capability}`;
    return problem('no_healthy_instance', `no instance of ${name}${wanted} is healthy`, {
      service: name,
      ...(capability === undefined ? {} : { capability }),
      instances: known
        .slice(0, maxNamed)
        .map((instance) => ({ id: instance.id, status: statusOf(instance) })),
    });
  };

  return async (name, input, { signal: caller, correlationId, traceparent } = {}) => {
    if (inFlight >= maxInFlight)
      return fault(problem('overloaded', `${maxInFlight} invocations are running already`));
    const { method, capability, strategy, key, timeoutMs = defaultTimeoutMs } = input;
    const startedMs = clock.now();
    const limit = AbortSignal.timeout(timeoutMs);
    const signal = caller === undefined ? limit : AbortSignal.any([limit, caller]);
    const call = {
      method,
      body: JSON.stringify(input.data ?? null),
      headers: {
        ...(correlationId === undefined ? {} : { 'x-correlation-id': correlationId }),
        ...(traceparent === undefined ? {} : { traceparent }),
      },
      signal,
    };
    const tried = new Set<Instance>();
    let unsent: ConnectFailed | undefined;

    while (tried.size < maxAttempts) {
      const picked = balancer.pick({ service: name, method, strategy, key, capability, tried });
      if (picked === undefined) break;
      const { instance } = picked;
      tried.add(instance);
      const attempts = tried.size;
      const facts = { service: name, instance: instance.id, attempts };
      inFlight++;
      const attempt = await transport(instance, call);
      inFlight--;
      const outcome = outcomeOf(attempt, limit, signal);
      picked.settle(outcome);
      const done = (result: Json): Result<Invoked> =>
        ok({ result, instance: instance.id, attempts, durationMs: Math.round(clock.now() - startedMs) });
      switch (attempt.outcome) {
        case 'unsent':
          unsent = attempt.failure;
          continue;
        case 'broken':
          if (outcome === 'timeout') {
            const detail = `${instance.id} did not answer within ${timeoutMs} ms`;
            return fault(problem('upstream_timeout', detail, facts));
          }
          return fault(
            problem(
              'upstream_failed',
              outcome === 'cancelled'
                ? 'the caller gave the invocation up'
                : `the connection to ${instance.id} broke: ${attempt.why}`,
              facts,
            ),
          );
        case 'result':
          return done(attempt.value);
        case 'refused':
          return fault(
            problem('upstream_failed', `${instance.id} ${attempt.why}`, { ...facts, body: attempt.error }),
          );
        case 'answered': {
          const answer = parseAnswer(attempt.status, attempt.body);
          if (answer.ok) return done(answer.value);
          return fault(
            problem('upstream_failed', `${instance.id} ${answer.why}`, { ...facts, ...answer.facts }),
          );
        }
      }
    }
    if (unsent === undefined) return fault(nobody(name, capability));
    const facts = { service: name, attempts: tried.size, instances: [...tried].map(({ id }) => id) };
    return fault(problem(unsent.refused ? 'target_refused' : 'upstream_failed', unsent.message, facts));
  };
};
