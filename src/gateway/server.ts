import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Config } from '../config.ts';
import { type Problem, problem } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { createArrivals } from './arrivals.ts';
import { framingFault } from './framing.ts';
import { maxUrlLength } from './gate.ts';
import { createPeerAddress } from './limits/client-address.ts';
import { type Connections, followConnections } from './limits/connections.ts';
import { createDepartures, departureLimits } from './limits/departures.ts';
import { rawProblem } from './problem.ts';
import { readTlsFiles, watchTlsFiles } from './tls.ts';

export type Timeouts = {
  /** For the header of a request to arrive. */
  readonly headersMs: number;
  /** For a whole request to arrive, its body included; under /proxy and at /snapshot, for anything of its body to. */
  readonly requestMs: number;
  /** For a client to take anything of its answer (limits/departures.ts). */
  readonly answerMs: number;
  /** How often those three are looked at. */
  readonly checkEveryMs: number;
  /** For the next request on an idle connection; more than what proxies in front wait. */
  readonly keepAliveMs: number;
  /** For anything to move on a connection; more than the longest invoke. */
  readonly idleMs: number;
};

export const defaultTimeouts: Timeouts = {
  headersMs: 10_000,
  requestMs: 30_000,
  answerMs: 60_000,
  checkEveryMs: 1_000,
  keepAliveMs: 65_000,
  idleMs: 330_000,
};

export type WebServer = {
  readonly server: Server;
  /** The port that was bound. */
  listen(host: string, port: number): Promise<number>;
  /** Takes no new connection, ends the idle ones, resolves once all are gone, and cuts what is left after `limitMs`. */
  drain(limitMs: number): Promise<void>;
};

const sweepMs = 20;
const maxHeaderSize = 16_384;
const maxHeaders = 1_000;

/** @throws {Error} when the TLS files cannot be read or do not fit together. */
export const createWebServer = (
  config: Pick<
    Config,
    'tlsCert' | 'tlsKey' | 'maxConnections' | 'maxConnectionsPerAddress' | 'trustedProxies'
  >,
  listener: RequestListener,
  logger: Logger,
  timeouts: Timeouts,
): WebServer => {
  const options = {
    maxHeaderSize,
    headersTimeout: timeouts.headersMs,
    // arrivals.ts looks after bodies.
    requestTimeout: 0,
    connectionsCheckingInterval: timeouts.checkEveryMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    noDelay: true,
    // Node's own refusal is no problem document: gate.ts has one.
    requireHostHeader: false,
    // An offer of another protocol (h2c, which some clients make on every connection) may be passed over
    // (RFC 9110, section 7.8), and the request be answered.
    shouldUpgradeCallback: (request: IncomingMessage): boolean =>
      request.headers.upgrade?.toLowerCase() === 'websocket',
  };
  const { tlsCert, tlsKey } = config;
  const answer: RequestListener = (request, response) => {
    const { socket } = request;
    // Behind a fault of the framing nothing is a request.
    if (socket.writableEnded) return;
    const fault = framingFault(request);
    if (fault === undefined) listener(request, response);
    else answerBroken(fault, socket, sockets);
  };
  let unwatch = (): void => {};
  let server: Server;
  if (tlsCert !== null && tlsKey !== null) {
    const files = { cert: tlsCert, key: tlsKey };
    const tls = createTlsServer(
      { ...options, ...readTlsFiles(files), minVersion: 'TLSv1.2', handshakeTimeout: timeouts.headersMs },
      (request, response) => answer(request, response),
    );
    tls.on('tlsClientError', (error) => logger.debug({ err: error }, 'a TLS handshake failed'));
    unwatch = watchTlsFiles(files, (context) => tls.setSecureContext(context), logger);
    server = tls;
  } else {
    server = createServer(options, (request, response) => answer(request, response));
  }
  // RFC 9110, section 10.1.1: an expectation that is not known may be passed over too.
  server.on('checkExpectation', answer);
  server.maxHeadersCount = maxHeaders;
  server.setTimeout(timeouts.idleMs);
  const sockets = followConnections(server, tlsCert !== null, {
    max: config.maxConnections,
    maxPerAddress: config.maxConnectionsPerAddress,
    addressOf: createPeerAddress(config.trustedProxies),
  });
  const arrivals = createArrivals(timeouts.requestMs, (socket, answer) => {
    if (answer.headersSent) socket.destroy();
    else answerBroken(requestTimedOut, socket, sockets);
  });
  const departures = createDepartures({ ...departureLimits, stallMs: timeouts.answerMs }, (socket) => {
    logger.debug({ unreadBytes: socket.writableLength }, 'a client that does not read was cut off');
    socket.destroy();
  });
  const looking = setInterval(() => {
    arrivals.look(sockets.requesting, sockets.answerOf);
    departures.look(sockets.requesting, sockets.answerOf);
  }, timeouts.checkEveryMs).unref();
  server.once('close', () => clearInterval(looking));
  server.on('clientError', (error: ClientError, socket) => {
    if (error.code === 'ECONNRESET') socket.destroy();
    else answerBroken(brokenProblem(error), socket, sockets);
  });

  return {
    server,
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          server.on('error', (error) => logger.error({ err: error }, 'the server failed'));
          const address = server.address();
          resolve(typeof address === 'object' && address !== null ? address.port : port);
        });
      }),
    drain: (limitMs) =>
      new Promise((resolve) => {
        unwatch();
        const cut = setTimeout(() => {
          logger.warn({ connections: sockets.all.size }, 'connections were cut: they did not end in time');
          for (const socket of sockets.all) socket.destroy();
        }, limitMs);
        // An answer that was begun before the drain leaves its connection open for a next request.
        const sweep = setInterval(() => server.closeIdleConnections(), sweepMs);
        server.close(() => {
          clearTimeout(cut);
          clearInterval(sweep);
          resolve();
        });
        server.closeIdleConnections();
        // Browsers open connections ahead of need; to Node one that was never used is not idle.
        for (const socket of sockets.unused) socket.destroy();
      }),
  };
};

type ClientError = Error & { readonly code?: string; readonly rawPacket?: Buffer };

const requestTimedOut = problem('request_timeout', 'The request did not arrive in time');

/** Answers what never became a request, or the request whose body broke the rules of HTTP. */
const answerBroken = (fault: Problem, socket: Duplex, sockets: Connections): void => {
  // Who has said nothing is owed nothing: of thousands at once, each answer would keep others waiting.
  if (!socket.writable || sockets.isAnswering(socket) || isSilent(socket)) {
    socket.destroy();
    return;
  }
  socket.on('error', () => socket.destroy());
  socket.end(rawProblem(fault), () => socket.destroy());
};

const isSilent = (socket: Duplex): boolean => socket instanceof Socket && socket.bytesRead === 0;

const brokenProblem = (error: ClientError): Problem => {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW': {
      const line = error.rawPacket?.indexOf('\n') ?? 0;
      return line < 0 || line > maxUrlLength
        ? problem('uri_too_long', `The URL is longer than ${maxUrlLength} characters`)
        : problem(
            'headers_too_large',
            `The header fields are more than ${maxHeaders}, or larger than ${maxHeaderSize} bytes`,
          );
    }
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return problem('too_large', 'The chunk extensions of the body are too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return requestTimedOut;
    default:
      return problem(
        'bad_request',
        `The request is not HTTP${error.code === undefined ? '' : ` (${error.code})`}`,
      );
  }
};
