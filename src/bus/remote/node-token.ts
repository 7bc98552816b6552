import jwt from 'jsonwebtoken';
import type { Config } from '../../config.ts';

const ttlSec = 300;
const renewBeforeSec = 60;

/**
 * The token with which this node comes to others of its log: made from their common secret, with the scope admin, since
 * whoever asks this node was looked at by it. Undefined without authentication.
 */
export const createNodeToken = (
  { jwtSecret, jwtIssuer, jwtAudience }: Pick<Config, 'jwtSecret' | 'jwtIssuer' | 'jwtAudience'>,
  node: string,
  wallMs: () => number,
): (() => string | undefined) => {
  let made: { readonly token: string; readonly expiresSec: number } | undefined;
  return () => {
    if (jwtSecret === null) return undefined;
    const nowSec = Math.floor(wallMs() / 1_000);
    if (made === undefined || made.expiresSec - renewBeforeSec < nowSec) {
      const expiresSec = nowSec + ttlSec;
      const claims = {
        sub: `node:${node}`,
        scope: 'admin',
        iat: nowSec,
        exp: expiresSec,
        ...(jwtIssuer === null ? {} : { iss: jwtIssuer }),
        ...(jwtAudience === null ? {} : { aud: jwtAudience }),
      };
      made = { token: jwt.sign(claims, jwtSecret, { algorithm: 'HS256' }), expiresSec };
    }
    return made.token;
  };
};
