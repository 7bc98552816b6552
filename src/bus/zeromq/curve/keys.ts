import { createPrivateKey, createPublicKey } from 'node:crypto';

/** RFC 32/Z85. */
const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
const valueOfCharacter = new Map([...alphabet].map((character, value) => [character, value]));

/** @param bytes as many as a multiple of four. */
export const encodeZ85 = (bytes: Buffer): string => {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) {
    const value = bytes.readUInt32BE(at);
    for (let power = 85 ** 4; power >= 1; power /= 85) text += alphabet[Math.floor(value / power) % 85];
  }
  return text;
};

/** Undefined for a text that is not Z85. */
export const decodeZ85 = (text: string): Buffer | undefined => {
  if (text.length % 5 !== 0) return undefined;
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let at = 0; at < text.length; at += 5) {
    let value = 0;
    for (const character of text.slice(at, at + 5))
      value = value * 85 + (valueOfCharacter.get(character) ?? Number.NaN);
    if (!(value <= 0xffff_ffff)) return undefined;
    bytes.writeUInt32BE(value, (at / 5) * 4);
  }
  return bytes;
};

/** The only part of a PKCS #8 X25519 key that differs is its 32 bytes (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const keyBytes = 32;

/**
 * The public key that belongs to a CURVE secret key (both Z85): X25519 of it and the base point, as in NaCl.
 *
 * @returns undefined for a text that is no key.
 */
export const publicKeyOf = (secretKey: string): string | undefined => {
  const secret = decodeZ85(secretKey);
  if (secret === undefined || secret.length !== keyBytes) return undefined;
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, secret]), format: 'der', type: 'pkcs8' });
  return encodeZ85(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-keyBytes));
};
