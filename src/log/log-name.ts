const scheme = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * The URL of a log as it may stand in messages: scheme, hosts and ports, or the folder; never a user, a password or an
 * option. Where a secret that was not percent-encoded makes it unclear which part is the host, only the scheme is left.
 */
export const nameOfLog = (url: string): string => {
  if (url.startsWith('file:')) return url;
  const start = scheme.exec(url)?.[0] ?? '';
  const [authority = '', ...rest] = url.slice(start.length).split(/[/?#]/);
  if (rest.some((part) => part.includes('@'))) return `${start}…`;
  return start + authority.slice(authority.lastIndexOf('@') + 1);
};
