import * as z from 'zod';
import type { Json } from '../../domain/event.ts';
import { anyJson } from '../command/state-schemas.ts';
import { fault, invalidAt, ok, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Invoked } from '../nexus-core.ts';
import type { ForwardRequest } from '../nexus-proxy.ts';
import { changes, verdicts } from '../plugin/hooks/answers.ts';
import type { Hooks } from '../plugin/hooks/hooks.ts';

/** A call of a service, as plugins are asked about it. */
export type HookedCall<Data> = {
  readonly service: string;
  readonly method: string;
  readonly data: Data;
  readonly subject: string;
};

const dataVerdicts = verdicts(z.strictObject({ data: anyJson }));
const noVerdicts = verdicts(z.never());
const resultChanges = changes(z.strictObject({ result: anyJson }));

/** `invoke` between the plugins that are asked about a call before it, and about what came of it. */
export const invokeHooked = async (
  hooks: Hooks,
  { service, method, data, subject }: HookedCall<Json | undefined>,
  invoke: (data: Json | undefined) => Promise<Result<Invoked>>,
): Promise<Result<Invoked>> => {
  const asked = await hooks.ask({
    hook: 'before_service_invoke',
    name: service,
    subject,
    value: { data },
    answers: dataVerdicts,
    input: (value) => ({ service, method, data: value.data ?? null, subject }),
    change: (_value, change) => ok(change),
  });
  if (!asked.ok) return asked;
  const sent = asked.value.data;
  const invoked = await invoke(sent);
  const seen = await hooks.ask({
    hook: 'after_service_invoke',
    name: service,
    subject,
    value: invoked,
    answers: resultChanges,
    input: (value) => ({
      service,
      method,
      data: sent ?? null,
      subject,
      outcome: value.ok ? 'ok' : value.problem.code,
      result: value.ok ? value.value.result : null,
      ...(value.ok ? given({ instance: value.value.instance, durationMs: value.value.durationMs }) : {}),
    }),
    change: (value, { result }) =>
      value.ok
        ? ok<Result<Invoked>>(ok({ ...value.value, result }))
        : fault(invalidAt('/result', 'is not for a call that failed')),
  });
  return seen.ok ? seen.value : seen;
};

/** Why a request through the proxy may not go on: plugins see its method and path, and nothing of what it carries. */
export const proxyRefusal = async (
  hooks: Hooks,
  service: string,
  { method, target }: Pick<ForwardRequest, 'method' | 'target'>,
  subject: string,
): Promise<Result<null>> =>
  hooks.ask({
    hook: 'before_service_invoke',
    name: service,
    subject,
    value: null,
    answers: noVerdicts,
    input: () => ({ service, method: target.split('?', 1)[0] ?? '', http: method, data: null, subject }),
    change: ok,
  });
