/** A TCP endpoint to bind. */
export type Endpoint = {
  /** As libzmq takes it: a free port is `*`. */
  readonly address: string;
  /** `*` is every interface; an IPv6 address stands without brackets. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** True when only this machine reaches it. */
  readonly loopback: boolean;
};

/** Another node's publish socket. */
export type PeerEndpoint = {
  /** `tcp://HOST:PORT`. */
  readonly address: string;
  /** Z85; undefined: the same as this node's. */
  readonly serverKey: string | undefined;
  readonly loopback: boolean;
};

const form = /^tcp:\/\/(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._*-]{1,253}):(\*|\d{1,5})$/;
const loopbackIpv4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
const z85 = /^[0-9A-Za-z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

/** True for a CURVE key as ZeroMQ writes it: 40 characters of Z85 (RFC 32/Z85), as a text. Not every such text is a key. */
export const isZ85Key = (text: string): boolean => z85.test(text);

/** Undefined for anything but `tcp://HOST:PORT`; port 0 and `*` pick a free one. */
export const parseEndpoint = (text: string): Endpoint | undefined => {
  const [, given, port] = form.exec(text) ?? [];
  if (given === undefined || port === undefined || Number(port) > 65_535) return undefined;
  if (given.includes('*') && given !== '*') return undefined;
  const name = given === 'localhost' ? '127.0.0.1' : given;
  const number = port === '*' ? 0 : Number(port);
  return {
    address: `tcp://${name}:${number === 0 ? '*' : number}`,
    host: name.startsWith('[') ? name.slice(1, -1) : name,
    port: number,
    loopback: isLoopback(name),
  };
};

/** Undefined for anything but `tcp://HOST:PORT` or `tcp://HOST:PORT|KEY`, KEY being the node's public key. */
export const parsePeer = (text: string): PeerEndpoint | undefined => {
  const bar = text.indexOf('|');
  const address = bar < 0 ? text : text.slice(0, bar);
  const serverKey = bar < 0 ? undefined : text.slice(bar + 1);
  const endpoint = parseEndpoint(address);
  if (endpoint === undefined || endpoint.port === 0 || endpoint.host === '*') return undefined;
  if (serverKey !== undefined && !isZ85Key(serverKey)) return undefined;
  return { address: endpoint.address, serverKey, loopback: endpoint.loopback };
};

const isLoopback = (name: string): boolean =>
  name === '[::1]' || (loopbackIpv4.test(name) && name.split('.').every((part) => Number(part) <= 255));
