import { type FileHandle, open, stat } from 'node:fs/promises';
import { ReadModelDamaged } from './read-store.ts';

/**
 * Where LMDB's two meta pages hold what is checked here (struct MDB_meta of the bundled mdb.c, behind the page header of
 * 24 bytes): all numbers are little-endian on every machine that the hub runs on.
 */
const magicAt = 24;
const versionAt = 28;
const pageSizeAt = 48;
const lastPageAt = 144;
const headerBytes = 152;
const magic = 0xbeefc0de;
const dataVersion = 2;

const readHeader = async (file: FileHandle, offset: number): Promise<Buffer | undefined> => {
  const header = Buffer.alloc(headerBytes);
  const { bytesRead } = await file.read(header, 0, headerBytes, offset);
  return bytesRead === headerBytes ? header : undefined;
};

const isMeta = (header: Buffer | undefined): header is Buffer =>
  header !== undefined &&
  header.readUInt32LE(magicAt) === magic &&
  (header.readUInt32LE(versionAt) & 0xffff) === dataVersion;

/**
 * Makes a file safe to be opened by lmdb, which ends the process at a file that is no database, and at the first touch
 * of a page that the file has lost. A missing or empty file is fine; one that was cut short gets zeros in the place
 * of what is gone, which LMDB reports as corruption if it was more than free space.
 *
 * @throws {ReadModelDamaged} when it is no database.
 */
export const prepareFile = async (path: string): Promise<void> => {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined || found.size === 0) return;
  const file = await open(path, 'r+');
  try {
    const first = await readHeader(file, 0);
    const pageSize = isMeta(first) ? first.readUInt32LE(pageSizeAt) : 0;
    const second = pageSize >= headerBytes ? await readHeader(file, pageSize) : undefined;
    if (!isMeta(first) || !isMeta(second)) throw new ReadModelDamaged(`${path} is no database`);
    const lastPage = Math.max(
      Number(first.readBigUInt64LE(lastPageAt)),
      Number(second.readBigUInt64LE(lastPageAt)),
    );
    const wanted = (lastPage + 1) * pageSize;
    if (wanted > maxFileBytes) throw new ReadModelDamaged(`${path} claims to have ${wanted} bytes`);
    if (found.size < wanted) await file.truncate(wanted);
  } finally {
    await file.close();
  }
};

/** No read model is larger; a wrong bit in a header must not make a file of an exabyte. */
const maxFileBytes = 2 ** 44;
