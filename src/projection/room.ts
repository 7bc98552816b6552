import { statfsSync } from 'node:fs';

/** The disk has no room for a write, which was not begun; it can be tried again. */
export class ReadStoreFull extends Error {
  override readonly name = 'ReadStoreFull';
}

/** Less than the embedded log keeps free, so that the read models still take in what the log has taken. */
export const defaultReserveBytes = 16 * 2 ** 20;

/** A change touches at least a page, and the old one is freed only afterwards. */
const bytesPerChange = 4_096;
const growth = 2;

/** What is left on the disk of `directory` for programs that are not privileged. */
export const freeBytesOf = (directory: string): number => {
  const disk = statfsSync(directory);
  return disk.bavail * disk.bsize;
};

/** @throws {ReadStoreFull} when a write of so many changes and bytes would touch the reserve of the disk. */
export const checkRoom = (directory: string, changes: number, bytes: number, reserveBytes: number): void => {
  const freeBytes = freeBytesOf(directory);
  const wanted = reserveBytes + bytes * growth + changes * bytesPerChange;
  if (freeBytes >= wanted) return;
  throw new ReadStoreFull(
    `the disk of the read models in ${directory} is full: ${freeBytes} bytes are free, ${wanted} are wanted`,
  );
};
