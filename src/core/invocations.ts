import { allows } from '../../domain/access.ts';
import { isServiceName } from '../../domain/names.ts';
import { heartbeatSchema, invokeSchema, proxySchema } from '../command/service-schemas.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { CallKind, CallMeter } from '../metrics/meters.ts';
import type { CallOptions, Context, Invoked } from '../nexus-core.ts';
import type { AnswerSink, ForwardRequest, Upgraded } from '../nexus-proxy.ts';
import type { ProxyOptions } from '../registry/call/proxy.ts';
import type { Trace } from '../registry/call/trace.ts';
import type { Tracing } from '../tracing/tracing.ts';
import { demand } from './demand.ts';
import { invokeHooked, proxyRefusal } from './hooked-calls.ts';
import type { Parts } from './parts.ts';
import { validate } from './validate.ts';

/** What services and their callers do that is no event of its own: heartbeats and calls. */
export const createInvocations = ({
  registry,
  meters,
  tracing,
  hooks,
}: Pick<Parts, 'registry' | 'meters' | 'tracing' | 'hooks'>) => ({
  heartbeat: async (
    id: string,
    data: unknown,
    context: Context,
  ): Promise<Result<{ readonly ttlSec: number | null; readonly status: string }>> => {
    const denied = demand(context, { scope: 'services:write' });
    if (denied !== undefined) return denied;
    const checked = validate(heartbeatSchema, data ?? {});
    if (!checked.ok) return checked;
    const document = registry.document(id);
    if (document === undefined) {
      return fault(problem('not_found', 'no service has this id: register again', { id: id.slice(0, 128) }));
    }
    const { subject } = context;
    if (document.owner !== subject.id && !allows(subject, { scope: 'admin' })) {
      return fault(problem('id_taken', `the id ${id} belongs to another subject`, { id }));
    }
    return registry.heartbeat(id, checked.value);
  },

  invoke: async (
    service: string,
    data: unknown,
    context: Context,
    options: CallOptions = {},
  ): Promise<Result<Invoked>> => {
    const refused = refusal(service, context);
    if (refused !== undefined) return refused;
    const input = validate(invokeSchema, data);
    if (!input.ok) return input;
    const invoke = (call: typeof input.value): Promise<Result<Invoked>> =>
      measured(meters.calls.invoke, tracing, { name: 'invoke', service, context }, (trace) =>
        registry.invoke(service, call, { ...options, ...trace }),
      );
    if (hooks.before_service_invoke === undefined && hooks.after_service_invoke === undefined) {
      return invoke(input.value);
    }
    const { method, data: sent } = input.value;
    const call = { service, method, data: sent, subject: context.subject.id };
    return invokeHooked(hooks, call, (changed) => invoke({ ...input.value, data: changed }));
  },

  forward: async (
    service: string,
    request: ForwardRequest,
    sink: AnswerSink,
    context: Context,
    options: CallOptions = {},
  ): Promise<Result<undefined>> => {
    const wanted = proxyOptions(service, request, context);
    if (!wanted.ok) return wanted;
    if (hooks.before_service_invoke !== undefined) {
      const asked = await proxyRefusal(hooks, service, request, context.subject.id);
      if (!asked.ok) return asked;
    }
    return measured(meters.calls.proxy, tracing, { name: 'proxy', service, context }, (trace) =>
      registry.forward(service, request, wanted.value, sink, { ...options, ...trace }),
    );
  },

  upgrade: async (
    service: string,
    request: ForwardRequest,
    context: Context,
    options: CallOptions = {},
  ): Promise<Result<Upgraded>> => {
    const wanted = proxyOptions(service, request, context);
    if (!wanted.ok) return wanted;
    if (hooks.before_service_invoke !== undefined) {
      const asked = await proxyRefusal(hooks, service, request, context.subject.id);
      if (!asked.ok) return asked;
    }
    return measured(meters.calls.upgrade, tracing, { name: 'upgrade', service, context }, (trace) =>
      registry.upgrade(service, request, wanted.value, { ...options, ...trace }),
    );
  },
});

type TracedCall = { readonly name: CallKind; readonly service: string; readonly context: Context };

/** Counts what comes of a call, and how long that took; with tracing on the call is a span, which the instance is told of. */
const measured = async <Value>(
  { outcomes, duration }: CallMeter,
  tracing: Tracing | undefined,
  { name, service, context }: TracedCall,
  call: (trace: Trace) => Promise<Result<Value>>,
): Promise<Result<Value>> => {
  const startedMs = performance.now();
  const own = traceOf(context);
  const activity = tracing?.start(name, {
    kind: 'client',
    parent: context.traceparent,
    attributes: { 'rpc.system': 'nexus', 'rpc.service': service },
  });
  const done = await call(
    activity === undefined ? own : { ...own, traceparent: activity.traceparent, isSpan: true },
  );
  outcomes.add(done.ok ? 'ok' : done.problem.code);
  duration.observe((performance.now() - startedMs) / 1_000);
  activity?.end(done.ok ? undefined : done.problem.code);
  return done;
};

const refusal = (service: string, context: Context) =>
  isServiceName(service)
    ? demand(context, { scope: 'services:invoke', service })
    : fault(problem('service_not_found', 'no service has this name', { service: service.slice(0, 64) }));

const traceOf = ({ correlationId, traceparent }: Context): Trace => ({
  correlationId,
  ...given({ traceparent }),
});

const proxyOptions = (
  service: string,
  { options }: ForwardRequest,
  context: Context,
): Result<ProxyOptions> => {
  const refused = refusal(service, context);
  if (refused !== undefined) return refused;
  const checked = validate(proxySchema, options);
  if (!checked.ok) return checked;
  return ok({
    strategy: checked.value['X-Nexus-Strategy'],
    key: checked.value['X-Nexus-Key'],
    capability: checked.value['X-Nexus-Capability'],
    timeoutMs: checked.value['X-Nexus-Timeout-Ms'],
  });
};
