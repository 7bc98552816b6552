import { isIP } from 'node:net';
import { parseEndpoint } from './endpoint.ts';

/**
 * What one option may be. `parse` takes text from a flag or the environment, or any JSON from nexus.config.json, and
 * answers undefined when the value is not allowed.
 */
export type Kind<Value> = {
  /** As it stands behind "allowed:" in messages, in --help and in docs/configuration.md. */
  readonly allowed: string;
  parse(raw: unknown): Value | undefined;
};

/** Smallest HS256 secret (RFC 7518, section 3.2: as long as the hash). */
export const minSecretBytes = 32;

const hostLabels =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;
const digits = /^\d{1,15}$/;
const logPart = /^(file:|rediss?:\/\/|esdb(\+discover)?:\/\/)[^\s]+$/;
/** EventStoreDB's own strings hold commas between hosts, so a comma ends a log only where a scheme follows it. */
const logSeparator = /,(?=file:|rediss?:\/\/|esdb(?:\+discover)?:\/\/)/;

const isNone = (raw: unknown): boolean => raw === 'none' || raw === null;
const isText = (raw: unknown): raw is string =>
  typeof raw === 'string' && raw.length > 0 && raw.length <= 4_096;

export const text = (allowed: string, accepts: (value: string) => boolean = () => true): Kind<string> => ({
  allowed,
  parse: (raw) => (isText(raw) && !raw.includes('\0') && accepts(raw) ? raw : undefined),
});

/** As `kind`, and `none` (in JSON also null) for nothing. */
export const optional = <Value>(kind: Kind<Value>): Kind<Value | null> => ({
  allowed: `${kind.allowed}, or none`,
  parse: (raw) => (isNone(raw) ? null : kind.parse(raw)),
});

export const integer = (min: number, max: number, note = ''): Kind<number> => ({
  allowed: `an integer from ${min} to ${max}${note}`,
  parse(raw) {
    const value = typeof raw === 'string' && digits.test(raw) ? Number(raw) : raw;
    return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : undefined;
  },
});

export const choice = <Value extends string>(values: readonly Value[]): Kind<Value> => ({
  allowed: `one of ${values.join(', ')}`,
  parse: (raw) => values.find((value) => value === raw),
});

/** As text `true` or `false`. */
export const onOff: Kind<boolean> = {
  allowed: 'true or false',
  parse: (raw) =>
    raw === true || raw === 'true' ? true : raw === false || raw === 'false' ? false : undefined,
};

/** Text separated by commas, or an array in JSON; `none` and an empty text are the empty list. */
export const list = (
  allowed: string,
  item: (value: string) => string | undefined,
): Kind<readonly string[]> => ({
  allowed: `${allowed}, separated by commas, or none`,
  parse(raw) {
    if (isNone(raw) || raw === '') return [];
    const parts: readonly unknown[] | undefined =
      typeof raw === 'string'
        ? raw.split(',').map((part) => part.trim())
        : Array.isArray(raw)
          ? raw
          : undefined;
    if (parts === undefined || parts.length > 1_000) return undefined;
    const values = parts.map((part) => (isText(part) ? item(part) : undefined));
    const known = values.filter((value) => value !== undefined);
    return known.length === values.length ? known : undefined;
  },
});

/** `ADDRESS/BITS`; an address alone is the network of that one address. */
export const parseCidr = (value: string): string | undefined => {
  const [address = '', bits, ...rest] = value.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0 || address.includes('%')) return undefined;
  const width = family === 4 ? 32 : 128;
  if (bits === undefined) return `${address}/${width}`;
  return digits.test(bits) && Number(bits) <= width ? `${address}/${Number(bits)}` : undefined;
};

/** `scheme://host[:port]` as a browser sends it: no path, no trailing slash, lower case. */
export const parseOrigin = (value: string): string | undefined =>
  URL.canParse(value) && new URL(value).origin === value && /^https?:/.test(value) ? value : undefined;

export const isOrigin = (value: string): boolean => parseOrigin(value) !== undefined;

/** `https://…`, or `http://…` to this machine: keys that came another way could be anybody's. No user, no fragment. */
export const isKeySetUrl = (value: string): boolean => {
  if (!/^https?:\/\/\S+$/.test(value) || !URL.canParse(value)) return false;
  const { protocol, hostname, username, password, hash } = new URL(value);
  if (username !== '' || password !== '' || hash !== '') return false;
  return (
    protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || isLoopbackIpv4(hostname)
  );
};

/** URL has made sure that it is a sound address where it has four numbers. */
const isLoopbackIpv4 = (hostname: string): boolean => isIP(hostname) === 4 && hostname.startsWith('127.');

export const isHost = (value: string): boolean => isIP(value) !== 0 || hostLabels.test(value);

/** One to eight logs in the order in which they are tried. */
export const logs: Kind<readonly string[]> = {
  allowed: 'file:DIR, redis://…, rediss://…, esdb://… or esdb+discover://…; several, separated by commas',
  parse(raw) {
    const parts: readonly unknown[] =
      typeof raw === 'string' ? raw.split(logSeparator) : Array.isArray(raw) ? raw : [];
    const valid = parts.filter(
      (part): part is string =>
        isText(part) &&
        logPart.test(part) &&
        !part.endsWith(',') &&
        (!part.startsWith('redis') || URL.canParse(part)),
    );
    return valid.length === parts.length && valid.length >= 1 && valid.length <= 8 ? valid : undefined;
  },
};

/** A ZeroMQ endpoint to bind. Whether it may be one that others reach depends on the keys. */
export const endpoint: Kind<string> = {
  allowed:
    'tcp://127.0.0.1:PORT (or another loopback address; with zmqCurveSecretKey any address; * picks a free port), or none',
  parse: (raw) => (raw === 'none' || (isText(raw) && parseEndpoint(raw) !== undefined) ? raw : undefined),
};

/** The same text without the user and password of a URL. In one pass: texts of others are looked through. */
export const withoutCredentials = (value: string): string =>
  value.replace(/[^\s"'<>]+/g, (run) => {
    const [from, at] = [run.indexOf('//'), run.lastIndexOf('@')];
    return from < 0 || at < from + 2 ? run : `${run.slice(0, from)}//***@${run.slice(at + 1)}`;
  });
