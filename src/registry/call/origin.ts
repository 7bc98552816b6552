import type { ServiceDocument } from '../../../projections/documents.ts';
import type { Instance } from '../instance.ts';

const known = new WeakMap<ServiceDocument, string>();

/** `http://HOST:PORT` of an instance that has an address. */
export const originOf = ({ document }: Pick<Instance, 'document'>): string => {
  const before = known.get(document);
  if (before !== undefined) return before;
  const { protocol, host, port } = document;
  const origin = `${protocol}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
  known.set(document, origin);
  return origin;
};
