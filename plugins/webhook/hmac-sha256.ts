/**
 * HMAC (RFC 2104) with SHA-256 (FIPS 180-4) over bytes: secrets of webhooks are bytes in base64, and `context.crypto` takes
 * texts as keys.
 */
export const hmacSha256 = (key: Uint8Array, data: Uint8Array): Uint8Array => {
  const block = new Uint8Array(blockBytes);
  block.set(key.length > blockBytes ? sha256(key) : key);
  const inner = sha256(joined(padded(block, 0x36), data));
  return sha256(joined(padded(block, 0x5c), inner));
};

const blockBytes = 64;

const padded = (block: Uint8Array, pad: number): Uint8Array => block.map((byte) => byte ^ pad);

const joined = (one: Uint8Array, other: Uint8Array): Uint8Array => {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
};

/** The first `count` primes: their roots are the constants of SHA-256. */
const primes = (count: number): readonly number[] => {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate++) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return found;
};

/** The first 32 bits of the fraction of a number. */
const fractionBits = (value: number): number => Math.floor((value - Math.floor(value)) * 2 ** 32) | 0;

const initial = Int32Array.from(primes(8), (prime) => fractionBits(Math.sqrt(prime)));
const roundConstants = Int32Array.from(primes(64), (prime) => fractionBits(Math.cbrt(prime)));

const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

export const sha256 = (data: Uint8Array): Uint8Array => {
  const blocks = Math.ceil((data.length + 9) / blockBytes);
  const message = new Uint8Array(blocks * blockBytes);
  message.set(data);
  message[data.length] = 0x80;
  const view = new DataView(message.buffer);
  view.setBigUint64(message.length - 8, BigInt(data.length) * 8n);
  const state = Int32Array.from(initial);
  const words = new Int32Array(64);
  for (let start = 0; start < message.length; start += blockBytes) {
    for (let index = 0; index < 16; index++) words[index] = view.getInt32(start + index * 4);
    compress(state, words);
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (const [index, word] of state.entries()) digest.setInt32(index * 4, word);
  return new Uint8Array(digest.buffer);
};

const compress = (state: Int32Array, words: Int32Array): void => {
  const word = (index: number): number => words[index] ?? 0;
  for (let index = 16; index < 64; index++) {
    const [before, last] = [word(index - 15), word(index - 2)];
    const small = rotate(before, 7) ^ rotate(before, 18) ^ (before >>> 3);
    const large = rotate(last, 17) ^ rotate(last, 19) ^ (last >>> 10);
    words[index] = (word(index - 16) + small + word(index - 7) + large) | 0;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let index = 0; index < 64; index++) {
    const choice = (e & f) ^ (~e & g);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice) | 0;
    const first = (one + (roundConstants[index] ?? 0) + word(index)) | 0;
    const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  for (const [index, value] of [a, b, c, d, e, f, g, h].entries())
    state[index] = ((state[index] ?? 0) + value) | 0;
};
