import { createHash, randomFillSync } from 'node:crypto';

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const hexOf = (byte: number | undefined): string => hex[(byte ?? 0) & 0xff] ?? '00';

const pool = new Uint8Array(8 * 512);
let used = pool.length;
let lastMs = 0;
let counter = 0;
/** What the ids of `lastMs` begin with. */
let beginning = '';
/** Version and counter, as they stand in the text. */
const counters = Array.from({ length: 0x1000 }, (_, count) => `7${count.toString(16).padStart(3, '0')}-`);

const begin = (ms: number): void => {
  lastMs = ms;
  counter = 0;
  const digits = ms.toString(16).padStart(12, '0');
  beginning = `${digits.slice(0, 8)}-${digits.slice(8)}-`;
};

/**
 * A UUIDv7 (RFC 9562, 5.7; method 1 of 6.2: a 12-bit counter behind the milliseconds). Ids made by one process ascend
 * strictly, also when the clock stands still or goes back; 62 bits are random.
 */
export const newId = (nowMs: number = Date.now()): string => {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  if (nowMs > lastMs) begin(nowMs);
  else if (++counter === counters.length) begin(lastMs + 1);
  const random = used;
  used += 8;
  return (
    `${beginning}${counters[counter]}${hexOf(0x80 | ((pool[random] ?? 0) & 0x3f))}${hexOf(pool[random + 1])}-` +
    `${hexOf(pool[random + 2])}${hexOf(pool[random + 3])}${hexOf(pool[random + 4])}` +
    `${hexOf(pool[random + 5])}${hexOf(pool[random + 6])}${hexOf(pool[random + 7])}`
  );
};

/** SHA-256 of a text in hex. */
export const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The UUIDv8 (RFC 9562, 5.8) that stands for these words: SHA-256 over them, each preceded by its length. */
export const idOf = (...words: readonly string[]): string => {
  const hash = createHash('sha256');
  for (const word of words) hash.update(`${Buffer.byteLength(word)}:`).update(word);
  const text = hash.digest('hex');
  const variant = hexOf(0x80 | (Number.parseInt(text.slice(16, 18), 16) & 0x3f));
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-8${text.slice(13, 16)}-${variant}${text.slice(18, 20)}-${text.slice(20, 32)}`;
};
