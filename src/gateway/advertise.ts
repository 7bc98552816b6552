import { hostname } from 'node:os';
import { isAuthenticated } from '../config/authenticated.ts';
import type { Config } from '../config.ts';
import type { Gateway } from './gateway.ts';

const everywhere: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/**
 * Where other nodes of the log reach this gateway: as configured, else on this machine in protected mode, where no other
 * may come, else by the address that it listens on, or the machine's name when it listens on all.
 */
export const advertisedUrl = (config: Config, { url, port }: Pick<Gateway, 'url' | 'port'>): string => {
  const { advertiseUrl, apiHost, tlsCert } = config;
  if (advertiseUrl !== null) return advertiseUrl;
  if (!isAuthenticated(config) || !everywhere.has(apiHost)) return url;
  return `${tlsCert === null ? 'http' : 'https'}://${hostname()}:${port}`;
};
