import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * `never`: no setting allows it (link-local, cloud metadata, unspecified, multicast, broadcast).
 * `special`: reserved ranges that only a setting allows (carrier-grade NAT, documentation, benchmarks).
 */
export type AddressClass = 'loopback' | 'private' | 'public' | 'special' | 'never';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Metadata endpoints of clouds that stand outside the link-local range: AWS (IPv6), Alibaba, Azure, Oracle. */
const metadata = new Set(['fd00:ec2:0:0:0:0:0:254', '100.100.100.200', '168.63.129.16', '192.0.0.192']);

const never = new Set(['linkLocal', 'unspecified', 'multicast', 'broadcast']);
const privates = new Set(['private', 'uniqueLocal']);
const nat64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
const sixToFour = ipaddr.IPv6.parseCIDR('2002::/16');

const bytesOf = (address: ipaddr.IPv6, from: number): ipaddr.IPv4 =>
  new ipaddr.IPv4(address.toByteArray().slice(from, from + 4));

/** The IPv4 address that an IPv6 one carries (mapped, NAT64 and 6to4), else the address itself. */
const unwrap = (address: Address): Address => {
  if (!(address instanceof ipaddr.IPv6)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  if (address.match(nat64)) return bytesOf(address, 12);
  if (address.match(sixToFour)) return bytesOf(address, 2);
  return address;
};

/** Undefined for text that is not an address in its usual form: `127.1` and `0x7f000001` are none. */
const parse = (text: string): Address | undefined =>
  isIP(text) === 0 || text.includes('%') ? undefined : ipaddr.parse(text);

/** One spelling per address, the IPv4 one where an IPv6 address carries it; undefined for what is none. */
export const canonicalAddress = (text: string): string | undefined => {
  const address = parse(text);
  return address === undefined ? undefined : unwrap(address).toString();
};

export const classifyAddress = (text: string): AddressClass => {
  const parsed = parse(text);
  if (parsed === undefined) return 'never';
  const address = unwrap(parsed);
  const range = address.range();
  if (never.has(range) || metadata.has(address.toNormalizedString())) return 'never';
  if (address instanceof ipaddr.IPv4 && address.octets[0] === 0) return 'never';
  if (range === 'loopback') return 'loopback';
  if (privates.has(range)) return 'private';
  return range === 'unicast' ? 'public' : 'special';
};

/** A test whether an address, as it stands or as the IPv4 address that it carries, lies in one of the networks. */
export const networkMatcher = (cidrs: readonly string[]): ((text: string) => boolean) => {
  const networks = cidrs.map((cidr) => ipaddr.parseCIDR(cidr));
  return (text) => {
    const parsed = parse(text);
    if (parsed === undefined) return false;
    return [parsed, unwrap(parsed)].some((address) =>
      networks.some(([network, bits]) => address.kind() === network.kind() && address.match(network, bits)),
    );
  };
};
