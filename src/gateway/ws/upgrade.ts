import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { Access, Admitted, Verified } from '../auth/access.ts';
import { requestIdOf } from '../context.ts';
import { rawProblem } from '../problem.ts';

/** Of the subprotocol that carries a token. */
export const bearerPrefix = 'bearer.';
const refusalMs = 2_000;

/** The subprotocols that a client offers. */
const offeredProtocols = (request: IncomingMessage): readonly string[] =>
  (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** Each TOKEN of an offered subprotocol `bearer.TOKEN`: the way of browsers, which cannot set a header. */
const offeredTokens = (request: IncomingMessage): readonly string[] =>
  offeredProtocols(request)
    .filter((part) => part.startsWith(bearerPrefix))
    .map((part) => part.slice(bearerPrefix.length));

/**
 * Who asks for a socket: by the Authorization header or the subprotocol `bearer.TOKEN`, never by the URL, and not by more
 * than one of them (RFC 6750, section 2).
 *
 * @param later The token may come in the first message instead: without one, undefined is answered.
 */
export const admitUpgrade = (
  access: Access,
  request: IncomingMessage,
  later: boolean,
): Verified<Admitted | undefined> => {
  if (access.mode === 'off') return access.admit(request);
  if (!access.originAllowed(request)) {
    return fault(problem('forbidden', 'The Origin is foreign; corsOrigins names those that are not'));
  }
  const inHeader = request.headers.authorization !== undefined;
  const [token, ...more] = offeredTokens(request);
  if (more.length > 0 || (inHeader && token !== undefined)) {
    return fault(problem('unauthorized', 'The request has more than one token'));
  }
  if (later && !inHeader && token === undefined) return ok(undefined);
  return access.admit(request, token === undefined ? {} : { token });
};

export type Entrance = {
  /** What keeps out whoever has a good token; asked just before `enter`. */
  check(): Problem | undefined;
  enter(subject: Admitted | undefined): void;
  refuse(why: Problem): void;
};

/** Lets a socket in, or refuses it: at once when the token is known; while another is verified, the socket is not read. */
export const enterUpgrade = (
  admitted: Verified<Admitted | undefined>,
  socket: Duplex,
  { check, enter, refuse }: Entrance,
): void => {
  const decide = (result: Result<Admitted | undefined>): void => {
    const refused = result.ok ? check() : result.problem;
    if (refused !== undefined) refuse(refused);
    else if (result.ok) enter(result.value);
  };
  if (!(admitted instanceof Promise)) {
    decide(admitted);
    return;
  }
  const onError = (): void => {
    socket.destroy();
  };
  socket.on('error', onError);
  void admitted.then((result) => {
    socket.off('error', onError);
    if (!socket.destroyed) decide(result);
  });
};

/** Counts open sockets, in all and by address. */
export type ConnectionCaps = {
  /** The fault when there is no room (an empty address is one of this machine's, which may have all there is); otherwise the socket is counted until it closes. */
  take(address: string, socket: Duplex): Problem | undefined;
};

export const createConnectionCaps = (max: number, maxPerAddress: number): ConnectionCaps => {
  const byAddress = new Map<string, number>();
  let all = 0;
  return {
    take: (address, socket) => {
      const here = byAddress.get(address) ?? 0;
      if (all >= max) return problem('overloaded', `The hub has its ${max} WebSockets`);
      if (address !== '' && here >= maxPerAddress)
        return problem('rate_limited', `One address may have ${maxPerAddress} WebSockets`);
      all++;
      byAddress.set(address, here + 1);
      socket.once('close', () => {
        all--;
        const left = (byAddress.get(address) ?? 1) - 1;
        if (left === 0) byAddress.delete(address);
        else byAddress.set(address, left);
      });
      return undefined;
    },
  };
};

/** Answers an upgrade with a problem and closes the socket, which no server's timeout looks after any more. */
export const refuseUpgrade = (request: IncomingMessage, socket: Duplex, why: Problem): void => {
  socket.on('error', () => socket.destroy());
  const timer = setTimeout(() => socket.destroy(), refusalMs);
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
  socket.end(rawProblem(why, requestIdOf(request.headers['x-request-id'])));
};
