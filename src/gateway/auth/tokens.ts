import jwt from 'jsonwebtoken';
import { tokenLeewaySec } from '../../../domain/credentials.ts';
import { BoundedMap } from '../../bounded-map.ts';
import type { Config } from '../../config.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import type { Credentials } from '../../nexus-credentials.ts';
import type { TokenSubject } from './access.ts';
import { subjectOf } from './claims.ts';
import type { KeySets } from './key-sets.ts';
import type { KeyAlgorithm, VerificationKey } from './keys.ts';
import { readClaims, readHeader, refuse, type TokenHeader } from './token-form.ts';

export type Tokens = {
  /** Verifies `token`, or answers from what was verified before and has not expired; waits for jose, or for new keys. */
  verify(token: string): Result<TokenSubject> | Promise<Result<TokenSubject>>;
  /** The subject of a token that was verified before and has not expired. */
  known(token: string): TokenSubject | undefined;
  /** Takes a token whose HS256 signature holds: checks its claims, and keeps it. */
  take(token: string): Result<TokenSubject>;
  /** Forgets the tokens of these credentials, or all. */
  forget(names: ReadonlySet<string> | undefined): void;
  /** For whatever else verifies HS256; undefined when there is no secret. */
  readonly hs256: Hs256 | undefined;
};

export type Hs256 = {
  readonly secret: Buffer;
  readonly algorithms: ['HS256'];
  readonly clockTolerance: number;
  /** Whole seconds since 1970. */
  nowSec(): number;
};

export const minSecretBytes = 32;
/** Verified tokens that are remembered; the oldest goes first. */
const maxKnownTokens = 10_000;
/** A longer token is verified each time, so that the memory of the cache stays within some 20 MiB. */
const maxKnownLength = 2_048;

type Known = { readonly subject: TokenSubject; readonly key: VerificationKey | undefined };

/**
 * Verification of bearer tokens: HS256 by the secret, RS256, ES256 and EdDSA by the keys of the sets (ADR 0037).
 *
 * @param clock ms since 1970.
 * @throws {RangeError} when the secret is shorter than `minSecretBytes`.
 */
export const createTokens = (
  config: Pick<Config, 'jwtSecret' | 'jwtIssuer' | 'jwtAudience'>,
  keys: KeySets | undefined,
  credentials: Pick<Credentials, 'isGood'>,
  clock: () => number,
): Tokens => {
  const hs256 = config.jwtSecret === null ? undefined : hs256Of(config.jwtSecret, clock);
  const knownTokens = new BoundedMap<string, Known>(maxKnownTokens);
  keys?.onChange(() => {
    for (const [token, { key }] of knownTokens) {
      if (key !== undefined && !keys.has(key)) knownTokens.delete(token);
    }
  });

  const known = (token: string): TokenSubject | undefined => {
    const subject = knownTokens.get(token)?.subject;
    if (subject === undefined) return undefined;
    if (clock() < subject.expiresAt) return subject;
    knownTokens.delete(token);
    return undefined;
  };

  const takeOf = (token: string, key: VerificationKey | undefined): Result<TokenSubject> => {
    const claims = readClaims(token);
    if (!claims.ok) return claims;
    const result = subjectOf(claims.value, config, clock());
    if (!result.ok) return result;
    const { credential } = result.value;
    const good = credential === undefined ? ok(true) : credentials.isGood(credential);
    if (!good.ok) return good;
    if (!good.value) return refuse('The token was revoked');
    if (token.length <= maxKnownLength) knownTokens.set(token, { subject: result.value, key });
    return result;
  };

  const verifyBySecret = (token: string): Result<TokenSubject> => {
    if (hs256 === undefined) return refuse('This hub has no key for HS256');
    const { secret, algorithms, clockTolerance } = hs256;
    try {
      jwt.verify(token, secret, { algorithms, clockTolerance, clockTimestamp: hs256.nowSec() });
    } catch (error) {
      return refuse(reasonOf(error));
    }
    return takeOf(token, undefined);
  };

  const verifyByKey = async (
    token: string,
    algorithm: KeyAlgorithm,
    kid: string | undefined,
    sets: KeySets,
  ): Promise<Result<TokenSubject>> => {
    let key = sets.find(algorithm, kid);
    if (key === undefined && (kid !== undefined || sets.empty)) {
      await sets.lookAgain();
      key = sets.find(algorithm, kid);
    }
    if (key === undefined) return sets.empty ? keysUnavailable : refuse('The hub has no key for this token');
    if (!(await sets.isSigned(token, key))) return refuse('The signature of the token is wrong');
    // The sets may have changed meanwhile.
    return sets.has(key) ? takeOf(token, key) : refuse('The key of the token is gone');
  };

  const verifyUnknown = (
    token: string,
    { algorithm, kid }: TokenHeader,
  ): Result<TokenSubject> | Promise<Result<TokenSubject>> => {
    if (algorithm === 'HS256') return verifyBySecret(token);
    if (keys === undefined) return refuse(`This hub has no key for ${algorithm}`);
    return verifyByKey(token, algorithm, kid, keys);
  };

  return {
    known,
    hs256,
    forget: (names) => {
      if (names === undefined) return knownTokens.clear();
      for (const [token, { subject }] of knownTokens)
        if (subject.credential !== undefined && names.has(subject.credential)) knownTokens.delete(token);
    },
    take: (token) => takeOf(token, undefined),
    verify: (token) => {
      const subject = known(token);
      if (subject !== undefined) return ok(subject);
      const header = readHeader(token);
      return header.ok ? verifyUnknown(token, header.value) : header;
    },
  };
};

const keysUnavailable: Result<never> = fault(
  problem('keys_unavailable', 'The keys that this token would be verified with cannot be had at the moment'),
);

const hs256Of = (text: string, clock: () => number): Hs256 => {
  const secret = Buffer.from(text, 'utf8');
  if (secret.length < minSecretBytes) {
    throw new RangeError(`jwtSecret must have at least ${minSecretBytes} bytes, and has ${secret.length}`);
  }
  return {
    secret,
    algorithms: ['HS256'],
    clockTolerance: tokenLeewaySec,
    nowSec: () => Math.floor(clock() / 1_000),
  };
};

/** Why jsonwebtoken, or koa-jwt by it, refused a token. */
export const reasonOf = (error: unknown): string => {
  if (error instanceof jwt.TokenExpiredError) return 'The token has expired';
  if (error instanceof jwt.NotBeforeError) return 'The token is not valid yet';
  const message = error instanceof Error ? error.message : '';
  return message === 'invalid signature'
    ? 'The signature of the token is wrong'
    : 'The token is not a valid JSON Web Token';
};
