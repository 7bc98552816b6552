import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fault, ok, problem, type Result } from '../errors.ts';
import { newId } from '../ids.ts';
import { freeBytesOf } from '../projection/room.ts';

export type UploadLimits = {
  readonly maxBytes: number;
  /** Room that stays free on the disk. */
  readonly reserveBytes: number;
};

/** The reserve is more than the event log's own: an upload must not be what stops writes. */
export const defaultUploadLimits: UploadLimits = { maxBytes: 4 * 2 ** 30, reserveBytes: 80 * 2 ** 20 };

/** Bytes written between two looks at the disk. */
const checkEveryBytes = 4 * 1_048_576;

const noRoom = () => fault(problem('log_full', 'The disk has no room for the upload'));

const isNoSpace = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');

/**
 * Writes `body` to a new file in `directory`, no faster than the disk takes it. Resolves with the file's path; the file is
 * gone when it is refused: `too_large`, `log_full` (no room on the disk), `bad_request` (the body broke off).
 */
export const receive = async (
  body: AsyncIterable<Buffer>,
  directory: string,
  { maxBytes, reserveBytes }: UploadLimits,
): Promise<Result<string>> => {
  await mkdir(directory, { recursive: true });
  const path = join(directory, newId());
  const handle = await open(path, 'wx', 0o600);
  let received: Result<string> | undefined;
  try {
    const refused = await writeAll(handle, chunksOf(body), directory, { maxBytes, reserveBytes });
    received = refused ?? ok(path);
    return received;
  } catch (error) {
    if (error instanceof BrokenOff) return fault(problem('bad_request', 'The body broke off'));
    if (isNoSpace(error)) return noRoom();
    throw error;
  } finally {
    await handle.close();
    if (received?.ok !== true) await rm(path, { force: true });
  }
};

class BrokenOff extends Error {
  override readonly name = 'BrokenOff';
}

async function* chunksOf(body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  try {
    yield* body;
  } catch (cause) {
    throw new BrokenOff('the body broke off', { cause });
  }
}

const writeAll = async (
  handle: FileHandle,
  chunks: AsyncIterable<Buffer>,
  directory: string,
  { maxBytes, reserveBytes }: UploadLimits,
): Promise<{ readonly ok: false; readonly problem: ReturnType<typeof problem> } | undefined> => {
  let bytes = 0;
  let checkedBytes = Number.NEGATIVE_INFINITY;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      return fault(problem('too_large', `The body is larger than ${maxBytes} bytes`, { maxBytes }));
    }
    if (bytes - checkedBytes >= checkEveryBytes) {
      if (freeBytesOf(directory) < reserveBytes + checkEveryBytes) return noRoom();
      checkedBytes = bytes;
    }
    await handle.writeFile(chunk);
  }
  return undefined;
};
