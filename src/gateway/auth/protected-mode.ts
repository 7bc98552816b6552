import type { IncomingMessage } from 'node:http';
import { type Problem, problem } from '../../errors.ts';

/**
 * Protected mode: without authentication only clients on this machine are served. Each check closes one way in: the
 * address a remote client; the forwarding header a proxy that listens to the world; `Host` a name that an attacker
 * points at 127.0.0.1 (DNS rebinding); `Origin` a foreign page in a browser on this machine.
 */

const forwardingHeaders: ReadonlySet<string> = new Set([
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-original-host',
  'x-envoy-external-address',
  'x-azure-clientip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
]);
/** `X-Forwarded` and all that begin so. */
const forwardedPrefix = 'x-forwarded';

const maxShown = 64;
const dottedQuad = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;

/** True for the text of an address as the kernel gives it: 127.0.0.0/8, `::1`, IPv4-mapped forms included. */
export const isLoopbackAddress = (address: string | undefined): boolean => {
  if (address === undefined) return false;
  if (address === '127.0.0.1' || address === '::1') return true;
  return dottedQuad.test(address.startsWith('::ffff:') ? address.slice(7) : address);
};

/** True for the value of a `Host` header that names this machine: `localhost`, 127.0.0.0/8 or `[::1]`, any port. */
export const isLoopbackHost = (host: string | undefined): boolean => {
  if (host === undefined) return false;
  const colon = host.lastIndexOf(':');
  const name = (colon > host.lastIndexOf(']') ? host.slice(0, colon) : host).toLowerCase();
  return name === '127.0.0.1' || name === 'localhost' || name === '[::1]' || dottedQuad.test(name);
};

/** True for an `Origin` of this machine, whatever its port; `null` and anything that is no http(s) origin are foreign. */
export const isLoopbackOrigin = (origin: string): boolean => {
  if (origin.startsWith('http://')) return isLoopbackHost(origin.slice(7));
  return origin.startsWith('https://') && isLoopbackHost(origin.slice(8));
};

/** What keeps `request` out, or undefined. */
export const protectedModeFault = (
  request: IncomingMessage,
  corsOrigins: ReadonlySet<string>,
): Problem | undefined => {
  const { headers } = request;
  if (!isLoopbackAddress(request.socket.remoteAddress))
    return refuse('the request came from another address');
  for (const name in headers) {
    if (name.startsWith(forwardedPrefix) || forwardingHeaders.has(name))
      return refuse(`the request was forwarded (${name.slice(0, maxShown)})`);
  }
  if (!isLoopbackHost(headers.host)) return refuse('the Host header is not a loopback name');
  const { origin } = headers;
  if (origin !== undefined && !corsOrigins.has(origin) && !isLoopbackOrigin(origin)) {
    return refuse('the Origin is foreign');
  }
  return undefined;
};

const refuse = (reason: string): Problem =>
  problem(
    'protected_mode',
    `Without authentication only clients on this machine are served, and ${reason}. ` +
      'Set jwtSecret (NEXUS_JWT_SECRET, at least 32 bytes), jwksUrl or jwksFile to turn authentication on.',
    { reason },
  );
