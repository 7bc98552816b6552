import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type AddressClass, canonicalAddress, classifyAddress, networkMatcher } from './addresses.ts';

export type Checked =
  /** 1 to 4 addresses, checked as every other of the host was: connect to these, never to the name. */
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly reason: 'refused' | 'unresolved'; readonly detail: string };

/** Which addresses the hub may connect to on behalf of its users (docs/adr/0010-targets.md). */
export type Targets = {
  /**
   * Resolves `host` once and checks every address that it has; one refused address refuses the host.
   *
   * Settles within 5 s. Ask again before every connect: names change.
   */
  check(host: string, port: number): Promise<Checked>;
  /**
   * Why a service may not be registered at `host`: an address outside of `allowedTargets`, where any is given. A name is
   * checked when it is used, as it may then stand for another address.
   */
  refusal(host: string, port: number): string | undefined;
  /**
   * For hosts that an operator has granted one by one (docs/adr/0051-what-a-plugin-may-do.md): public addresses, those of
   * `allowedTargets`, and whatever stands as an address in the grant itself, but for what is never a target.
   */
  readonly granted: Pick<Targets, 'check'>;
};

export type TargetsOptions = {
  /** `protected`: without authentication. */
  readonly mode: 'protected' | 'authenticated';
  /** When any is given, only these networks. */
  readonly allowedTargets: readonly string[];
  /** Ports that the hub itself listens on; asked at every check. */
  readonly ownPorts: () => readonly number[];
  /** Addresses of a name. Default: the system's resolver. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  /** Addresses of this machine. Default: those of its interfaces. */
  readonly localAddresses?: () => readonly string[];
};

const resolveLimitMs = 5_000;
const maxAddresses = 4;

const hostName = /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;
/** A last label that URL parsers and resolvers read as a number: `2130706433`, `127.1`, `0x7f000001`. */
const numericEnd = /(^|\.)(0x[0-9a-f]*|[0-9]+)$/i;

/** The name or address without brackets and one trailing dot; undefined for text that is neither. */
const plainHost = (host: string): string | undefined => {
  const bracketed = host.startsWith('[') && host.endsWith(']');
  const bare = bracketed ? host.slice(1, -1) : host;
  const family = isIP(bare);
  if (family !== 0) return bare.includes('%') || (bracketed && family === 4) ? undefined : bare;
  const name = host.endsWith('.') ? host.slice(0, -1) : host;
  return name.length <= 253 && hostName.test(name) && !numericEnd.test(name) ? name : undefined;
};

/** True for what can be the host of a target at all: a plain host name, or an address in its usual form. */
export const isTargetHost = (host: string): boolean => plainHost(host) !== undefined;

const systemResolve = async (name: string): Promise<readonly string[]> =>
  (await lookup(name, { all: true, order: 'verbatim' })).map(({ address }) => address);

const systemAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));

const within = async <Value>(limitMs: number, what: string, task: Promise<Value>): Promise<Value> => {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([task, limit]);
  } finally {
    clearTimeout(timer);
  }
};

export const createTargets = (options: TargetsOptions): Targets => {
  const resolve = options.resolve ?? systemResolve;
  const localAddresses = options.localAddresses ?? systemAddresses;
  const isListed = networkMatcher(options.allowedTargets);
  const isRestricted = options.allowedTargets.length > 0;
  const allowedByMode = options.mode === 'protected' ? 'loopback' : 'private';
  /** One look-up per name at a time, however many connections wait for it. */
  const pending = new Map<string, Promise<readonly string[]>>();

  const resolveOnce = (name: string): Promise<readonly string[]> => {
    const running = pending.get(name);
    if (running !== undefined) return running;
    const started = resolve(name).finally(() => pending.delete(name));
    pending.set(name, started);
    return started;
  };

  const isOwn = (address: string, port: number): boolean => {
    if (!options.ownPorts().includes(port)) return false;
    if (classifyAddress(address) === 'loopback') return true;
    const canonical = canonicalAddress(address);
    return localAddresses().some((local) => canonicalAddress(local) === canonical);
  };

  /** @param isAllowed of an address that is a target for somebody. */
  const refusalBy =
    (isAllowed: (address: string, kind: AddressClass) => boolean) =>
    (address: string, port: number): string | undefined => {
      const kind = classifyAddress(address);
      if (kind === 'never')
        return `${address} is link-local, metadata, multicast or unspecified, which is never a target`;
      if (isOwn(address, port)) return `${address}:${port} is the hub itself`;
      if (isAllowed(address, kind)) return undefined;
      return isRestricted
        ? `${address} is in none of allowedTargets`
        : `${address} is a ${kind} address; name its network in allowedTargets to allow it`;
    };

  const refusal = refusalBy((address, kind) =>
    isRestricted ? isListed(address) : kind === 'public' || kind === allowedByMode,
  );
  const refusalOfNamed = refusalBy((address, kind) => kind === 'public' || isListed(address));
  const refusalOfLiteral = refusalBy(() => true);

  const checkBy =
    (refusalOf: (plain: string) => typeof refusal): Targets['check'] =>
    async (host, port) => {
      const plain = plainHost(host);
      if (plain === undefined) {
        return {
          ok: false,
          reason: 'refused',
          detail: 'the host is neither a plain host name nor an IP address',
        };
      }
      let addresses: readonly string[];
      try {
        addresses =
          isIP(plain) === 0
            ? await within(resolveLimitMs, `resolving ${plain}`, resolveOnce(plain))
            : [plain];
      } catch (error) {
        const why = error instanceof Error ? error.message : 'the resolver failed';
        return { ok: false, reason: 'unresolved', detail: `${plain} cannot be resolved: ${why}` };
      }
      for (const address of addresses) {
        const why = refusalOf(plain)(address, port);
        if (why !== undefined) return { ok: false, reason: 'refused', detail: why };
      }
      return addresses.length === 0
        ? { ok: false, reason: 'unresolved', detail: `${plain} has no address` }
        : { ok: true, addresses: addresses.slice(0, maxAddresses) };
    };

  return {
    refusal(host, port) {
      const plain = plainHost(host);
      return isRestricted && plain !== undefined && isIP(plain) !== 0 ? refusal(plain, port) : undefined;
    },
    check: checkBy(() => refusal),
    granted: { check: checkBy((plain) => (isIP(plain) === 0 ? refusalOfNamed : refusalOfLiteral)) },
  };
};
