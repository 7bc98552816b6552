import type { FileHandle } from 'node:fs/promises';

/** A line that is longer is no line of any file that is read here. */
export const maxLineBytes = 8 * 1_048_576;

const newline = 10;
const blockBytes = 262_144;

/** The bytes of a file from its beginning. @param endBytes Where to end; the file's own end unless given. */
export async function* blocksOf(
  handle: FileHandle,
  endBytes = Number.MAX_SAFE_INTEGER,
): AsyncIterable<Buffer> {
  for (let position = 0; position < endBytes; ) {
    // A block of its own each time: who takes it may keep parts of it.
    const block = Buffer.allocUnsafe(Math.min(blockBytes, endBytes - position));
    const { bytesRead } = await handle.read(block, 0, block.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield block.subarray(0, bytesRead);
  }
}

/**
 * The lines of a file from its beginning, without their `\n`, those of a block together; what stands behind the last one is
 * a line too, unless it is empty. Nothing but `\n` ends a line: JSON may hold U+2028 and the like.
 *
 * @throws {Error} for a line over `maxLineBytes`.
 */
export async function* linesOf(handle: FileHandle): AsyncIterable<readonly Buffer[]> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for await (const block of blocksOf(handle)) {
    const lines: Buffer[] = [];
    let from = 0;
    for (let end = block.indexOf(newline); end >= 0; end = block.indexOf(newline, from)) {
      const piece = block.subarray(from, end);
      lines.push(begun.length === 0 ? piece : Buffer.concat([...begun, piece]));
      begun = [];
      begunBytes = 0;
      from = end + 1;
    }
    if (lines.length > 0) yield lines;
    if (from === block.length) continue;
    begun.push(block.subarray(from));
    begunBytes += block.length - from;
    if (begunBytes > maxLineBytes) throw new Error(`a line is longer than ${maxLineBytes} bytes`);
  }
  if (begunBytes > 0) yield [Buffer.concat(begun)];
}
