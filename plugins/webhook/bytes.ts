/** Bytes of a text and back: what a guest of the sandbox has no library for. */

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const digits = new Map([...alphabet].map((character, value) => [character, value]));

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

export const toBase64 = (bytes: Uint8Array): string => {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const [one = 0, two = 0, three = 0] = bytes.subarray(index, index + 3);
    const bits = (one << 16) | (two << 8) | three;
    const group = [18, 12, 6, 0].map((shift) => alphabet.charAt((bits >> shift) & 63)).join('');
    const missing = Math.max(0, index + 3 - bytes.length);
    text += missing === 0 ? group : group.slice(0, 4 - missing) + '='.repeat(missing);
  }
  return text;
};

/** Undefined when it is no base64. Padding may be left out. */
export const fromBase64 = (text: string): Uint8Array | undefined => {
  const body = text.replace(/={0,2}$/, '');
  if (body.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((body.length * 3) / 4));
  let [bits, held, filled] = [0, 0, 0];
  for (const character of body) {
    const value = digits.get(character);
    if (value === undefined) return undefined;
    bits = ((bits << 6) | value) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[filled++] = (bits >> held) & 0xff;
  }
  return bytes;
};
