const maxShort = 125;
const maxMedium = 65_535;
const finalText = 0x81;

const headerBytes = (payloadBytes: number): number =>
  payloadBytes <= maxShort ? 2 : payloadBytes <= maxMedium ? 4 : 10;

const writeHeader = (buffer: Buffer, at: number, payloadBytes: number): number => {
  buffer[at] = finalText;
  if (payloadBytes <= maxShort) {
    buffer[at + 1] = payloadBytes;
    return at + 2;
  }
  if (payloadBytes <= maxMedium) {
    buffer[at + 1] = 126;
    buffer.writeUInt16BE(payloadBytes, at + 2);
    return at + 4;
  }
  buffer[at + 1] = 127;
  buffer.writeUInt32BE(0, at + 2);
  buffer.writeUInt32BE(payloadBytes, at + 6);
  return at + 10;
};

/**
 * The bytes of text frames as a server sends them, one whole frame per text, one behind the other (RFC 6455, 5.2: FIN,
 * unmasked). Nobody may change them: they may be on their way to many sockets.
 */
export const encodeTexts = (texts: readonly string[]): Buffer => {
  const sizes: number[] = [];
  let total = 0;
  for (const text of texts) {
    const size = Buffer.byteLength(text);
    sizes.push(size);
    total += headerBytes(size) + size;
  }
  const buffer = Buffer.allocUnsafe(total);
  let at = 0;
  for (const [index, text] of texts.entries()) {
    const size = sizes[index] ?? 0;
    at = writeHeader(buffer, at, size);
    // Text of one byte per character needs no look at each of them.
    at += buffer.write(text, at, size, size === text.length ? 'latin1' : 'utf8');
  }
  return buffer;
};
