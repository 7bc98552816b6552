/**
 * Counts the text frames of a server's side of a WebSocket (RFC 6455, 5.2: unmasked) in bytes as they come, without
 * looking into them: a client that costs as little as a client can.
 */
export const createFrameCounter = (onText: () => void, onPing: () => void) => {
  /** Bytes of the frame's header so far, and how many it has: 2, 4 or 10. */
  const header = Buffer.alloc(10);
  let held = 0;
  let wanted = 2;
  /** Bytes of the payload that are still to come. */
  let payload = 0;

  const headerDone = (): void => {
    const short = (header[1] ?? 0) & 0x7f;
    payload = short === 126 ? header.readUInt16BE(2) : short === 127 ? header.readUInt32BE(6) : short;
    const opcode = (header[0] ?? 0) & 0x0f;
    if (opcode === 1) onText();
    else if (opcode === 9) onPing();
    held = 0;
    wanted = 2;
  };

  return (bytes: Buffer, length: number): void => {
    let at = 0;
    while (at < length) {
      if (payload > 0) {
        const skipped = Math.min(payload, length - at);
        payload -= skipped;
        at += skipped;
        continue;
      }
      const byte = bytes[at++] ?? 0;
      header[held++] = byte;
      if (held === 2) wanted = (byte & 0x7f) === 126 ? 4 : (byte & 0x7f) === 127 ? 10 : 2;
      if (held === wanted) headerDone();
    }
  };
};
