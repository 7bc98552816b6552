/** What V8 alone does not have of the Encoding standard: UTF-8, and no other encoding. */

const codePointBytes = (point: number): number =>
  point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4;

/** A lone surrogate is U+FFFD, as the standard has it. */
const scalarAt = (text: string, index: number): number => {
  const point = text.codePointAt(index) ?? 0xfffd;
  return point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
};

export const utf8Bytes = (text: string): Uint8Array => {
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    const point = scalarAt(text, index);
    if (point > 0xffff) index++;
    length += codePointBytes(point);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (let index = 0; index < text.length; index++) {
    const point = scalarAt(text, index);
    if (point > 0xffff) index++;
    const size = codePointBytes(point);
    if (size === 1) {
      bytes[at++] = point;
      continue;
    }
    bytes[at++] = (size === 2 ? 0xc0 : size === 3 ? 0xe0 : 0xf0) | (point >> (6 * (size - 1)));
    for (let shift = 6 * (size - 2); shift >= 0; shift -= 6) bytes[at++] = 0x80 | ((point >> shift) & 0x3f);
  }
  return bytes;
};

const isContinuation = (byte: number | undefined): byte is number =>
  byte !== undefined && (byte & 0xc0) === 0x80;

/** Of what a first byte says: how many follow, the bits of it, and the least code point of that length. */
const leadOf = (byte: number): readonly [follow: number, bits: number, least: number] | undefined => {
  if (byte < 0x80) return [0, byte, 0];
  if (byte >= 0xc2 && byte <= 0xdf) return [1, byte & 0x1f, 0x80];
  if (byte >= 0xe0 && byte <= 0xef) return [2, byte & 0x0f, 0x800];
  if (byte >= 0xf0 && byte <= 0xf4) return [3, byte & 0x07, 0x1_0000];
  return undefined;
};

/** Undefined where the bytes are no UTF-8. */
const pointAt = (bytes: Uint8Array, at: number): readonly [point: number, size: number] | undefined => {
  const lead = leadOf(bytes[at] ?? 0xff);
  if (lead === undefined) return undefined;
  const [follow, bits, least] = lead;
  let point = bits;
  for (let index = 1; index <= follow; index++) {
    const byte = bytes[at + index];
    if (!isContinuation(byte)) return undefined;
    point = (point << 6) | (byte & 0x3f);
  }
  const sound = point >= least && point <= 0x10_ffff && !(point >= 0xd800 && point <= 0xdfff);
  return sound ? [point, follow + 1] : undefined;
};

export const utf8Text = (bytes: Uint8Array, fatal: boolean): string => {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const found = pointAt(bytes, at);
    if (found === undefined) {
      if (fatal) throw new TypeError('the bytes are not UTF-8');
      text += '\ufffd';
      at++;
      while (isContinuation(bytes[at])) at++;
      continue;
    }
    text += String.fromCodePoint(found[0]);
    at += found[1];
  }
  return text;
};

export class TextEncoder {
  readonly encoding = 'utf-8';
  encode(text = ''): Uint8Array {
    return utf8Bytes(`${text}`);
  }
}

export class TextDecoder {
  readonly encoding = 'utf-8';
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  constructor(
    label = 'utf-8',
    { fatal = false, ignoreBOM = false }: { fatal?: boolean; ignoreBOM?: boolean } = {},
  ) {
    if (!/^(?:unicode-1-1-)?utf-?8$/i.test(label)) throw new RangeError(`no decoder of ${label}`);
    this.fatal = fatal;
    this.ignoreBOM = ignoreBOM;
  }
  decode(input: ArrayBuffer | ArrayBufferView = new Uint8Array()): string {
    const bytes = ArrayBuffer.isView(input)
      ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
      : new Uint8Array(input);
    const text = utf8Text(bytes, this.fatal);
    return !this.ignoreBOM && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }
}
