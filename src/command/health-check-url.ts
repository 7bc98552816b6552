import { isTargetHost } from '../registry/target/targets.ts';

const schemes: ReadonlySet<string> = new Set(['http:', 'https:', 'tcp:']);

const hostFault = (text: string, url: URL): string | undefined => {
  if (url.username !== '' || url.password !== '') return 'must have no user name or password in it';
  if (!isTargetHost(url.hostname)) return 'must have a plain host name or an IP address';
  // A URL parser reads `127.1` and `0x7f000001` as addresses; others read them as something else.
  const start = `${url.protocol}//${url.hostname.toLowerCase()}`;
  const isAsWritten = text.toLowerCase().startsWith(start) && isEnd(text[start.length]);
  return isAsWritten ? undefined : 'must spell its host in the usual way';
};

const isEnd = (next: string | undefined): boolean =>
  next === undefined || next === ':' || next === '/' || next === '?';

const tcpFault = (url: URL): string | undefined => {
  if (url.port === '' || url.port === '0') return 'must name a port: tcp://host:port';
  return url.pathname !== '' || url.search !== '' ? 'must end after the port: tcp://host:port' : undefined;
};

/** What is wrong with an address of a health check, as a clause after its name; undefined when nothing is. */
export const healthCheckUrlFault = (text: string): string | undefined => {
  if (!URL.canParse(text)) return 'must be an http://, https:// or tcp:// URL';
  const url = new URL(text);
  if (!schemes.has(url.protocol)) return 'must be an http://, https:// or tcp:// URL';
  // `#` alone leaves an empty hash.
  if (text.includes('#')) return 'must have no fragment';
  return hostFault(text, url) ?? (url.protocol === 'tcp:' ? tcpFault(url) : undefined);
};
