import jwt from 'jsonwebtoken';
import type { Subject } from '../../../domain/access.ts';
import { scopesOf, subjectNameFault } from '../../../domain/subject-name.ts';
import { BoundedMap } from '../../bounded-map.ts';
import type { Config } from '../../config.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';

/** A subject whose token was verified; `expiresAt` in ms since 1970, the leeway included. */
export type TokenSubject = Subject & { readonly expiresAt: number };

export type Tokens = {
  /** Verifies `token`, or answers from what was verified before and has not expired. */
  verify(token: string): Result<TokenSubject>;
  /** The subject of a token that was verified before and has not expired. */
  known(token: string): TokenSubject | undefined;
  /** Takes the claims of a token whose signature, `exp`, `nbf`, `iss` and `aud` hold, checks the rest, and keeps it. */
  take(token: string, claims: unknown): Result<TokenSubject>;
  readonly secret: Buffer;
  /** For everything that verifies: algorithm, issuer, audience and leeway, in one place. */
  readonly options: TokenOptions;
  /** Whole seconds since 1970, for the same. */
  nowSec(): number;
};

export type TokenOptions = {
  readonly algorithms: ['HS256'];
  readonly clockTolerance: number;
  readonly issuer?: string;
  readonly audience?: string;
};

export const leewaySec = 30;
export const minSecretBytes = 32;
/** Verified tokens that are remembered; the oldest goes first. */
const maxKnownTokens = 10_000;
/** A longer token is verified each time, so that the memory of the cache stays within some 20 MiB. */
const maxKnownLength = 2_048;
/** The year 9999. */
const maxTimeSec = 253_402_300_800;

/**
 * Verification of HS256 bearer tokens.
 *
 * @param clock ms since 1970.
 * @throws {RangeError} when the secret is shorter than `minSecretBytes`.
 */
export const createTokens = (
  config: Pick<Config, 'jwtIssuer' | 'jwtAudience'> & { readonly jwtSecret: string },
  clock: () => number,
): Tokens => {
  const secret = Buffer.from(config.jwtSecret, 'utf8');
  if (secret.length < minSecretBytes) {
    throw new RangeError(`jwtSecret must have at least ${minSecretBytes} bytes, and has ${secret.length}`);
  }
  const options: TokenOptions = {
    algorithms: ['HS256'],
    clockTolerance: leewaySec,
    ...(config.jwtIssuer === null ? {} : { issuer: config.jwtIssuer }),
    ...(config.jwtAudience === null ? {} : { audience: config.jwtAudience }),
  };
  const nowSec = (): number => Math.floor(clock() / 1_000);
  const knownTokens = new BoundedMap<string, TokenSubject>(maxKnownTokens);

  const known = (token: string): TokenSubject | undefined => {
    const subject = knownTokens.get(token);
    if (subject === undefined) return undefined;
    if (clock() < subject.expiresAt) return subject;
    knownTokens.delete(token);
    return undefined;
  };

  const take = (token: string, claims: unknown): Result<TokenSubject> => {
    const result = subjectOf(claims, clock());
    if (result.ok && token.length <= maxKnownLength) knownTokens.set(token, result.value);
    return result;
  };

  const verify = (token: string): Result<TokenSubject> => {
    const subject = known(token);
    if (subject !== undefined) return ok(subject);
    let claims: unknown;
    try {
      claims = jwt.verify(token, secret, { ...options, clockTimestamp: nowSec() });
    } catch (error) {
      return fault(tokenFault(error));
    }
    return take(token, claims);
  };

  return { verify, known, take, secret, options, nowSec };
};

const subjectOf = (claims: unknown, nowMs: number): Result<TokenSubject> => {
  if (typeof claims !== 'object' || claims === null) return refuse('The token carries no claims');
  const { exp, iat, sub, scope } = claims as Readonly<Record<string, unknown>>;
  if (typeof exp !== 'number' || !(exp < maxTimeSec)) return refuse('The token has no exp that is a time');
  if (typeof iat !== 'number' || !Number.isFinite(iat)) return refuse('The token has no iat');
  if (iat * 1_000 > nowMs + leewaySec * 1_000) return refuse('The token was issued in the future');
  if (typeof sub !== 'string' || sub === '') return refuse('The token has no sub');
  const nameFault = subjectNameFault(sub);
  if (nameFault !== undefined) return refuse(`The sub of the token ${nameFault}`);
  if (scope !== undefined && typeof scope !== 'string') return refuse('The scope of the token is not a text');
  return ok({
    id: sub,
    scopes: scope === undefined ? [] : scopesOf(scope),
    expiresAt: (exp + leewaySec) * 1_000,
  });
};

/** Why a token was refused, without saying what would have been accepted. */
export const tokenFault = (error: unknown): Problem => {
  if (error instanceof jwt.TokenExpiredError) return unauthorized('The token has expired');
  if (error instanceof jwt.NotBeforeError) return unauthorized('The token is not valid yet');
  const message = error instanceof Error ? error.message : '';
  if (message.startsWith('jwt audience')) return unauthorized('The token is for another audience');
  if (message.startsWith('jwt issuer')) return unauthorized('The token is from another issuer');
  if (message === 'invalid signature') return unauthorized('The signature of the token is wrong');
  if (message === 'invalid algorithm') return unauthorized('The token must be signed with HS256');
  return unauthorized('The token is not a valid JSON Web Token');
};

const unauthorized = (detail: string): Problem => problem('unauthorized', detail);
const refuse = (detail: string): Result<never> => fault(unauthorized(detail));
