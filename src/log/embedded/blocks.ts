import { crc32 } from 'node:zlib';
import { LogError } from '../event-log.ts';
import type { Place } from './place.ts';

/*
 * A block of the index: u32 CRC-32 of everything behind it, u32 count of places, f64 × count, ascending.
 */
const headerBytes = 8;

export const indexCorrupt = (directory: string, what: string): LogError =>
  new LogError(
    'log_corrupt',
    `the index in ${directory} is damaged (${what}); it is rebuilt at the next start`,
    {
      directory,
    },
  );

export const sealBlock = (block: Buffer): Buffer => {
  block.writeUInt32LE(crc32(block.subarray(4)), 0);
  return block;
};

/** @throws {LogError} `log_corrupt` */
export const checkBlock = (block: Buffer, directory: string): Buffer => {
  if (block.length < headerBytes || crc32(block.subarray(4)) !== block.readUInt32LE(0)) {
    throw indexCorrupt(directory, 'a block fails its checksum');
  }
  return block;
};

export const encodePlaces = (places: readonly Place[], from: number, to: number): Buffer => {
  const block = Buffer.allocUnsafe(headerBytes + (to - from) * 8);
  block.writeUInt32LE(to - from, 4);
  for (let index = from; index < to; index++) {
    block.writeDoubleLE(places[index] ?? 0, headerBytes + (index - from) * 8);
  }
  return sealBlock(block);
};

export const countIn = (block: Buffer): number => block.readUInt32LE(4);
export const placeIn = (block: Buffer, index: number): Place => block.readDoubleLE(headerBytes + index * 8);

export const decodePlaces = (block: Buffer): Place[] =>
  Array.from({ length: countIn(block) }, (_, index) => placeIn(block, index));
