/** A TCP endpoint to bind. */
export type Endpoint = {
  /** As libzmq takes it: a free port is `*`. */
  readonly address: string;
  /** True when only this machine reaches it. */
  readonly loopback: boolean;
};

const form = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^:[\]/]+):(\*|\d{1,5})$/;
const loopbackIpv4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;

/** Undefined for anything but `tcp://HOST:PORT`; port 0 and `*` pick a free one. */
export const parseEndpoint = (text: string): Endpoint | undefined => {
  const [, host, port] = form.exec(text) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535) return undefined;
  const name = host === 'localhost' ? '127.0.0.1' : host;
  return {
    address: `tcp://${name}:${port === '0' ? '*' : port}`,
    loopback: loopbackIpv4.test(name) || name === '[::1]',
  };
};

/** The port of what libzmq says it has bound. */
export const portOf = (bound: string | null): number | undefined => {
  const port = Number(bound?.slice(bound.lastIndexOf(':') + 1));
  return Number.isInteger(port) && port > 0 ? port : undefined;
};

/** For both sockets: dead peers are noticed, large or slow ones cost little, and a close does not wait long. */
export const socketOptions = {
  linger: 500,
  heartbeatInterval: 10_000,
  heartbeatTimeout: 30_000,
  handshakeInterval: 5_000,
} as const;
