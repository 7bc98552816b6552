import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Hops of one X-Forwarded-For that are looked at, from the right. */
const maxHops = 32;

/**
 * Makes the function that names the client of a request by address, as a key to count it by: the peer, or behind
 * `trustedProxies` (CIDRs) the right-most address of X-Forwarded-For that is none of them. What stands further left is
 * the client's own say. An IPv6 client is its /64: whoever has one address of it has all.
 */
export const createClientAddress = (trustedProxies: readonly string[]): ClientAddress =>
  createFinder(trustedProxies, keyOf);

/** The same client by its whole address, `unknown` for one that has none. */
export const createClientIp = (trustedProxies: readonly string[]): ClientAddress =>
  createFinder(trustedProxies, (address) => address.toString());

/**
 * The same client where it is counted by connections. Empty, which is not counted, for this machine: there stand proxies
 * that nobody has named, and tools.
 */
export const createCountedAddress = (trustedProxies: readonly string[]): ClientAddress =>
  createFinder(trustedProxies, countedKeyOf);

/** What a connection is counted by before anything was said on it; empty also for the trusted proxies. */
export const createPeerAddress = (trustedProxies: readonly string[]): ((socket: Socket) => string) => {
  const isTrusted = createIsTrusted(trustedProxies);
  return (socket) => {
    const address = parse(socket.remoteAddress);
    return address === undefined || isTrusted(address) ? '' : countedKeyOf(address);
  };
};

export type ClientAddress = (request: IncomingMessage) => string;

const createFinder = (
  trustedProxies: readonly string[],
  nameOf: (address: Address) => string,
): ClientAddress => {
  const isTrusted = createIsTrusted(trustedProxies);
  const peers = new WeakMap<Socket, { readonly key: string; readonly trusted: boolean }>();

  const peerOf = (socket: Socket): { readonly key: string; readonly trusted: boolean } => {
    const known = peers.get(socket);
    if (known !== undefined) return known;
    const address = parse(socket.remoteAddress);
    const peer =
      address === undefined
        ? { key: 'unknown', trusted: false }
        : { key: nameOf(address), trusted: isTrusted(address) };
    peers.set(socket, peer);
    return peer;
  };

  return (request) => {
    const peer = peerOf(request.socket);
    const forwarded = request.headers['x-forwarded-for'];
    if (!peer.trusted || typeof forwarded !== 'string') return peer.key;
    let key = peer.key;
    for (const hop of forwarded.split(',').slice(-maxHops).reverse()) {
      const address = parse(hop.trim());
      // A proxy of ours wrote this: what cannot be read stands for the proxy before it.
      if (address === undefined) return key;
      key = nameOf(address);
      if (!isTrusted(address)) return key;
    }
    return key;
  };
};

const createIsTrusted = (trustedProxies: readonly string[]): ((address: Address) => boolean) => {
  const trusted = trustedProxies.map((cidr) => ipaddr.parseCIDR(cidr));
  return (address) =>
    trusted.some((range) => {
      const [network, bits] = range;
      return network.kind() === address.kind() && address.match(network, bits);
    });
};

const parse = (text: string | undefined): Address | undefined => {
  if (text === undefined || !ipaddr.isValid(text)) return undefined;
  return ipaddr.process(text);
};

const countedKeyOf = (address: Address): string => (address.range() === 'loopback' ? '' : keyOf(address));

const keyOf = (address: Address): string =>
  address.kind() === 'ipv4'
    ? address.toString()
    : `${address
        .toByteArray()
        .slice(0, 8)
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join('')}/64`;
