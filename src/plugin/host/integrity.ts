import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { JWK } from 'jose';
import type { Json } from '../../../domain/event.ts';
import { isJsonArray, isJsonObject } from '../../../domain/json.ts';
import { parseJson } from '../../gateway/json.ts';

/** A key that signatures of plugins are checked with. */
export type SigningKey = {
  /** `kid` of a JWK, else its thumbprint (RFC 7638). */
  readonly name: string;
  readonly key: KeyObject;
};

const maxKeys = 100;
const pemBlock = /-----BEGIN PUBLIC KEY-----[^-]{1,4096}-----END PUBLIC KEY-----/g;

const isEd25519 = (key: KeyObject): boolean => key.type === 'public' && key.asymmetricKeyType === 'ed25519';

const nameOf = async (key: KeyObject, given: unknown): Promise<string> => {
  if (typeof given === 'string' && given !== '' && given.length <= 256) return given;
  const { calculateJwkThumbprint } = await import('jose');
  return calculateJwkThumbprint(key.export({ format: 'jwk' }) as JWK);
};

const keyOf = async (key: KeyObject, given: unknown): Promise<SigningKey> => {
  if (!isEd25519(key)) throw new Error('holds a key that is no Ed25519 public key');
  return { name: await nameOf(key, given), key };
};

const jwksOf = (json: Json): readonly Json[] => {
  if (isJsonArray(json)) return json;
  if (isJsonObject(json) && json.keys !== undefined && isJsonArray(json.keys)) return json.keys;
  return [json];
};

/** The keys of a text: PEM blocks, a JWK, a JWK set or a list of JWKs. @throws {Error} what is wrong with it. */
export const parseKeys = async (text: string): Promise<readonly SigningKey[]> => {
  const blocks = text.match(pemBlock) ?? [];
  if (blocks.length > 0) {
    return Promise.all(blocks.slice(0, maxKeys).map((pem) => keyOf(createPublicKey(pem), undefined)));
  }
  const json = parseJson(text);
  if (!json.ok) throw new Error('holds neither PEM blocks nor JSON');
  return Promise.all(
    jwksOf(json.value)
      .slice(0, maxKeys)
      .map((jwk) => {
        if (!isJsonObject(jwk) || jwk.d !== undefined) throw new Error('holds what is no public JWK');
        return keyOf(createPublicKey({ key: jwk as JWK, format: 'jwk' }), jwk.kid);
      }),
  );
};

/** @throws {Error} the file cannot be read, or holds something else. */
export const readKeys = async (path: string): Promise<readonly SigningKey[]> =>
  parseKeys(await readFile(path, 'utf8'));

/**
 * Name of the key whose signature of `hash` this is, or null.
 *
 * @param signature Ed25519 over the text of the hash, base64url; null when there is none.
 */
export const signerOf = (
  hash: string,
  signature: string | null,
  keys: readonly SigningKey[],
): string | null => {
  if (signature === null || !/^[A-Za-z0-9_-]{86}$/.test(signature)) return null;
  const bytes = Buffer.from(signature, 'base64url');
  return keys.find(({ key }) => verify(null, Buffer.from(hash), key, bytes))?.name ?? null;
};
