import { allows } from '../../domain/access.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import { serveSchema } from '../command/service-schemas.ts';
import { fault, invalid, ok, problem, type Result } from '../errors.ts';
import type { Context, Serving } from '../nexus-core.ts';
import type { Channel } from '../registry/socket/channel.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';
import { type OnProblem, tellProblems } from './refused.ts';
import { validate } from './validate.ts';

const scope = 'services:write';

/** Services that are called over the connections which they open. */
export const createServings = (
  { runner, registry }: Pick<Parts, 'runner' | 'registry'>,
  onProblem: OnProblem,
) => ({
  openServing: (channel: Channel): Serving => {
    const attendance = registry.attend(channel);

    const serve = async (
      data: unknown,
      context: Context,
    ): Promise<Result<{ readonly service: string; readonly max: number }>> => {
      const denied = demand(context, { scope });
      if (denied !== undefined) return denied;
      const input = validate(serveSchema, data);
      if (!input.ok) return input;
      const { service, max } = input.value;
      const document = runner.store.read<ServiceDocument>('services', service);
      if (document === undefined || document.deregistered || registry.document(service) === undefined)
        return fault(problem('not_found', 'no service has this id: register it first', { id: service }));
      const { subject } = context;
      if (document.owner !== subject.id && !allows(subject, { scope: 'admin' })) {
        return fault(problem('id_taken', `the id ${service} belongs to another subject`, { id: service }));
      }
      if (document.reach !== 'socket')
        return invalid('/service', 'is called at its address: it was not registered with reach "socket"');
      const served = attendance.serve(service, max);
      if (served === undefined)
        return fault(problem('rate_limited', 'one connection serves at most 1,000 services'));
      await served;
      return ok({ service, max });
    };

    return tellProblems<Serving>(
      {
        serve,
        stop: (service) =>
          attendance.stop(service, 'its WebSocket serves it no more')
            ? ok(undefined)
            : fault(problem('not_found', 'this connection does not serve a service of this id')),
        answer(call, answer) {
          const taken = attendance.answer(call, answer);
          if (taken === 'taken') return ok(undefined);
          return taken === 'late'
            ? fault(problem('stale_call', `nobody waits for the answer to call ${call} any more`, { call }))
            : fault(problem('not_found', `there was no call ${call} on this connection`, { call }));
        },
        authorise(context) {
          if (allows(context.subject, { scope })) return;
          for (const service of [...attendance.services])
            attendance.stop(service, 'the new token may not serve it');
        },
        drain: () => attendance.drain('the hub is shutting down'),
        close: attendance.close,
      },
      onProblem,
    );
  },
});
