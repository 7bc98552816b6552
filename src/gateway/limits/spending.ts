import { isProxied } from '../proxy.ts';

/**
 * Which budget a request is counted against. `documents` is that of requests to /graphql whose document nobody has read
 * yet; `refusals` that of an address whose tokens are bad.
 */
export type Spending = 'reads' | 'writes' | 'invokes' | 'heartbeats' | 'documents' | 'refusals';

const invokeSuffix = '/invoke';
const pullSuffix = '/pull';

/** What a request is by its method and path; a heartbeat is told by the gate, which needs the service's name. */
export const spendingOf = (method: string, path: string): Spending => {
  if (path === '/graphql') return 'documents';
  if (isProxied(path)) return 'invokes';
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
      return 'reads';
    case 'POST':
      if (path.endsWith(invokeSuffix) && path.startsWith('/services/')) return 'invokes';
      return path.endsWith(pullSuffix) && path.startsWith('/subscriptions/') ? 'reads' : 'writes';
    default:
      return 'writes';
  }
};
