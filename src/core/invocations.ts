import { allows } from '../../domain/access.ts';
import { isServiceName } from '../../domain/names.ts';
import { heartbeatSchema, invokeSchema } from '../command/service-schemas.ts';
import { fault, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { CallOptions, Context, Invoked } from '../nexus-core.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';
import { validate } from './validate.ts';

/** What services and their callers do that is no event of its own: heartbeats and calls. */
export const createInvocations = ({ registry }: Pick<Parts, 'registry'>) => ({
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
    if (!isServiceName(service)) {
      return fault(
        problem('service_not_found', 'no service has this name', { service: service.slice(0, 64) }),
      );
    }
    const denied = demand(context, { scope: 'services:invoke', service });
    if (denied !== undefined) return denied;
    const input = validate(invokeSchema, data);
    if (!input.ok) return input;
    return registry.invoke(service, input.value, {
      ...options,
      correlationId: context.correlationId,
      ...given({ traceparent: context.traceparent }),
    });
  },
});
