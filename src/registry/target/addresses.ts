import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * `never`: no setting allows it (link-local, cloud metadata, unspecified, multicast, broadcast).
 * `special`: reserved ranges that only a setting allows (carrier-grade NAT, documentation, benchmarks).
 */
export type AddressClass = 'loopback' | 'private' | 'public' | 'special' | 'never';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * Metadata endpoints of clouds that stand outside the link-local range: Alibaba, Azure, Oracle, Google (IPv6); and the
 * whole network in which AWS has its own.
 */
const metadata = new Set(['100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd20:ce:0:0:0:0:0:254']);
const awsServices = ipaddr.IPv6.parseCIDR('fd00:ec2::/32');

const never = new Set(['linkLocal', 'unspecified', 'multicast', 'broadcast']);
const privates = new Set(['private', 'uniqueLocal']);
/** What IANA has given out as global unicast (RFC 4291, section 2.4); the rest is not routed. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/** Networks whose addresses lead to an IPv4 one, and at which byte of them it stands. */
const carriers = [
  // IPv4-compatible (RFC 4291, 2.5.5.1), translated (RFC 2765), NAT64 (RFC 6052, 2.1) and its local form (RFC 8215).
  { network: ipaddr.IPv6.parseCIDR('::/96'), from: 12 },
  { network: ipaddr.IPv6.parseCIDR('::ffff:0:0:0/96'), from: 12 },
  { network: ipaddr.IPv6.parseCIDR('64:ff9b::/96'), from: 12 },
  { network: ipaddr.IPv6.parseCIDR('64:ff9b:1::/48'), from: 12 },
  // 6to4 (RFC 3056).
  { network: ipaddr.IPv6.parseCIDR('2002::/16'), from: 2 },
] as const;

const ipv4At = (bytes: readonly number[], from: number): ipaddr.IPv4 =>
  new ipaddr.IPv4(bytes.slice(from, from + 4));

/** ISATAP (RFC 5214, section 6.1): an interface identifier of 5efe and an IPv4 address behind any prefix. */
const isIsatap = (bytes: readonly number[]): boolean =>
  (bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;

/** The IPv4 address that an IPv6 one leads to, else the address itself. */
const unwrap = (address: Address): Address => {
  if (!(address instanceof ipaddr.IPv6)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const range = address.range();
  if (range === 'loopback' || never.has(range)) return address;
  const bytes = address.toByteArray();
  const carrier = carriers.find(({ network }) => address.match(network));
  if (carrier !== undefined) return ipv4At(bytes, carrier.from);
  return isIsatap(bytes) ? ipv4At(bytes, 12) : address;
};

const isMetadata = (address: Address): boolean =>
  metadata.has(address.toNormalizedString()) ||
  (address instanceof ipaddr.IPv6 && address.match(awsServices));

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
  if (never.has(range) || isMetadata(address)) return 'never';
  if (address instanceof ipaddr.IPv4 && address.octets[0] === 0) return 'never';
  if (range === 'loopback') return 'loopback';
  if (privates.has(range)) return 'private';
  if (range !== 'unicast') return 'special';
  return address instanceof ipaddr.IPv4 || address.match(globalUnicast) ? 'public' : 'special';
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
