import type { Strategy } from '../../../domain/service/policy.ts';
import type { Clock } from '../../clock.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { AnswerSink, ForwardRequest } from '../../nexus-proxy.ts';
import type { Balancer, Picked } from '../balance/balancer.ts';
import type { Instance, Instances } from '../instance.ts';
import type { RetryBudget } from './budget.ts';
import type { Bulkhead } from './bulkhead.ts';
import { attemptMs, deadlineHeaders, defaultTimeoutMs, maxAttempts } from './deadline.ts';
import { lengthOf, requestFields } from './fields.ts';
import type { createForward, ForwardBody, Forwarded } from './forward.ts';
import { withoutBudget } from './invoke.ts';
import { nobodyFor } from './nobody.ts';
import { type Trace, traceHeaders } from './trace.ts';

/** As checked by the schema of the X-Nexus fields. */
export type ProxyOptions = {
  readonly strategy?: Strategy | undefined;
  readonly key?: string | undefined;
  readonly capability?: string | undefined;
  readonly timeoutMs?: number | undefined;
};

export type ProxyCall = Trace & { readonly signal?: AbortSignal; readonly leftMs?: number };

export type Forward = (
  name: string,
  request: ForwardRequest,
  options: ProxyOptions,
  sink: AnswerSink,
  call: ProxyCall,
) => Promise<Result<undefined>>;

export type ProxyParts = {
  readonly instances: Instances;
  readonly balancer: Balancer;
  readonly bulkhead: Bulkhead;
  readonly budget: RetryBudget;
  readonly forward: ReturnType<typeof createForward>;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly timeOfDay: () => number;
};

/** RFC 9110, section 9.2.2; one with a body is not repeated, as that is not kept. */
const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Why nobody can be reached over HTTP: all have no address, or none is fit. */
export const nobodyDirect = (instances: Instances, name: string, capability: string | undefined): Problem => {
  let any = false;
  for (const { document } of instances.byName(name)) {
    if (document.reach === 'direct') return nobodyFor(instances, name, capability);
    any = true;
  }
  return any
    ? problem('not_supported', `${name} is called over its WebSocket: invoke its methods`, { service: name })
    : nobodyFor(instances, name, capability);
};

/** The problem of an attempt whose answer has not begun. */
const problemOf = (
  forwarded: Exclude<Forwarded, { outcome: 'answered' }>,
  { id }: Instance,
  facts: Record<string, unknown>,
): Problem => {
  switch (forwarded.outcome) {
    case 'unsent': {
      const { refused, message } = forwarded.failure;
      return problem(refused ? 'target_refused' : 'upstream_failed', message, facts);
    }
    case 'unavailable':
      return problem('upstream_failed', `${id} answered with status ${forwarded.status}`, {
        ...facts,
        upstreamStatus: forwarded.status,
      });
    case 'broken':
      if (forwarded.ended === 'time')
        return problem('upstream_timeout', `${id} did not answer in time`, facts);
      return forwarded.ended === 'caller'
        ? problem('upstream_failed', 'the caller gave the request up', facts)
        : problem('upstream_failed', `the connection to ${id} broke: ${forwarded.why}`, facts);
  }
};

/** The fields of every attempt: the client's that go on, and what the hub says itself. */
export const fieldsOf = (request: ForwardRequest, trace: Trace): string[] => {
  const fields = requestFields(request.fields);
  for (const said of [request.own, traceHeaders(trace)])
    for (const name in said) fields.push(name, said[name] ?? '');
  return fields;
};

/** Passes requests on to instances of a service, and their answers back (docs/registry.md, "The proxy"). */
export const createProxy = (parts: ProxyParts): Forward => {
  const { instances, balancer, bulkhead, budget, forward, clock, timeOfDay } = parts;

  const run: Forward = async (name, request, options, sink, call) => {
    const { strategy, key, capability, timeoutMs = defaultTimeoutMs } = options;
    const limitMs = Math.min(timeoutMs, call.leftMs ?? timeoutMs);
    const untilMs = clock.now() + limitMs;
    const length = lengthOf(request.fields);
    const body: ForwardBody | undefined =
      request.body === undefined ? undefined : { source: request.body, begun: false };
    const repeatable = body === undefined && idempotentMethods.has(request.method);
    const fields = fieldsOf(request, call);
    // Framed by this side anew; the length that the client told is held to on both connections.
    if (body !== undefined && length !== undefined) fields.push('content-length', String(length));
    const tried = new Set<Instance>();
    const pick = (but: ReadonlySet<Instance>): Picked | undefined =>
      balancer.pick({ service: name, strategy, key, capability, tried: but, directOnly: true });
    let picked = pick(tried);
    if (picked === undefined) return fault(nobodyDirect(instances, name, capability));

    for (let attempts = 1; ; attempts++) {
      const { instance } = picked;
      tried.add(instance);
      const leftMs = Math.max(untilMs - clock.now(), 1);
      const ownMs = attemptMs(leftMs, attempts, repeatable);
      const said = { ...deadlineHeaders(ownMs, timeOfDay()), 'x-nexus-instance': instance.id };
      /** Who gets the request next, chosen while the answer could still be passed on. */
      const reserved: Picked[] = [];
      const another = (): boolean => {
        if (!repeatable || attempts >= maxAttempts || !budget.allows(name)) return false;
        const next = pick(tried);
        if (next !== undefined) reserved.push(next);
        return next !== undefined;
      };
      const forwarded = await forward(picked, {
        request,
        body,
        fields: [...fields, ...Object.entries(said).flat()],
        sink,
        limitMs: ownMs,
        another,
        signal: call.signal,
      });
      if (forwarded.outcome === 'answered') return ok(undefined);
      const failed = problemOf(forwarded, instance, { service: name, instance: instance.id, attempts });
      const [next] = reserved;
      const isOver = call.signal?.aborted === true || untilMs - clock.now() < 1 || attempts >= maxAttempts;
      const again = forwarded.outcome === 'unsent' ? body?.begun !== true : repeatable;
      const allowed = budget.allows(name);
      if (isOver || !again || !allowed) {
        next?.settle('cancelled');
        return fault(!isOver && again ? withoutBudget(failed) : failed);
      }
      picked = next ?? pick(tried) ?? (forwarded.outcome === 'broken' ? pick(none) : undefined);
      if (picked === undefined) return fault(failed);
      budget.spend(name);
    }
  };

  return async (name, request, options, sink, call) => {
    const rules = balancer.rules(name);
    if (rules === undefined) return fault(nobodyFor(instances, name, undefined));
    if ((call.leftMs ?? 1) < 1)
      return fault(problem('upstream_timeout', 'no time was left for the call', { service: name }));
    const full = bulkhead.enter(name, rules.maxInFlight);
    if (full !== undefined) return fault(full);
    budget.deposit(name);
    try {
      return await run(name, request, options, sink, call);
    } finally {
      bulkhead.leave(name);
    }
  };
};

const none: ReadonlySet<Instance> = new Set();
