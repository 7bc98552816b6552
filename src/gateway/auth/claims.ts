import { isRevocableJti, tokenCredential, tokenLeewaySec } from '../../../domain/credentials.ts';
import { isJsonArray, type JsonObject } from '../../../domain/json.ts';
import { scopesOf, subjectNameFault } from '../../../domain/subject-name.ts';
import type { Config } from '../../config.ts';
import { ok, type Result } from '../../errors.ts';
import type { TokenSubject } from './access.ts';
import { refuse } from './token-form.ts';

/** The year 9999. */
const maxTimeSec = 253_402_300_800;

type Expected = Pick<Config, 'jwtIssuer' | 'jwtAudience'>;

/** Who the claims are of, once all of them hold: whoever verified the signature, this is the one place that judges them. */
export const subjectOf = (claims: JsonObject, expected: Expected, nowMs: number): Result<TokenSubject> => {
  const { exp, nbf, iat, sub, scope, jti } = claims;
  const leewayMs = tokenLeewaySec * 1_000;
  if (!isTime(exp)) return refuse('The token has no exp that is a time');
  if (nowMs >= exp * 1_000 + leewayMs) return refuse('The token has expired');
  if (!isTime(iat)) return refuse('The token has no iat that is a time');
  if (iat * 1_000 > nowMs + leewayMs) return refuse('The token was issued in the future');
  if (nbf !== undefined && !isTime(nbf)) return refuse('The nbf of the token is not a time');
  if (nbf !== undefined && nbf * 1_000 > nowMs + leewayMs) return refuse('The token is not valid yet');
  const foreign = foreignFault(claims, expected);
  if (foreign !== undefined) return refuse(foreign);
  if (typeof sub !== 'string' || sub === '') return refuse('The token has no sub');
  const nameFault = subjectNameFault(sub);
  if (nameFault !== undefined) return refuse(`The sub of the token ${nameFault}`);
  if (scope !== undefined && typeof scope !== 'string') return refuse('The scope of the token is not a text');
  if (jti !== undefined && !(typeof jti === 'string' && isRevocableJti(jti))) {
    return refuse('The jti of the token is not a text of 1 to 256 characters');
  }
  return ok({
    id: sub,
    scopes: scope === undefined ? [] : scopesOf(scope),
    expiresAt: exp * 1_000 + leewayMs,
    ...(jti === undefined ? {} : { credential: tokenCredential(jti) }),
  });
};

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value < maxTimeSec;

/** Why a token is from or for somebody else, without saying what would have been accepted. */
const foreignFault = ({ iss, aud }: JsonObject, { jwtIssuer, jwtAudience }: Expected): string | undefined => {
  if (iss !== undefined && typeof iss !== 'string') return 'The iss of the token is not a text';
  if (jwtIssuer !== null && iss !== jwtIssuer) return 'The token is from another issuer';
  const audiences = aud === undefined ? [] : isJsonArray(aud) ? aud : [aud];
  if (audiences.some((audience) => typeof audience !== 'string')) {
    return 'The aud of the token is neither a text nor an array of texts';
  }
  return jwtAudience === null || audiences.includes(jwtAudience)
    ? undefined
    : 'The token is for another audience';
};
