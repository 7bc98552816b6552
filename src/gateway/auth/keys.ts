import {
  createHash,
  createPublicKey,
  type JsonWebKeyInput,
  type KeyObject,
  type webcrypto,
} from 'node:crypto';
import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { parseJson } from '../json.ts';

export const keyAlgorithms = ['RS256', 'ES256', 'EdDSA'] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

/** A public key of a set, with the one algorithm that it verifies. */
export type VerificationKey = {
  readonly algorithm: KeyAlgorithm;
  readonly kid: string | undefined;
  /** SHA-256 of the key itself: two keys with one print are one key. */
  readonly thumbprint: string;
  readonly key: webcrypto.CryptoKey;
};

export type KeySet =
  | {
      readonly ok: true;
      readonly keys: readonly VerificationKey[];
      /** One line for each key that is not used, and why. */
      readonly passedOver: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

export const kidForm = /^[A-Za-z0-9._-]{1,64}$/;
export const maxKeySetBytes = 262_144;
export const maxKeys = 100;

const minModulusBits = 2_048;
const maxModulusBits = 16_384;
const minExponent = 65_537n;

/** RFC 7518, section 6.3.2 and 6.4, RFC 8037, and `priv` of RFC 9864's successors: what a published key never has. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const;

/**
 * The keys of a JSON Web Key Set (RFC 7517). A set with a private or symmetric key is refused whole, because its secret is
 * out; a key that the hub has no use for is passed over.
 */
export const parseKeySet = (bytes: Buffer): KeySet => {
  if (bytes.length > maxKeySetBytes) return { ok: false, reason: `it has more than ${maxKeySetBytes} bytes` };
  const json = parseJson(bytes);
  if (!json.ok) return { ok: false, reason: json.problem.detail };
  const members = isJsonObject(json.value) ? json.value.keys : undefined;
  if (!Array.isArray(members)) return { ok: false, reason: 'it is not an object with an array of keys' };
  if (members.length > maxKeys) return { ok: false, reason: `it has more than ${maxKeys} keys` };
  const keys: VerificationKey[] = [];
  const passedOver: string[] = [];
  for (const [index, member] of members.entries()) {
    if (!isJsonObject(member)) return { ok: false, reason: `key ${index} is not an object` };
    if (member.kty === 'oct' || privateMembers.some((name) => Object.hasOwn(member, name))) {
      return { ok: false, reason: `key ${index} is a private or symmetric one, which is known to all now` };
    }
    const key = keyOf(member);
    if (typeof key === 'string') passedOver.push(`key ${index} ${key}`);
    else keys.push(key);
  }
  return { ok: true, keys, passedOver };
};

/** The key, or why it is not used. */
const keyOf = (jwk: JsonObject): VerificationKey | string => {
  const { kid, use, key_ops: operations, alg } = jwk;
  if (kid !== undefined && !(typeof kid === 'string' && kidForm.test(kid)))
    return 'has a kid of another form';
  if (use !== undefined && use !== 'sig') return 'is not for signatures (use)';
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return 'is not for verification (key_ops)';
  }
  const key = publicKeyOf(jwk);
  if (key === undefined) return 'is not a sound public key';
  const fit = fitOf(key);
  if (typeof fit === 'string') return fit;
  if (alg !== undefined && alg !== fit.algorithm) return `is for another algorithm than ${fit.algorithm}`;
  return {
    algorithm: fit.algorithm,
    kid,
    thumbprint: createHash('sha256')
      .update(key.export({ type: 'spki', format: 'der' }))
      .digest('base64url'),
    key: key.toCryptoKey(fit.parameters, false, ['verify']),
  };
};

const publicKeyOf = (jwk: JsonObject): KeyObject | undefined => {
  const { kty, crv, n, e, x, y } = jwk;
  const input = { key: { kty, crv, n, e, x, y }, format: 'jwk' } as JsonWebKeyInput;
  try {
    return createPublicKey(input);
  } catch {
    return undefined;
  }
};

type Fit = {
  readonly algorithm: KeyAlgorithm;
  readonly parameters: Parameters<KeyObject['toCryptoKey']>[0];
};

/** The one algorithm of a key (RFC 8725, section 3.1), or why it has none. */
const fitOf = (key: KeyObject): Fit | string => {
  const { modulusLength = 0, publicExponent = 0n, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      if (modulusLength < minModulusBits || modulusLength > maxModulusBits) {
        return `has ${modulusLength} bits, and must have ${minModulusBits} to ${maxModulusBits}`;
      }
      if (publicExponent < minExponent) return 'has a public exponent below 65537';
      return { algorithm: 'RS256', parameters: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } };
    case 'ec':
      if (namedCurve !== 'prime256v1') return 'is on another curve than P-256';
      return { algorithm: 'ES256', parameters: { name: 'ECDSA', namedCurve: 'P-256' } };
    case 'ed25519':
      return { algorithm: 'EdDSA', parameters: { name: 'Ed25519' } };
    default:
      return 'is neither RSA nor P-256 nor Ed25519';
  }
};
