import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';

export type Signer = {
  readonly algorithm: 'RS256' | 'ES256' | 'EdDSA';
  readonly kid: string | undefined;
  readonly publicKey: KeyObject;
  /** As it stands in a key set. */
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly privateJwk: Readonly<Record<string, unknown>>;
  /** A token of these claims; `header` over what the signer would put there. */
  sign(claims: unknown, header?: object): string;
  /** The signature of any text. */
  signature(text: string): string;
};

/** JSON, or a text or bytes as they stand, in base64url. */
export const part = (value: unknown): string =>
  Buffer.from(
    typeof value === 'string' || Buffer.isBuffer(value) ? value : (JSON.stringify(value) ?? ''),
  ).toString('base64url');

const privateKeyOf = (algorithm: Signer['algorithm'], bits: number): KeyObject => {
  switch (algorithm) {
    case 'RS256':
      return generateKeyPairSync('rsa', { modulusLength: bits }).privateKey;
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case 'EdDSA':
      return generateKeyPairSync('ed25519').privateKey;
  }
};

/** A new key; `bits` of an RSA one. */
export const createSigner = (algorithm: Signer['algorithm'], kid?: string, bits = 2_048): Signer =>
  signerOf(algorithm, privateKeyOf(algorithm, bits), kid);

/** The same key under another name. */
export const renamed = (signer: Signer, kid: string | undefined): Signer =>
  signerOf(signer.algorithm, createPrivateKey({ key: { ...signer.privateJwk }, format: 'jwk' }), kid);

const signerOf = (algorithm: Signer['algorithm'], key: KeyObject, kid: string | undefined): Signer => {
  const publicKey = createPublicKey(key);
  const named = kid === undefined ? {} : { kid };
  const signature = (text: string): string =>
    sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(text), {
      key,
      dsaEncoding: 'ieee-p1363',
    }).toString('base64url');
  return {
    algorithm,
    kid,
    publicKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), ...named },
    privateJwk: { ...key.export({ format: 'jwk' }), ...named },
    signature,
    sign: (claims, header = {}) => {
      const text = `${part({ alg: algorithm, typ: 'JWT', ...named, ...header })}.${part(claims)}`;
      return `${text}.${signature(text)}`;
    },
  };
};

/** A token signed with HMAC, whatever its header says. */
export const signHmac = (
  secret: string | Buffer,
  claims: unknown,
  header: unknown = { alg: 'HS256', typ: 'JWT' },
  hash = 'sha256',
): string => {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`;
};
