import type { RequestListener } from 'node:http';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { openRegistry, type Registry, type RegistryOptions } from '../../../src/registry/registry.ts';
import { createTargets } from '../../../src/registry/target/targets.ts';
import { type Listening, listen, quiet, serviceDocument } from '../support.ts';

/** A registry with one instance `s0`, `s1`, … of the service `svc` per listener, each a real server. */
export const withInstances = async (
  listeners: readonly RequestListener[],
  changes: Partial<ServiceDocument>,
  run: (registry: Registry, servers: readonly Listening[]) => Promise<void>,
  time: Pick<RegistryOptions, 'clock' | 'after'> = {},
): Promise<void> => {
  const registry = openRegistry({
    logger: quiet,
    targets: createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }),
    changeStatus: async () => {},
    ...time,
    deregister: async () => {},
  });
  const servers = await Promise.all(listeners.map(listen));
  servers.forEach(({ port }, index) => {
    registry.put(serviceDocument({ id: `s${index}`, port, ...changes }));
  });
  try {
    await run(registry, servers);
  } finally {
    await registry.close();
    await Promise.all(servers.map((server) => server.close()));
  }
};

export const answering =
  (status: number, body: string): RequestListener =>
  (request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  };

export const breaking: RequestListener = (request) => request.socket.destroy();

export const silent: RequestListener = (request) => {
  request.resume();
};
