import { type Dispatcher, request } from 'undici';
import type { Json } from '../../../domain/event.ts';
import type { Clock } from '../../clock.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { Invoked } from '../../nexus-core.ts';
import { pick } from '../balance/pick.ts';
import { type Instance, type Instances, statusOf } from '../instance.ts';
import { ConnectFailed } from '../target/connector.ts';
import { parseAnswer, readBounded } from './answer.ts';

/** What goes along with an invocation: the ids reach the instance as headers, an abort cancels the request there. */
export type InvokeCall = {
  readonly signal?: AbortSignal;
  readonly correlationId?: string;
  readonly traceparent?: string;
};

/** As checked by the input schema of the command catalog. */
export type InvokeRequest = {
  readonly method: string;
  /** Absent: the instance gets `null`. */
  readonly data?: Json | undefined;
  /** Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Only instances that have it. */
  readonly capability?: string | undefined;
};

export type Invoke = (name: string, input: InvokeRequest, call?: InvokeCall) => Promise<Result<Invoked>>;

export type InvokeOptions = {
  readonly instances: Instances;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly random: () => number;
};

const defaultTimeoutMs = 30_000;
const maxAttempts = 3;
const maxInFlight = 4_096;
/** Instances that a `no_healthy_instance` names. */
const maxNamed = 20;

type Attempt =
  | { readonly outcome: 'answered'; readonly status: number; readonly body: Uint8Array | 'too large' }
  /** Nothing was sent. */
  | { readonly outcome: 'unsent'; readonly failure: ConnectFailed }
  | { readonly outcome: 'timeout' | 'cancelled' }
  | { readonly outcome: 'broken'; readonly why: string };

const originOf = ({ document }: Instance): string => {
  const host =
    document.host.includes(':') && !document.host.startsWith('[') ? `[${document.host}]` : document.host;
  return `${document.protocol}://${host}:${document.port}`;
};

/** Calls one instance of a service over HTTP and answers with what it answered (contract: POST /services/{name}/invoke). */
export const createInvoke = (options: InvokeOptions): Invoke => {
  const { instances, dispatcher, clock, random } = options;
  let inFlight = 0;

  const send = async (
    instance: Instance,
    call: {
      readonly path: string;
      readonly body: string;
      readonly headers: Readonly<Record<string, string>>;
    },
    limit: AbortSignal,
    signal: AbortSignal,
  ): Promise<Attempt> => {
    inFlight++;
    instance.inFlight++;
    try {
      const answer = await request(`${originOf(instance)}${call.path}`, {
        dispatcher,
        method: 'POST',
        body: call.body,
        signal,
        headers: call.headers,
      });
      return { outcome: 'answered', status: answer.statusCode, body: await readBounded(answer.body) };
    } catch (error) {
      if (limit.aborted) return { outcome: 'timeout' };
      if (signal.aborted) return { outcome: 'cancelled' };
      if (error instanceof ConnectFailed) return { outcome: 'unsent', failure: error };
      return { outcome: 'broken', why: error instanceof Error ? error.message : 'the connection broke' };
    } finally {
      inFlight--;
      instance.inFlight--;
    }
  };

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

  return async (name, input, { signal, correlationId, traceparent } = {}) => {
    if (inFlight >= maxInFlight)
      return fault(problem('overloaded', `${maxInFlight} invocations are running already`));
    const { capability, timeoutMs = defaultTimeoutMs } = input;
    const startedMs = clock.now();
    const limit = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? limit : AbortSignal.any([limit, signal]);
    const call = {
      path: `/${input.method}`,
      body: JSON.stringify(input.data ?? null),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        ...(correlationId === undefined ? {} : { 'x-correlation-id': correlationId }),
        ...(traceparent === undefined ? {} : { traceparent }),
      },
    };
    const tried = new Set<Instance>();
    let unsent: ConnectFailed | undefined;

    while (tried.size < maxAttempts) {
      const instance = pick(
        instances.byName(name),
        (candidate) =>
          !tried.has(candidate) &&
          (capability === undefined || candidate.document.capabilities.includes(capability)),
        random,
      );
      if (instance === undefined) break;
      tried.add(instance);
      const attempts = tried.size;
      const facts = { service: name, instance: instance.id, attempts };
      const attempt = await send(instance, call, limit, either);
      switch (attempt.outcome) {
        case 'unsent':
          unsent = attempt.failure;
          continue;
        case 'timeout':
          return fault(
            problem('upstream_timeout', `${instance.id} did not answer within ${timeoutMs} ms`, facts),
          );
        case 'cancelled':
          return fault(problem('upstream_failed', 'the caller gave the invocation up', facts));
        case 'broken':
          return fault(
            problem('upstream_failed', `the connection to ${instance.id} broke: ${attempt.why}`, facts),
          );
        case 'answered': {
          const answer = parseAnswer(attempt.status, attempt.body);
          if (!answer.ok) {
            return fault(
              problem('upstream_failed', `${instance.id} ${answer.why}`, { ...facts, ...answer.facts }),
            );
          }
          const result: Json = answer.value;
          return ok({
            result,
            instance: instance.id,
            attempts,
            durationMs: Math.round(clock.now() - startedMs),
          });
        }
      }
    }
    if (unsent === undefined) return fault(nobody(name, capability));
    const facts = { service: name, attempts: tried.size, instances: [...tried].map(({ id }) => id) };
    return fault(problem(unsent.refused ? 'target_refused' : 'upstream_failed', unsent.message, facts));
  };
};
