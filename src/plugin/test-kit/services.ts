import type { Json } from '../../../domain/event.ts';
import { parseJson } from '../../gateway/json.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import type { Service } from './api.ts';

/**
 * Registers a service that is answered for here, and resolves once it is healthy.
 *
 * @throws {Error} when the hub, or a plugin, refuses it.
 */
export const serveHere = async (
  core: NexusCore,
  context: Context,
  name: string,
  service: Service,
): Promise<{ close(): void }> => {
  const data = { id: name, name, version: '1.0.0', reach: 'socket' };
  const registered = await core.execute({ type: 'RegisterService', data }, context);
  if (!registered.ok) throw new Error(`${name} is not registered: ${registered.problem.detail}`);
  const serving = core.openServing({
    full: false,
    drained: async () => undefined,
    push: ({ call, method, body }) => {
      const given = parseJson(Buffer.from(body));
      const answered = async (): Promise<Json> => service(method, given.ok ? given.value : null);
      answered().then(
        (value) => serving.answer(call, { ok: true, value }),
        (error: unknown) => {
          const message = error instanceof Error ? error.message : String(error);
          serving.answer(call, { ok: false, error: { message } });
        },
      );
    },
    cancel: () => undefined,
    ended: () => undefined,
  });
  const served = await serving.serve({ service: name }, context);
  if (!served.ok) throw new Error(`${name} is not served: ${served.problem.detail}`);
  return { close: serving.close };
};
