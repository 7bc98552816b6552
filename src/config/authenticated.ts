import type { Config } from '../config.ts';

/** What turns authentication on. */
export type TokenKeys = Pick<Config, 'jwtSecret'> & Partial<Pick<Config, 'jwksUrl' | 'jwksFile'>>;

/** True when clients need a token: a secret or a key set says which are good. Otherwise the hub runs in protected mode. */
export const isAuthenticated = ({ jwtSecret, jwksUrl = null, jwksFile = null }: TokenKeys): boolean =>
  jwtSecret !== null || jwksUrl !== null || jwksFile !== null;
